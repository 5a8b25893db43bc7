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

/// The scope right around an entry or scope: its group, else its flow; `None` for the global one.
pub(super) fn around<'a>(document: &'a FlowDocument, id: &str) -> Option<&'a str> {
    if id == GLOBAL {
        return None;
    }
    // A flow that is no entry of the file stands in the global one.
    let Some(node) = document.get(id) else { return Some(GLOBAL) };
    let group = groups(document, node).next().map(|group| group.id().as_str());
    group.or_else(|| node.flow()).or(Some(GLOBAL))
}

/// All scopes around an entry, from the inside out, the global one last.
pub(super) fn all_around<'a>(document: &'a FlowDocument, id: &str) -> impl Iterator<Item = &'a str> {
    std::iter::successors(around(document, id), move |scope| around(document, scope)).take(DEPTH_MAX)
}
