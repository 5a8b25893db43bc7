//! The bench as a node's host: virtual clock, counted ids, everything recorded.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::{Message, NodeId, Value};

use super::Seen;
use super::nothing::Nothing;
use crate::context::{Context, ContextError, ContextScope, ContextValues};
use crate::delivery::Batch;
use crate::error::NodeError;
use crate::host::{DebugEntry, Feed, Host, Keep, Level, NodeFacts, Services};
use crate::node::Signal;
use crate::status::Status;
use crate::token::{Outcome, Token};

pub(super) struct World {
    pub(super) now_ms: i64,
    pub(super) next_id: u64,
    pub(super) seen: Seen,
    pub(super) timers: BTreeMap<(i64, u64), ()>,
    pub(super) fed: Batch,
    pub(super) signals: Vec<Signal>,
    kept: BTreeMap<CompactString, Bytes>,
    context: HashMap<(ContextScope, Option<String>), ContextValues>,
}

pub(super) struct BenchHost {
    facts: NodeFacts,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) resources: HashMap<String, Arc<dyn Any + Send + Sync>>,
    pub(super) credentials: HashMap<String, String>,
    pub(super) services: Services,
    pub(super) settings: HashMap<String, Value>,
    pub(super) env: HashMap<String, Value>,
    pub(super) entries: HashMap<String, NodeId>,
    pub(super) completions: bool,
}

pub(super) fn lock(world: &Arc<Mutex<World>>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BenchHost {
    pub(super) fn new(type_name: &str) -> Self {
        let world = World {
            now_ms: 1_700_000_000_000,
            next_id: 0,
            seen: Seen::default(),
            timers: BTreeMap::new(),
            fed: Batch::new(),
            signals: Vec::new(),
            kept: BTreeMap::new(),
            context: HashMap::new(),
        };
        let nothing = Arc::new(Nothing);
        BenchHost {
            facts: NodeFacts {
                id: "bench".into(),
                type_name: type_name.into(),
                name: "".into(),
                flow: "flow".into(),
                alias: None,
            },
            world: Arc::new(Mutex::new(world)),
            resources: HashMap::new(),
            credentials: HashMap::new(),
            services: Services { log: nothing.clone(), projections: nothing.clone(), http: nothing, broker: None },
            settings: HashMap::new(),
            env: HashMap::new(),
            entries: HashMap::new(),
            completions: false,
        }
    }
}

struct BenchContext(Arc<Mutex<World>>);

impl BenchContext {
    fn with<T>(&self, scope: ContextScope, store: Option<&str>, run: impl FnOnce(&mut ContextValues) -> T) -> T {
        run(lock(&self.0).context.entry((scope, store.map(str::to_owned))).or_default())
    }
}

impl Context for BenchContext {
    fn get(&self, scope: ContextScope, store: Option<&str>, key: &str) -> Result<Value, ContextError> {
        self.with(scope, store, |values| values.get(key))
    }

    fn set(&self, scope: ContextScope, store: Option<&str>, key: &str, value: Value) -> Result<(), ContextError> {
        self.with(scope, store, |values| values.set(key, value).map(drop))
    }

    fn keys(&self, scope: ContextScope, store: Option<&str>) -> Vec<String> {
        self.with(scope, store, |values| values.keys())
    }
}

struct BenchKeep(Arc<Mutex<World>>);

impl Keep for BenchKeep {
    fn keep(&self, key: &str, value: Option<Bytes>, token: Option<Token>) {
        {
            let mut world = lock(&self.0);
            match value {
                Some(value) => world.kept.insert(key.into(), value),
                None => world.kept.remove(key),
            };
        }
        if let Some(token) = token {
            token.finish(Outcome::Done);
        }
    }
}

struct BenchFeed(Arc<Mutex<World>>);

impl Feed for BenchFeed {
    fn feed(&self, deliveries: &mut Batch) -> usize {
        let count = deliveries.len();
        lock(&self.0).fed.append(deliveries);
        count
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn wait_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    fn signal(&self, signal: Signal) {
        lock(&self.0).signals.push(signal);
    }
}

impl Host for BenchHost {
    fn facts(&self) -> &NodeFacts {
        &self.facts
    }

    fn now_ms(&self) -> i64 {
        lock(&self.world).now_ms
    }

    fn next_id(&self) -> u64 {
        let mut world = lock(&self.world);
        world.next_id += 1;
        world.next_id
    }

    fn random(&self) -> u64 {
        // Spread, but the same in every run.
        self.next_id().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn status(&self, status: Status) {
        lock(&self.world).seen.statuses.push(status);
    }

    fn report(&self, error: NodeError, token: Option<Token>) {
        lock(&self.world).seen.errors.push(error);
        if let Some(token) = token {
            token.finish(Outcome::Failed);
        }
    }

    fn wants_message(&self) -> bool {
        self.completions
    }

    fn completed(&self, message: Message) {
        lock(&self.world).seen.completed.push(message);
    }

    fn deliver(&self, to: &NodeId, message: Message, token: Option<Token>) -> Result<(), NodeError> {
        lock(&self.world).seen.delivered.push((to.clone(), message));
        if let Some(token) = token {
            token.finish(Outcome::Done);
        }
        Ok(())
    }

    fn find_entry(&self, id_or_name: &str) -> Result<NodeId, String> {
        self.entries.get(id_or_name).cloned().ok_or_else(|| format!("there is no entry \"{id_or_name}\""))
    }

    fn context(&self) -> Arc<dyn Context> {
        Arc::new(BenchContext(self.world.clone()))
    }

    fn keep(&self, key: &str, value: Option<Bytes>, token: Option<Token>) {
        BenchKeep(self.world.clone()).keep(key, value, token);
    }

    fn keeper(&self) -> Arc<dyn Keep> {
        Arc::new(BenchKeep(self.world.clone()))
    }

    fn kept(&self) -> Vec<(CompactString, Bytes)> {
        lock(&self.world).kept.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn setting(&self, name: &str) -> Option<Value> {
        self.settings.get(name).cloned()
    }

    fn log(&self, level: Level, text: String) {
        lock(&self.world).seen.logs.push((level, text));
    }

    fn debug(&self, entry: DebugEntry) {
        lock(&self.world).seen.debug.push(entry);
    }

    fn set_timer(&self, key: u64, at_ms: i64) {
        let mut world = lock(&self.world);
        world.timers.retain(|(_, other), ()| *other != key);
        world.timers.insert((at_ms, key), ());
    }

    fn cancel_timer(&self, key: u64) {
        lock(&self.world).timers.retain(|(_, other), ()| *other != key);
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(BenchFeed(self.world.clone()))
    }

    fn resource(&self, id: &str) -> Option<Arc<dyn Any + Send + Sync>> {
        self.resources.get(id).cloned()
    }

    fn env(&self, name: &str) -> Option<Value> {
        self.env.get(name).cloned()
    }

    fn credential(&self, key: &str) -> Option<String> {
        self.credentials.get(key).cloned()
    }

    fn revision(&self) -> u64 {
        1
    }

    fn services(&self) -> &Services {
        &self.services
    }
}
