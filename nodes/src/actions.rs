//! Node types of the category actions: what acts on the world.

mod notifier;
#[cfg(test)]
mod testing;

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[NodeDef::of::<notifier::Notifier>()];
