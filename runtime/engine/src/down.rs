//! What becomes of messages for a node that should run and does not: property `whenDown` of a node.

use serde_json::Value as Json;
use tidewire_model::Problem;
use tidewire_model::flow::{FlowDocument, FlowNode};

/// The property of a flow file.
const PROPERTY: &str = "whenDown";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenDown {
    /// They wait in the inbox, and when that is full, whoever sends them waits too. The default of a node that cannot
    /// start now and is tried again.
    Wait,
    /// They count as failed: catch nodes get them. The default of a node that cannot be built.
    Fail,
    /// They are dropped, as if the node were not there.
    Drop,
}

impl WhenDown {
    /// What the node's property says; none where it says nothing, or nothing that is known.
    pub fn of(node: &FlowNode) -> Option<WhenDown> {
        match node.get(PROPERTY).and_then(Json::as_str)? {
            "wait" => Some(WhenDown::Wait),
            "fail" => Some(WhenDown::Fail),
            "drop" => Some(WhenDown::Drop),
            _ => None,
        }
    }
}

/// Nodes whose property says something else.
pub fn problems(document: &FlowDocument) -> Vec<Problem> {
    let odd = |node: &&FlowNode| node.get(PROPERTY).is_some_and(|json| !json.is_null()) && WhenDown::of(node).is_none();
    let text = "is \"wait\", \"fail\" or \"drop\"; what the node usually does holds";
    let problem = |node: &FlowNode| Problem::warning(format!("/{PROPERTY}"), text).of(node.id().as_str());
    document.nodes().iter().filter(odd).map(problem).collect()
}
