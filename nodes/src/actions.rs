//! Node types of the category actions: what acts on the world.

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[];
