//! A subflow's definition, read once for all its instances.

use serde_json::Value as Json;

use crate::flow::{FlowDocument, FlowNode};
use crate::id::NodeId;
use crate::problem::Problem;

/// An output of an entry inside the definition, or of its input (then `from` is the definition itself).
#[derive(Debug)]
pub struct Tap {
    pub from: NodeId,
    pub port: usize,
}

/// What a definition says of its ends, and what stands in it.
#[derive(Debug)]
pub struct Definition<'a> {
    /// Inner targets per input.
    pub inputs: Vec<Vec<NodeId>>,
    /// Where each output is fed from.
    pub outputs: Vec<Vec<Tap>>,
    pub status: Option<Vec<Tap>>,
    /// In the order of the file.
    pub members: Vec<&'a FlowNode>,
}

impl<'a> Definition<'a> {
    pub fn read(node: &FlowNode) -> Self {
        let ends = |key: &str| node.get(key).and_then(Json::as_array).into_iter().flatten();
        Definition {
            inputs: ends("in").map(|end| taps(end).into_iter().map(|tap| tap.from).collect()).collect(),
            outputs: ends("out").map(taps).collect(),
            status: node.get("status").filter(|status| status.is_object()).map(taps),
            members: Vec::new(),
        }
    }
}

/// Ends of a definition that lead to nothing in it; such wires are left out.
pub fn problems(document: &FlowDocument, definition: &FlowNode) -> Vec<Problem> {
    let ends = Definition::read(definition);
    let id = definition.id().as_str();
    let check = |name: &NodeId, path: String| {
        let inner = name.as_str() == id || document.get(name.as_str()).is_some_and(|node| node.flow() == Some(id));
        let text = || format!("is wired to \"{name}\", which is not in this subflow");
        (!inner).then(|| Problem::warning(path, text()).of(id))
    };
    let inputs = ends.inputs.iter().enumerate().flat_map(|(n, ids)| ids.iter().map(move |id| (id, format!("/in/{n}"))));
    let outputs = ends.outputs.iter().enumerate();
    let outputs = outputs.flat_map(|(n, taps)| taps.iter().map(move |tap| (&tap.from, format!("/out/{n}"))));
    let status = ends.status.iter().flatten().map(|tap| (&tap.from, "/status".to_owned()));
    inputs.chain(outputs).chain(status).filter_map(|(name, path)| check(name, path)).collect()
}

fn taps(end: &Json) -> Vec<Tap> {
    let wires = end.get("wires").and_then(Json::as_array).into_iter().flatten();
    wires
        .filter_map(|wire| {
            let port = match wire.get("port") {
                Some(Json::Number(port)) => port.as_u64().and_then(|port| usize::try_from(port).ok()),
                Some(Json::String(port)) => port.parse().ok(),
                _ => None,
            };
            Some(Tap { from: wire.get("id")?.as_str()?.into(), port: port.unwrap_or(0) })
        })
        .collect()
}
