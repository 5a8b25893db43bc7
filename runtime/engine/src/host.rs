//! The engine as one instance of a node sees it.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::{Map, Message, NodeId, Value};
use tidewire_node_api::{
    Context, DebugEntry, Delivery, Feed, Host, Keep, Level, NodeError, NodeFacts, Outcome, Services, Status, Token,
};

use crate::contexts::NodeContext;
use crate::inbox::InboxFeed;
use crate::kept;
use crate::listeners::Fate;
use crate::observe::{Observation, TapDir, TapFrame};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::wiring::finish;

/// See the module.
pub struct NodeHost {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    facts: Arc<NodeFacts>,
    instance: u64,
    /// In a replay: handles that take down instead of doing.
    withheld: Option<Box<Services>>,
    /// Work of the node ran too long since the last look.
    runaway: AtomicBool,
}

impl NodeHost {
    /// The host of a new instance of a slot's node.
    pub fn new(shared: Arc<Shared>, slot: Arc<Slot>) -> Self {
        let instance = shared.next_id();
        slot.instance.store(instance, Ordering::Relaxed);
        let facts = slot.facts();
        NodeHost { withheld: shared.withheld(&facts), runaway: AtomicBool::new(false), facts, shared, slot, instance }
    }

    /// Whether work of the node ran too long since the last look.
    pub fn ran_away(&self) -> bool {
        self.runaway.swap(false, Ordering::Relaxed)
    }

    pub fn instance(&self) -> u64 {
        self.instance
    }

    fn tap(&self, dir: TapDir, message: Value, handled: bool) {
        if self.slot.is_tapped() {
            let node = self.facts.id.clone();
            self.shared.observers.tapped(TapFrame { node, dir, port: None, message, handled });
        }
    }
}

/// Sets the status of a slot's node, and tells whoever listens.
pub fn show_status(shared: &Shared, slot: &Slot, status: Status) {
    let listeners = slot.listeners.load();
    let same = {
        let mut shown = slot.status.lock();
        let same = *shown == status;
        *shown = status.clone();
        same
    };
    let facts = slot.facts();
    if !listeners.statuses.is_empty() {
        listeners.tell_status(&facts, status_value(&status), shared.next_id());
    }
    if slot.is_tapped() {
        let (node, message) = (facts.id.clone(), status_value(&status));
        shared.observers.tapped(TapFrame { node, dir: TapDir::Status, port: None, message, handled: false });
    }
    if same {
        return;
    }
    shared.observers.tell(Observation::Status { facts: (*facts).clone(), status });
}

/// An error as taps show it.
fn error_line(facts: &NodeFacts, error: &NodeError) -> Value {
    let mut line = log_value(facts, Level::Error, &error.text).as_object().cloned().unwrap_or_default();
    if let Some(code) = error.code {
        line.insert("key", code);
    }
    Value::object(line)
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

/// Puts or removes a record of a slot's node; `token` ends well once that is durable.
fn keep(shared: &Shared, slot: &Slot, key: &str, value: Option<Bytes>, token: Option<Token>) {
    {
        let mut kept = slot.kept.lock();
        match value.clone() {
            Some(value) => kept.insert(key.into(), value),
            None => kept.remove(key),
        };
    }
    if slot.forgetful.load(Ordering::Relaxed) {
        return finish(token, Outcome::Done);
    }
    shared.keeper.keep(kept::change(&slot.facts().id, key, value.as_ref()), token);
}

/// The records of a node for who is not its task. It does not keep the engine alive.
struct SlotKeep {
    shared: Weak<Shared>,
    slot: Arc<Slot>,
}

impl Keep for SlotKeep {
    fn keep(&self, key: &str, value: Option<Bytes>, token: Option<Token>) {
        match self.shared.upgrade() {
            Some(shared) => keep(&shared, &self.slot, key, value, token),
            None => finish(token, Outcome::Lost),
        }
    }
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
        show_status(&self.shared, &self.slot, status);
    }

    fn report(&self, error: NodeError, token: Option<Token>) {
        self.slot.counters.errors.fetch_add(1, Ordering::Relaxed);
        if error.is_runaway() {
            self.runaway.store(true, Ordering::Relaxed);
        }
        let listeners = self.slot.listeners.load();
        let fate = listeners.fate(&self.facts, &error);
        let handled = fate == Fate::Heard;
        self.tap(TapDir::Error, error_line(&self.facts, &error), handled);
        let seen = error.clone();
        self.shared.observers.tell(Observation::Error { facts: (*self.facts).clone(), error: seen, handled });
        if fate == Fate::Looping {
            self.log(Level::Warn, "Message exceeded maximum number of catches".into());
        }
        if handled {
            listeners.tell_error(&self.facts, error, token);
        } else {
            self.shared.dead_letters.report(&self.facts, &error, self.revision());
            finish(token, Outcome::Failed);
        }
    }

    fn wants_message(&self) -> bool {
        self.slot.names_messages.load(Ordering::Relaxed)
    }

    fn completed(&self, message: Message) {
        let listeners = self.slot.listeners.load();
        if !listeners.completions.is_empty() {
            listeners.tell_completion(&self.facts, message);
        }
    }

    fn deliver(&self, to: &NodeId, message: Message, token: Option<Token>) -> Result<(), NodeError> {
        let Some(slot) = self.shared.slot(to.as_str()) else {
            finish(token, Outcome::Failed);
            return Err(NodeError::new(format!("there is no node \"{to}\" to send to")).on(message));
        };
        slot.inbox.push_feedback(Delivery::from_source(message, token)).map_err(|delivery| {
            finish(delivery.token, Outcome::Failed);
            NodeError::new(format!("node \"{to}\" takes no more messages")).on(delivery.message)
        })
    }

    fn find_entry(&self, id_or_name: &str) -> Result<NodeId, String> {
        self.shared.entries.load().find(id_or_name, &self.facts.flow)
    }

    fn context(&self) -> Arc<dyn Context> {
        let (node, flow) = (self.facts.id.clone(), self.facts.flow.clone());
        Arc::new(NodeContext { contexts: self.shared.contexts.clone(), node, flow })
    }

    fn keep(&self, key: &str, value: Option<Bytes>, token: Option<Token>) {
        keep(&self.shared, &self.slot, key, value, token);
    }

    fn keeper(&self) -> Arc<dyn Keep> {
        Arc::new(SlotKeep { shared: Arc::downgrade(&self.shared), slot: self.slot.clone() })
    }

    fn kept(&self) -> Vec<(CompactString, Bytes)> {
        self.slot.kept.lock().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn setting(&self, name: &str) -> Option<Value> {
        self.shared.settings.read().get(name).cloned()
    }

    fn log(&self, level: Level, text: String) {
        self.tap(TapDir::Log, log_value(&self.facts, level, &text), false);
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

    fn env(&self, name: &str) -> Option<Value> {
        self.shared.environment.load().get(self.facts.id.as_str(), name)
    }

    fn credential(&self, key: &str) -> Option<String> {
        self.shared.credentials.get(self.facts.id.as_str(), key)
    }

    fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::Relaxed)
    }

    fn services(&self) -> &Services {
        self.withheld.as_deref().unwrap_or(&self.shared.services)
    }

    fn only_records(&self) -> bool {
        self.withheld.is_some()
    }
}
