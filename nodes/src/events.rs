//! Node types of the category events: the event log.

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[];
