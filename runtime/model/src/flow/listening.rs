//! Who listens to whom: catch, status and complete nodes and what they hear.

use crate::id::NodeId;

/// What a listener wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// Messages that a node failed on.
    Errors,
    /// Changes of a node's status.
    Statuses,
    /// Messages that a node is done with.
    Completions,
}

/// Which nodes a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All nodes of its flow.
    Flow,
    /// All nodes of its group, at any depth.
    Group,
    /// These nodes of its flow.
    Nodes(Vec<NodeId>),
}

/// What an entry of a flow file listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listens {
    pub what: What,
    pub scope: Scope,
    /// Only what no other listener took. Counts for errors.
    pub uncaught: bool,
}
