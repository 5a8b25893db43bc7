//! What stands in what: groups, flows, instances of subflows. Works on running documents.

use super::{FlowDocument, FlowNode, NodeKind};

/// Id of the flow that everything without `z` runs in.
pub(super) const GLOBAL: &str = "global";

/// Deepest nesting that is followed; more is a broken file that goes round in circles.
const DEPTH_MAX: usize = 256;

/// The groups around an entry in its own flow, from the inside out.
pub(super) fn groups<'a>(document: &'a FlowDocument, node: &'a FlowNode) -> impl Iterator<Item = &'a FlowNode> {
    let outer = |node: &FlowNode| {
        let group = document.get(node.group()?)?;
        (group.kind() == NodeKind::Group && group.flow() == node.flow()).then_some(group)
    };
    std::iter::successors(outer(node), move |group| outer(group)).take(DEPTH_MAX)
}
