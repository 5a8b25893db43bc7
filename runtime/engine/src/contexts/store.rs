//! One context store. Of a value that changes often only the latest is written, once per commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::RwLock;
use tidewire_model::append::StateChange;
use tidewire_model::{Map, Value};
use tidewire_node_api::handles::{HandleError, Log};
use tidewire_node_api::{ContextError, ContextScope, ContextValues};

use super::{Owner, StoreKind};
use crate::keeper::Keeper;
use crate::kept;

/// Largest value of a durable store, in bytes: it is written as one record.
const VALUE_MAX: usize = 8 * 1024 * 1024;

/// See the module.
pub(super) struct Store {
    pub(super) name: String,
    kind: StoreKind,
    bytes_max: usize,
    keeper: Keeper,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    owners: HashMap<Owner, Owned>,
    /// Sum of all weights.
    bytes: usize,
}

/// The values of one owner.
#[derive(Default)]
struct Owned {
    values: ContextValues,
    /// What each value on the first level takes.
    weights: HashMap<CompactString, usize>,
    /// Names whose record in the log is about to be written.
    queued: HashSet<CompactString>,
}

impl Owned {
    fn weigh(&mut self, name: &CompactString) -> (usize, usize) {
        let now = self.values.map().get(name).map_or(0, |value| name.len() + value.weight());
        let before = if now == 0 { self.weights.remove(name) } else { self.weights.insert(name.clone(), now) };
        (before.unwrap_or(0), now)
    }
}

impl Store {
    pub(super) fn new(name: &str, kind: StoreKind, bytes_max: usize, keeper: Keeper) -> Self {
        Store { name: name.to_owned(), kind, bytes_max, keeper, held: RwLock::default() }
    }

    pub(super) fn get(&self, owner: &Owner, key: &str) -> Result<Value, ContextError> {
        let (path, _) = ContextValues::path(key)?;
        let held = self.held.read();
        let values = held.owners.get(owner).map(|owned| owned.values.map());
        Ok(values.and_then(|values| path.get(values)).cloned().unwrap_or_default())
    }

    pub(super) fn values(&self, owner: &Owner) -> Map {
        self.held.read().owners.get(owner).map(|owned| owned.values.map().clone()).unwrap_or_default()
    }

    /// Sets a value; it goes to the log as well if it is `durable` and so is the store.
    pub(super) fn set(
        self: &Arc<Self>,
        owner: &Owner,
        key: &str,
        value: Value,
        durable: bool,
    ) -> Result<(), ContextError> {
        let (path, name) = ContextValues::path(key)?;
        let durable = durable && self.kind == StoreKind::Durable;
        let mut held = self.held.write();
        let Held { owners, bytes } = &mut *held;
        if !value.is_undefined() {
            let owned = owners.get(owner);
            let before = owned.and_then(|owned| path.get(owned.values.map())).map_or(0, Value::weight);
            let of_name = owned.and_then(|owned| owned.weights.get(&name)).copied().unwrap_or(0);
            let more = (value.weight() + key.len()).saturating_sub(before);
            self.check_room(*bytes + more, if durable { of_name + more } else { 0 })?;
        } else if !owners.contains_key(owner) {
            return Ok(());
        }
        let owned = owners.entry(owner.clone()).or_default();
        owned.values.set_at(&path, &name, value)?;
        let (before, now) = owned.weigh(&name);
        *bytes = (*bytes + now).saturating_sub(before);
        if durable && owned.queued.insert(name.clone()) {
            self.write(owner.clone(), name);
        }
        Ok(())
    }

    fn check_room(&self, store: usize, value: usize) -> Result<(), ContextError> {
        let mib = |bytes: usize| bytes / (1024 * 1024);
        if store > self.bytes_max {
            let text = format!(
                "store \"{}\" may hold {} MiB; remove values, or give it more with --context-max",
                self.name,
                mib(self.bytes_max)
            );
            return Err(ContextError::Full(text));
        }
        if value > VALUE_MAX {
            let text = format!(
                "a value of store \"{}\" may have {} MiB; keep large values in a store of kind memory",
                self.name,
                mib(VALUE_MAX)
            );
            return Err(ContextError::Full(text));
        }
        Ok(())
    }

    /// Has the record of a value written. Invariant: called once until [`Store::record`] has been called for it.
    fn write(self: &Arc<Self>, owner: Owner, name: CompactString) {
        let store = self.clone();
        self.keeper.keep_latest(Box::new(move || store.record(&owner, &name)));
    }

    /// The record of a value as it is now.
    fn record(&self, owner: &Owner, name: &CompactString) -> StateChange {
        let value = {
            let mut held = self.held.write();
            held.owners.get_mut(owner).and_then(|owned| {
                owned.queued.remove(name);
                owned.values.map().get(name).cloned()
            })
        };
        let bytes = value.map(|value| value.to_bytes());
        kept::change_of(&self.prefix(owner.scope), &owner.id, name, bytes.as_ref())
    }

    pub(super) fn forget(self: &Arc<Self>, owner: &Owner) {
        let mut held = self.held.write();
        let Some(owned) = held.owners.remove(owner) else { return };
        held.bytes = held.bytes.saturating_sub(owned.weights.values().sum());
        if self.kind == StoreKind::Durable {
            owned.values.map().keys().for_each(|name| self.write(owner.clone(), name.into()));
        }
    }

    pub(super) fn forget_where(self: &Arc<Self>, gone: impl Fn(&Owner) -> bool) {
        let leaving: Vec<Owner> = self.held.read().owners.keys().filter(|owner| gone(owner)).cloned().collect();
        leaving.iter().for_each(|owner| self.forget(owner));
    }

    /// Reads what the log has of this store.
    pub(super) async fn load(&self, log: &dyn Log) -> Result<(), HandleError> {
        if self.kind == StoreKind::Memory {
            return Ok(());
        }
        for scope in [ContextScope::Node, ContextScope::Flow, ContextScope::Global] {
            for (id, records) in kept::read_all(log, &self.prefix(scope)).await? {
                let values = records.iter().filter_map(|(name, bytes)| match Value::from_bytes(bytes) {
                    Ok(value) => Some((name.clone(), value)),
                    Err(error) => {
                        tracing::error!(store = self.name, owner = %id, key = %name, error = %error, "context value left out");
                        None
                    }
                });
                self.put(Owner::new(scope, id.clone()), values.collect());
            }
        }
        Ok(())
    }

    fn put(&self, owner: Owner, values: Map) {
        let names: Vec<CompactString> = values.keys().map(CompactString::from).collect();
        let mut owned = Owned { values: ContextValues::new(values), ..Owned::default() };
        let bytes: usize = names.iter().map(|name| owned.weigh(name).1).sum();
        let mut held = self.held.write();
        held.bytes += bytes;
        held.owners.insert(owner, owned);
    }

    fn prefix(&self, scope: ContextScope) -> String {
        let scope = match scope {
            ContextScope::Node => "node",
            ContextScope::Flow => "flow",
            ContextScope::Global => "global",
        };
        format!("context/{}/{scope}/", self.name)
    }
}
