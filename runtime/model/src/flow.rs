//! Flow files: the document as Node-RED writes it, its graph, and the difference of two of them.

mod diff;
mod document;
mod graph;
mod links;
mod listening;

pub use diff::FlowDiff;
pub use document::{DocumentError, FlowDocument, FlowNode, NodeKind};
pub use graph::FlowGraph;
pub use links::Link;
pub use listening::{Listens, Scope, What};
