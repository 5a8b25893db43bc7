//! Flow files: the document as Node-RED writes it, the one that runs, its graph, and the difference of two of them.

mod diff;
mod document;
mod env;
mod expand;
mod graph;
mod links;
mod listening;
mod node;
mod scopes;

pub use diff::FlowDiff;
pub use document::{DocumentError, FlowDocument};
pub use env::{Environment, Outside, Process, substitute};
pub use expand::{Expanded, Part, Place, SUBFLOW_STATUS};
pub use graph::{FlowGraph, Loops, Wire};
pub use links::Link;
pub use listening::{Listeners, Listens, Scope, What};
pub use node::{FlowNode, NodeKind};
