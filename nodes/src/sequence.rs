//! Node types of the category sequence: messages taken apart and put together.

use tidewire_node_api::NodeDef;

mod join;
mod parts;
mod split;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[NodeDef::of::<split::Split>(), NodeDef::of::<join::Join>()];
