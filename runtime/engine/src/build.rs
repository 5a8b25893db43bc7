//! From an entry of a flow file to a node that can be run.

use std::sync::Arc;

use serde_json::Value as Json;
use tidewire_model::flow::{Environment, Expanded, FlowDocument, FlowNode, NodeKind, Outside, Part};
use tidewire_model::{NodeId, Problem};
use tidewire_node_api::{BuildEnv, Node, NodeFacts};

use crate::clock::{Clock, Credentials};
use crate::down::{self, WhenDown};
use crate::driver::Build;
use crate::inert::{Broken, Inert, Instance, InstanceStatus};
use crate::shared::{Env, Shared};
use crate::wiring;

/// A node that was built, or what stands in for it.
pub struct Built {
    pub node: Box<dyn Node>,
    pub build: Build,
    /// Why it is only a stand-in.
    pub problem: Option<Problem>,
}

/// Entries that run: nodes and config nodes that are not switched off.
pub fn is_live(document: &FlowDocument, node: &FlowNode) -> bool {
    matches!(node.kind(), NodeKind::Node | NodeKind::Config) && !document.is_disabled(node)
}

/// Facts of an entry, for its host.
pub fn facts_of(flows: &Expanded, node: &FlowNode) -> NodeFacts {
    NodeFacts {
        id: node.id().clone(),
        type_name: node.type_name().into(),
        name: node.name().into(),
        flow: node.flow().map_or_else(|| NodeId::from("global"), NodeId::from),
        alias: flows.alias(node.id().as_str()).cloned(),
    }
}

/// The variables of flows as their nodes see them; `process` are those of the process.
pub fn environment(flows: &Expanded, process: &Env, credentials: &dyn Credentials, clock: &dyn Clock) -> Environment {
    let secret = |owner: &str, name: &str| credentials.get(owner, name);
    Environment::of(flows, &Outside { process: process.clone(), secret: &secret, now_ms: clock.now_ms() })
}

/// What is wrong with flows beyond the configuration of their nodes: limits, policies, instances that cannot be unfolded,
/// variables without a value.
pub fn problems(flows: &Expanded, environment: &Environment) -> Vec<Problem> {
    let mut problems = wiring::problems(flows.source());
    problems.extend(down::problems(flows.source()));
    problems.extend(flows.problems().iter().chain(environment.problems()).cloned());
    problems
}

/// Builds an entry; a node that cannot be built is replaced by one that says so.
pub fn build(shared: &Arc<Shared>, flows: &Expanded, node: &FlowNode) -> Built {
    match flows.part(node.id().as_str()) {
        Some(Part::Instance { .. }) => return fixed(|| Box::new(Instance)),
        Some(Part::Status { instance }) => {
            let (shared, instance) = (shared.clone(), instance.clone());
            return fixed(move || Box::new(InstanceStatus::new(&shared, instance.clone())));
        }
        Some(Part::Broken(problem)) => {
            return Built { problem: Some(problem.clone()), ..fixed(|| Box::new(Inert)) };
        }
        Some(Part::Entry) | None => {}
    }
    let type_name = node.type_name().to_owned();
    if shared.registry.get(&type_name).is_none() {
        let text = format!("node type \"{type_name}\" is not known here; the node is kept as it is and does nothing");
        let problem = Some(Problem::warning("/type", text).of(node.id().as_str()));
        return Built { problem, ..fixed(|| Box::new(Inert)) };
    }
    let config = shared.environment.load().fill(node.id().as_str(), node.json());
    let declared = config.get("outputs").and_then(|outputs| match outputs {
        Json::Number(number) => number.as_u64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    });
    let declared = declared.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let env = BuildEnv { id: node.id().clone(), outputs: declared.max(node.wires().len()) };
    let registry = shared.registry.clone();
    let again: Build = Arc::new(move || registry.build(&type_name, &config, &env).map_err(|error| error.to_string()));
    match again() {
        Ok(node) => Built { node, build: again, problem: None },
        Err(text) => {
            let problem = Some(Problem::error("", text.clone()).of(node.id().as_str()));
            Built {
                node: Box::new(Broken { text, drops: WhenDown::of(node) == Some(WhenDown::Drop) }),
                build: again,
                problem,
            }
        }
    }
}

/// A node that needs no configuration.
fn fixed(make: impl Fn() -> Box<dyn Node> + Send + Sync + 'static) -> Built {
    Built { node: make(), build: Arc::new(move || Ok(make())), problem: None }
}
