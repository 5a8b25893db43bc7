//! Environment variables as nodes see them: what groups, instances of subflows, flows and the whole file define around
//! them, and the process's own last. No variable is read from the process here; the caller says how.

mod rows;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value as Json;

use super::scopes::{self, GLOBAL};
use super::{Expanded, FlowNode, NodeKind};
use crate::id::NodeId;
use crate::problem::Problem;
use crate::value::{Value, to_json_value};

use rows::{Evaluation, Row};
pub use text::substitute;

/// Type of the config node whose `env` holds for all flows.
const GLOBAL_CONFIG: &str = "global-config";

/// A variable of the process, by its name.
pub type Process = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the environment takes from outside the flow file.
pub struct Outside<'a> {
    pub process: Process,
    /// A secret, by the source id of the tab, group, definition, instance or `global-config` that owns it, and name.
    pub secret: &'a dyn Fn(&str, &str) -> Option<String>,
    /// For variables of type `date`.
    pub now_ms: i64,
}

/// The variables of one running document. A clone shares everything.
#[derive(Clone)]
pub struct Environment(Arc<Inner>);

struct Inner {
    expanded: Expanded,
    process: Process,
    /// Values by scope: a group, an instance, a tab or `global`. Undefined: defined, and could not be evaluated.
    scopes: HashMap<NodeId, HashMap<String, Value>>,
    problems: Vec<Problem>,
}

impl Environment {
    /// Evaluates all variables that the document defines.
    pub fn of(expanded: &Expanded, outside: &Outside<'_>) -> Self {
        let mut inner = Inner {
            expanded: expanded.clone(),
            process: outside.process.clone(),
            scopes: HashMap::new(),
            problems: Vec::new(),
        };
        // From the outside in: a variable may be made of those around it.
        let mut scopes: Vec<(usize, &str, Declared<'_>)> = declared(expanded)
            .into_iter()
            .map(|(scope, lists)| (scopes::all_around(expanded.running(), scope).count(), scope, lists))
            .collect();
        scopes.sort_by_key(|(depth, scope, _)| (*depth, *scope));
        for (_, scope, lists) in scopes {
            let rows = lists.iter().flat_map(|(owner, env)| rows::read(owner, env));
            let names: BTreeMap<&str, Vec<Row<'_>>> = rows.fold(BTreeMap::new(), |mut names, row| {
                names.entry(row.name).or_default().push(row);
                names
            });
            let around = |name: &str| inner.look_up(Some(scope), name);
            let (values, problems) = Evaluation::new(names, outside, &around).run();
            inner.scopes.insert(NodeId::from(scope), values);
            for problem in problems {
                if !inner.problems.contains(&problem) {
                    inner.problems.push(problem);
                }
            }
        }
        Environment(Arc::new(inner))
    }

    /// Variables that have no value, and why; named by the source ids of who defines them.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// A variable as the node sees it: what it says of itself (`NR_NODE_ID`, …), then from the inside out.
    pub fn get(&self, node: &str, name: &str) -> Option<Value> {
        let running = self.0.expanded.running();
        let own = name.strip_prefix("NR_NODE_").and_then(|what| self.0.identity(node, what));
        own.unwrap_or_else(|| self.0.look_up(scopes::around(running, node), name))
    }

    /// The properties of a node with every text, at any depth, that is wholly `${NAME}` or `$(NAME)` replaced by the
    /// variable's value, where it has one. What needs no change is shared.
    pub fn fill(&self, node: &str, properties: &Arc<Json>) -> Arc<Json> {
        if mentions(properties) { Arc::new(self.filled(node, properties)) } else { Arc::clone(properties) }
    }

    fn filled(&self, node: &str, json: &Json) -> Json {
        match json {
            Json::String(text) => {
                let value = variable(text).and_then(|name| self.get(node, name));
                value.map_or_else(|| json.clone(), |value| to_json_value(&value))
            }
            Json::Array(items) => items.iter().map(|item| self.filled(node, item)).collect(),
            Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), self.filled(node, value))).collect(),
            other => other.clone(),
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("scopes", &self.0.scopes).finish_non_exhaustive()
    }
}

impl Inner {
    /// From `scope` outwards; each `$parent.` in front of a name leaves out one scope.
    fn look_up(&self, scope: Option<&str>, name: &str) -> Option<Value> {
        let running = self.expanded.running();
        let (mut scope, mut name) = (scope, name);
        while let Some(id) = scope {
            if let Some(value) = self.of_scope(id, name) {
                return value;
            }
            if let Some(outer) = name.strip_prefix("$parent.") {
                name = outer;
            } else if let Some(value) = self.scopes.get(id).and_then(|values| values.get(name)) {
                return (!value.is_undefined()).then(|| value.clone());
            }
            scope = scopes::around(running, id);
        }
        (self.process)(name).map(Value::from)
    }

    /// What a scope says of itself; `Some(None)` when the name is its own and has no value.
    fn of_scope(&self, id: &str, name: &str) -> Option<Option<Value>> {
        let name = name.strip_prefix("NR_")?;
        let (kind, what) = name.split_once('_')?;
        let node = self.expanded.running().get(id);
        let own = match (kind, node.map(FlowNode::kind)) {
            ("GROUP", Some(NodeKind::Group)) | ("FLOW", Some(NodeKind::Tab) | None) => what != "PATH",
            ("NODE" | "SUBFLOW", Some(NodeKind::Node)) => true,
            _ => false,
        };
        if !own {
            return None;
        }
        let implicit = || if id == GLOBAL { Some(None) } else { Some((what == "ID").then(|| Value::string(id))) };
        if node.is_some() { self.identity(id, what) } else { implicit() }
    }

    /// Id, name or path of an entry.
    fn identity(&self, id: &str, what: &str) -> Option<Option<Value>> {
        let node = self.expanded.running().get(id)?;
        let name = if node.kind() == NodeKind::Tab { "label" } else { "name" };
        match what {
            "ID" => Some(Some(Value::string(id))),
            "NAME" => Some(node.get(name).map(Value::from)),
            "PATH" => Some(Some(Value::from(self.expanded.path(id)))),
            _ => None,
        }
    }
}

/// The lists of variables that one scope defines, later ones overriding earlier ones, each with the source id of its
/// owner: one for a tab or a group; the definition's and then its own for an instance; one per `global-config`.
pub(super) type Declared<'a> = Vec<(&'a str, &'a Json)>;

/// All scopes of a running document that define variables.
pub(super) fn declared(expanded: &Expanded) -> HashMap<&str, Declared<'_>> {
    let mut scopes: HashMap<&str, Declared<'_>> = HashMap::new();
    let env = |node: &'_ FlowNode| node.get("env").is_some_and(|env| env.as_array().is_some_and(|env| !env.is_empty()));
    for node in expanded.running().nodes() {
        let id = node.id().as_str();
        let scope = match node.kind() {
            NodeKind::Tab | NodeKind::Group => id,
            NodeKind::Config if node.type_name() == GLOBAL_CONFIG && !node.is_disabled() => GLOBAL,
            NodeKind::Node if node.definition().is_some() => id,
            _ => continue,
        };
        let definition = node.definition().and_then(|definition| expanded.source().get(definition));
        for owner in definition.into_iter().chain([node]).filter(|node| env(node)) {
            if let Some(list) = owner.get("env") {
                scopes.entry(scope).or_default().push((expanded.source_id(owner.id().as_str()), list));
            }
        }
    }
    scopes
}

/// Whether any text in it is wholly a variable.
fn mentions(json: &Json) -> bool {
    match json {
        Json::String(text) => variable(text).is_some(),
        Json::Array(items) => items.iter().any(mentions),
        Json::Object(map) => map.values().any(mentions),
        _ => false,
    }
}

/// The name, if a text is wholly `${NAME}` or `$(NAME)`.
fn variable(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let name = match inner.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}'),
        None => inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')),
    };
    name.filter(|name| !name.is_empty() && !name.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests;
