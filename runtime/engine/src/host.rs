//! The engine as one instance of a node sees it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidewire_model::{Map, Value};
use tidewire_node_api::{DebugEntry, Feed, Host, Level, NodeError, NodeFacts, Services, Status};

use crate::inbox::InboxFeed;
use crate::observe::{Observation, TapDir, TapFrame};
use crate::shared::Shared;
use crate::slot::Slot;

/// See the module.
pub struct NodeHost {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    facts: Arc<NodeFacts>,
    instance: u64,
}

impl NodeHost {
    /// The host of a new instance of a slot's node.
    pub fn new(shared: Arc<Shared>, slot: Arc<Slot>) -> Self {
        let instance = shared.next_id();
        slot.instance.store(instance, Ordering::Relaxed);
        NodeHost { facts: slot.facts(), shared, slot, instance }
    }

    pub fn instance(&self) -> u64 {
        self.instance
    }

    fn tap(&self, dir: TapDir, message: Value) {
        if self.slot.is_tapped() {
            let node = self.facts.id.clone();
            self.shared.observers.tapped(TapFrame { node, dir, port: None, message, handled: false });
        }
    }
}

/// A log line as taps show it.
fn log_value(facts: &NodeFacts, level: Level, text: &str) -> Value {
    let mut map = Map::new();
    map.insert("level", i64::from(level as u8));
    map.insert("id", facts.id.as_str());
    map.insert("type", facts.type_name.as_str());
    if !facts.name.is_empty() {
        map.insert("name", facts.name.as_str());
    }
    map.insert("msg", text);
    Value::object(map)
}

/// A status as taps and status nodes show it.
pub fn status_value(status: &Status) -> Value {
    serde_json::to_value(status).map_or(Value::Null, Value::from)
}

impl Host for NodeHost {
    fn facts(&self) -> &NodeFacts {
        &self.facts
    }

    fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    fn next_id(&self) -> u64 {
        self.shared.next_id()
    }

    fn random(&self) -> u64 {
        self.shared.random()
    }

    fn status(&self, status: Status) {
        {
            let mut shown = self.slot.status.lock();
            if *shown == status {
                return;
            }
            *shown = status.clone();
        }
        self.tap(TapDir::Status, status_value(&status));
        self.shared.observers.tell(Observation::Status { facts: (*self.facts).clone(), status });
    }

    fn report(&self, error: NodeError) {
        self.slot.counters.errors.fetch_add(1, Ordering::Relaxed);
        self.tap(TapDir::Error, log_value(&self.facts, Level::Error, &error.text));
        self.shared.observers.tell(Observation::Error { facts: (*self.facts).clone(), error, handled: false });
    }

    fn log(&self, level: Level, text: String) {
        self.tap(TapDir::Log, log_value(&self.facts, level, &text));
        match level {
            Level::Error | Level::Warn => {
                tracing::warn!(node_id = %self.facts.id, node_type = %self.facts.type_name, "{text}");
            }
            _ => tracing::debug!(node_id = %self.facts.id, node_type = %self.facts.type_name, "{text}"),
        }
        self.shared.observers.tell(Observation::Log { facts: (*self.facts).clone(), level, text });
    }

    fn debug(&self, entry: DebugEntry) {
        self.shared.observers.tell(Observation::Debug { facts: (*self.facts).clone(), entry });
    }

    fn set_timer(&self, key: u64, at_ms: i64) {
        self.shared.timers.set(self.instance, key, at_ms, &self.slot.inbox);
    }

    fn cancel_timer(&self, key: u64) {
        self.shared.timers.cancel(self.instance, key);
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(InboxFeed(self.slot.inbox.clone()))
    }

    fn resource(&self, id: &str) -> Option<Arc<dyn Any + Send + Sync>> {
        self.shared.slot(id)?.resource.lock().clone()
    }

    fn env(&self, name: &str) -> Option<String> {
        (self.shared.env)(name)
    }

    fn credential(&self, key: &str) -> Option<String> {
        self.shared.credentials.get(self.facts.id.as_str(), key)
    }

    fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::Relaxed)
    }

    fn services(&self) -> &Services {
        &self.shared.services
    }
}
