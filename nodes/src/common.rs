//! Node types of the category common: what every flow needs.

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[];
