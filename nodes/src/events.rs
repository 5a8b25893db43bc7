//! Node types of the category events: the event log.

mod event_store_append;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
pub(crate) mod test_log;

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[NodeDef::of::<event_store_append::EventStoreAppend>()];
