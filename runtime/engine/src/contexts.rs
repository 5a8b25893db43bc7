//! Context of all nodes: values by store and scope, in memory; those of durable stores are kept in the log as well.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tidewire_model::{NodeId, Value};
use tidewire_node_api::{Context, ContextError, ContextScope, ContextValues};

/// Name of the store that is used where none is named.
pub const DEFAULT_STORE: &str = "default";

/// Owner of values: the node, flow or `global`.
type Owner = (ContextScope, NodeId);

/// See the module.
#[derive(Default)]
pub struct Contexts {
    values: RwLock<HashMap<(String, Owner), ContextValues>>,
}

/// The context as one node sees it.
pub struct NodeContext {
    pub contexts: Arc<Contexts>,
    pub node: NodeId,
    pub flow: NodeId,
}

impl NodeContext {
    fn place(&self, scope: ContextScope, store: Option<&str>) -> (String, Owner) {
        let owner = match scope {
            ContextScope::Node => self.node.clone(),
            ContextScope::Flow => self.flow.clone(),
            ContextScope::Global => NodeId::from("global"),
        };
        (store.unwrap_or(DEFAULT_STORE).to_owned(), (scope, owner))
    }
}

impl Context for NodeContext {
    fn get(&self, scope: ContextScope, store: Option<&str>, key: &str) -> Result<Value, ContextError> {
        let values = self.contexts.values.read();
        values.get(&self.place(scope, store)).map_or(Ok(Value::Undefined), |values| values.get(key))
    }

    fn set(&self, scope: ContextScope, store: Option<&str>, key: &str, value: Value) -> Result<(), ContextError> {
        let mut values = self.contexts.values.write();
        values.entry(self.place(scope, store)).or_default().set(key, value).map(drop)
    }

    fn keys(&self, scope: ContextScope, store: Option<&str>) -> Vec<String> {
        let values = self.contexts.values.read();
        values.get(&self.place(scope, store)).map(ContextValues::keys).unwrap_or_default()
    }
}
