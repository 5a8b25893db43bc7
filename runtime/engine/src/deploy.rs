//! Deploys: what is asked for, what comes of it, and which nodes start anew.

use std::collections::HashSet;

use tidewire_model::flow::{Expanded, FlowDiff, FlowDocument, FlowGraph};
use tidewire_model::position::Position;
use tidewire_model::{NodeId, Problem};

/// How much of the flows a deploy starts anew, in Node-RED's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeployKind {
    /// Everything.
    Full,
    /// Flows that hold a change.
    Flows,
    /// Only changed nodes.
    Nodes,
    /// Everything, from what is stored; the document of the request is ignored.
    Reload,
}

impl DeployKind {
    pub fn as_str(self) -> &'static str {
        match self {
            DeployKind::Full => "full",
            DeployKind::Flows => "flows",
            DeployKind::Nodes => "nodes",
            DeployKind::Reload => "reload",
        }
    }

    /// Nodes that a deploy starts anew although they may not have changed.
    pub fn restarted(self, old: &Expanded, new: &Expanded, touched: Vec<NodeId>) -> HashSet<NodeId> {
        let nodes = new.running().nodes().iter();
        let mut restart: HashSet<NodeId> = touched.into_iter().collect();
        if !restart.is_empty() {
            // Secrets belong to an entry of the source: all its clones are concerned, and all that see its variables.
            restart.extend(new.concerned_by(&restart));
        }
        match self {
            DeployKind::Full | DeployKind::Reload => restart.extend(nodes.map(|node| node.id().clone())),
            DeployKind::Flows => {
                let diff = FlowDiff::running(old, new);
                let edited = diff.added.iter().chain(&diff.changed).chain(&restart).cloned().collect();
                let connected = FlowGraph::of(new.running()).connected(&edited);
                restart.extend(connected.into_iter().chain(diff.rewired));
            }
            DeployKind::Nodes => {}
        }
        restart
    }
}

/// A request to make a document the running one.
pub struct DeployRequest {
    pub document: FlowDocument,
    pub kind: DeployKind,
    /// The revision the document was made from; another one in force refuses the deploy.
    pub expected_rev: Option<String>,
    pub author: String,
    /// Revision of the earlier deploy whose flows these are, for the history.
    pub restored: Option<String>,
    /// Nodes whose secrets changed; they are started anew.
    pub touched: Vec<NodeId>,
}

/// A deploy that was done.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub rev: String,
    /// Number of the deploy, from 1.
    pub number: u64,
    /// Place of its event in the log.
    pub position: Position,
    pub diff: FlowDiff,
    /// Nodes that do not run as they stand; the rest does.
    pub problems: Vec<Problem>,
}

/// Why nothing was deployed; what runs was not touched.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("the flows were changed meanwhile (revision {current}); look at the differences and deploy again")]
    Stale {
        current: String,
        /// From what runs to what was to be deployed.
        diff: Box<FlowDiff>,
    },
    #[error("record the deploy in the event log: {0}")]
    Log(String),
    #[error("the runtime is shutting down")]
    Closing,
}
