//! Node types of the category network: connections to the outside.

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[];
