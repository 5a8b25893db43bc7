//! Context of all nodes: named values in several stores, held in memory; those of durable stores are in the log too.
//!
//! A store that is not known stands for the default one, with one warning per name.

mod settings;
mod store;

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tidewire_model::flow::{Expanded, FlowNode};
use tidewire_model::{Map, NodeId, Value};
use tidewire_node_api::context::parse_key;
use tidewire_node_api::handles::{HandleError, Log};
use tidewire_node_api::{Context, ContextError, ContextScope};

use crate::keeper::Keeper;

pub use settings::{ContextSettings, StoreKind};
use store::Store;

/// Id of the owner of all global values.
const GLOBAL: &str = "global";

/// Leads from a flow to the one around it.
const PARENT: &str = "$parent";

/// Whose values they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    scope: ContextScope,
    id: NodeId,
}

impl Owner {
    /// The values of a node, of a flow, or of all (`id` does not matter then). What stands on no flow has the global
    /// values as those of its flow.
    pub fn new(scope: ContextScope, id: NodeId) -> Self {
        match scope {
            ContextScope::Flow if id.as_str() != GLOBAL => Owner { scope, id },
            ContextScope::Node => Owner { scope, id },
            _ => Owner { scope: ContextScope::Global, id: NodeId::from(GLOBAL) },
        }
    }
}

/// The stores in use. Never empty.
struct Stores {
    all: Vec<Arc<Store>>,
    default: Arc<Store>,
}

/// See the module.
pub struct Contexts {
    stores: ArcSwap<Stores>,
    /// What the runtime was started with.
    settings: Mutex<ContextSettings>,
    keeper: Keeper,
    flows: ArcSwap<Expanded>,
    /// Names of stores that were asked for and are not known.
    unknown: Mutex<HashSet<String>>,
}

impl Contexts {
    pub(crate) fn new(keeper: Keeper) -> Self {
        let settings = ContextSettings::default();
        Contexts {
            stores: ArcSwap::from_pointee(stores(&settings, &keeper)),
            settings: Mutex::new(settings),
            keeper,
            flows: ArcSwap::default(),
            unknown: Mutex::default(),
        }
    }

    /// Says which stores there are: to be called before flows are loaded.
    pub fn configure(&self, settings: ContextSettings) {
        self.stores.store(Arc::new(stores(&settings, &self.keeper)));
        *self.settings.lock() = settings;
    }

    /// Forgets all values and opens other stores in place of those there are; `None`: those of the start. For tests.
    pub fn reopen(&self, settings: Option<&ContextSettings>) {
        for store in &self.stores.load().all {
            store.forget_where(|_| true);
        }
        let opened = settings
            .map_or_else(|| stores(&self.settings.lock(), &self.keeper), |settings| stores(settings, &self.keeper));
        for store in &opened.all {
            store.forget_where(|_| true);
        }
        self.stores.store(Arc::new(opened));
        self.unknown.lock().clear();
    }

    /// Reads the values of durable stores from the log.
    pub(crate) async fn load(&self, log: &dyn Log) -> Result<(), HandleError> {
        let stores = self.stores.load_full();
        for store in &stores.all {
            store.load(log).await?;
        }
        Ok(())
    }

    /// Resolves when all that was set so far is durable, in stores that are, or was refused for good.
    pub async fn flush(&self) {
        self.keeper.flush().await;
    }

    /// The flows that run from now on: where flows stand in each other, and which nodes forget.
    pub(crate) fn set_flows(&self, flows: &Expanded) {
        self.flows.store(Arc::new(flows.clone()));
    }

    /// Removes the values of nodes and flows that are gone.
    pub(crate) fn sweep(&self) {
        let flows = self.flows.load_full();
        let running = flows.running();
        let used: HashSet<&str> = running.nodes().iter().filter_map(FlowNode::flow).collect();
        for store in &self.stores.load().all {
            store.forget_where(|owner| match owner.scope {
                ContextScope::Global => false,
                ContextScope::Node => running.get(owner.id.as_str()).is_none(),
                ContextScope::Flow => !used.contains(owner.id.as_str()) && running.get(owner.id.as_str()).is_none(),
            });
        }
    }

    /// Removes the values of a node.
    pub(crate) fn forget_node(&self, node: &NodeId) {
        let owner = Owner::new(ContextScope::Node, node.clone());
        for store in &self.stores.load().all {
            store.forget(&owner);
        }
    }

    /// Names of the stores, the default one first.
    pub fn names(&self) -> Vec<String> {
        let stores = self.stores.load();
        let others = stores.all.iter().filter(|store| !Arc::ptr_eq(store, &stores.default));
        std::iter::once(&stores.default).chain(others).map(|store| store.name.clone()).collect()
    }

    /// Whose values a scope and an id stand for; `None` if there is no such node or flow. That of an instance of a
    /// subflow is the flow within.
    pub fn owner(&self, scope: ContextScope, id: &str) -> Option<Owner> {
        let flows = self.flows.load();
        let entry = flows.running().get(id);
        let known = || entry.is_some() || flows.running().nodes().iter().any(|node| node.flow() == Some(id));
        let scope = match scope {
            ContextScope::Node if entry?.definition().is_some() => ContextScope::Flow,
            ContextScope::Flow if id != GLOBAL && !known() => return None,
            other => other,
        };
        Some(Owner::new(scope, NodeId::from(id)))
    }

    /// All values of an owner in a store, by name.
    pub fn values(&self, owner: &Owner, store: Option<&str>) -> Map {
        self.store(store).values(owner)
    }

    /// See [`Context::get`].
    ///
    /// # Errors
    /// The key is no property path.
    pub fn get(&self, owner: &Owner, store: Option<&str>, key: &str) -> Result<Value, ContextError> {
        self.store(store).get(owner, key)
    }

    /// See [`Context::set`].
    ///
    /// # Errors
    /// The key is no property path or leads below something that is no object, or the store is full.
    pub fn set(&self, owner: &Owner, store: Option<&str>, key: &str, value: Value) -> Result<(), ContextError> {
        let durable = owner.scope != ContextScope::Node || !self.forgets(&owner.id);
        self.store(store).set(owner, key, value, durable)
    }

    fn forgets(&self, node: &NodeId) -> bool {
        let flows = self.flows.load();
        flows.running().get(node.as_str()).is_some_and(crate::apply::forgets)
    }

    fn store(&self, name: Option<&str>) -> Arc<Store> {
        let stores = self.stores.load();
        let Some(name) = name.filter(|name| !name.is_empty() && *name != "_") else { return stores.default.clone() };
        if let Some(store) = stores.all.iter().find(|store| store.name == name) {
            return store.clone();
        }
        if self.unknown.lock().insert(name.to_owned()) {
            tracing::warn!("Unknown context store '{name}' specified. Using default store.");
        }
        stores.default.clone()
    }

    /// The flow that so many `$parent` lead to from `flow`, and the rest of the key.
    fn outer<'k>(&self, flow: &NodeId, key: &'k str) -> (Option<NodeId>, &'k str) {
        let flows = self.flows.load();
        let (mut flow, mut key) = (Some(flow.clone()), key);
        while let Some(rest) = key.strip_prefix(PARENT).filter(|rest| rest.is_empty() || rest.starts_with('.')) {
            key = rest.strip_prefix('.').unwrap_or(rest);
            flow = flow.and_then(|flow| flows.parent_flow(flow.as_str()).map(NodeId::from));
        }
        (flow, key)
    }
}

fn stores(settings: &ContextSettings, keeper: &Keeper) -> Stores {
    let open = |name: &String, kind| Arc::new(Store::new(name, kind, settings.bytes_max(), keeper.clone()));
    let all: Vec<Arc<Store>> = settings.stores().iter().map(|(name, kind)| open(name, *kind)).collect();
    let default = all.iter().find(|store| store.name == settings.default_store()).cloned();
    let default = default.unwrap_or_else(|| open(&settings.default_store().to_owned(), StoreKind::Memory));
    Stores { all, default }
}

/// The context as one node sees it.
pub struct NodeContext {
    pub contexts: Arc<Contexts>,
    pub node: NodeId,
    pub flow: NodeId,
}

/// What a node's key leads to.
struct Target<'k> {
    store: Option<&'k str>,
    /// None: nowhere, as above the outermost flow.
    owner: Option<Owner>,
    key: &'k str,
}

impl NodeContext {
    fn target<'k>(&self, scope: ContextScope, store: Option<&'k str>, key: &'k str) -> Target<'k> {
        let (named, key) = parse_key(key);
        let store = store.or(named);
        let (owner, key) = match scope {
            ContextScope::Node => (Some(self.node.clone()), key),
            ContextScope::Flow if key.starts_with(PARENT) => self.contexts.outer(&self.flow, key),
            ContextScope::Flow => (Some(self.flow.clone()), key),
            ContextScope::Global => (Some(NodeId::from(GLOBAL)), key),
        };
        Target { store, owner: owner.map(|id| Owner::new(scope, id)), key }
    }
}

impl Context for NodeContext {
    fn get(&self, scope: ContextScope, store: Option<&str>, key: &str) -> Result<Value, ContextError> {
        match self.target(scope, store, key) {
            Target { owner: Some(owner), store, key } => self.contexts.get(&owner, store, key),
            Target { owner: None, .. } => Ok(Value::Undefined),
        }
    }

    fn set(&self, scope: ContextScope, store: Option<&str>, key: &str, value: Value) -> Result<(), ContextError> {
        match self.target(scope, store, key) {
            Target { owner: Some(owner), store, key } => self.contexts.set(&owner, store, key, value),
            Target { owner: None, .. } => Ok(()),
        }
    }

    fn keys(&self, scope: ContextScope, store: Option<&str>) -> Vec<String> {
        match self.target(scope, store, "").owner {
            Some(owner) => self.contexts.values(&owner, store).keys().map(str::to_owned).collect(),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
