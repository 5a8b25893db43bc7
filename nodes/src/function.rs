//! Node types of the category function: logic on messages.

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[];
