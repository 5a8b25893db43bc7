//! Links: wires that are not drawn, from an entry that sends out to entries that take in, across flows.

use crate::id::NodeId;

/// What an entry says of its links. Either end suffices to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Messages come in here from these entries.
    In(Vec<NodeId>),
    /// Messages that arrive here go on to these entries.
    Out(Vec<NodeId>),
}
