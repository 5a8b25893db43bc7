//! A log that keeps records, tells what is on disk, and can be told to be slow.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tidewire_model::{
    append::{AppendError, AppendRequest, Appended, StateChange},
    position::Position,
    query::{Filter, Page, Query, Start},
};
use tidewire_node_api::handles::{BoxFuture, Durable, HandleError, Log, Records, Subscription};
use tokio::sync::watch;

type Map = BTreeMap<String, Bytes>;

#[derive(Default)]
struct Disk {
    records: Map,
    waiting: Vec<StateChange>,
}

/// See the module.
pub struct TestLog {
    disk: Arc<Mutex<Disk>>,
    /// Whether what is handed over reaches the disk.
    syncs: watch::Sender<bool>,
}

impl TestLog {
    pub fn new() -> Arc<Self> {
        Self::with(Map::new())
    }

    fn with(records: Map) -> Arc<Self> {
        let disk = Disk { records, waiting: Vec::new() };
        Arc::new(Self { disk: Arc::new(Mutex::new(disk)), syncs: watch::channel(true).0 })
    }

    /// Lets the disk take its time, or not any more.
    pub fn stall(&self, stalled: bool) {
        if !stalled {
            let mut disk = self.disk.lock().unwrap();
            let waiting = std::mem::take(&mut disk.waiting);
            waiting.into_iter().for_each(|change| apply(&mut disk.records, change));
        }
        self.syncs.send_replace(!stalled);
    }

    /// What a process that starts after a kill right now finds.
    pub fn after_a_kill(&self) -> Arc<Self> {
        Self::with(self.disk.lock().unwrap().records.clone())
    }

    pub fn count(&self, prefix: &str) -> usize {
        self.disk.lock().unwrap().records.keys().filter(|key| key.starts_with(prefix)).count()
    }
}

fn apply(records: &mut Map, change: StateChange) {
    match change.value {
        Some(value) => records.insert(change.key.to_string(), value),
        None => records.remove(change.key.as_str()),
    };
}

impl Log for TestLog {
    fn append(&self, _requests: Vec<AppendRequest>) -> BoxFuture<Vec<Result<Appended, AppendError>>> {
        unreachable!("the broker appends no events")
    }

    fn read(&self, _query: Query) -> BoxFuture<Result<Page, HandleError>> {
        unreachable!("the broker reads no events")
    }

    fn subscribe(&self, _filter: Filter, _start: Start) -> Box<dyn Subscription> {
        unreachable!("the broker reads no events")
    }

    fn save_checkpoint(&self, _name: &str, _position: Position) -> BoxFuture<Result<(), HandleError>> {
        unreachable!("the broker keeps no checkpoints")
    }

    fn put(&self, changes: Vec<StateChange>) -> BoxFuture<Result<Durable, HandleError>> {
        let mut syncs = self.syncs.subscribe();
        let mut disk = self.disk.lock().unwrap();
        if *syncs.borrow() {
            changes.into_iter().for_each(|change| apply(&mut disk.records, change));
        } else {
            disk.waiting.extend(changes);
        }
        let durable: Durable = Box::pin(async move {
            syncs.wait_for(|syncs| *syncs).await.map(drop).map_err(|error| HandleError::new(error.to_string()))
        });
        Box::pin(std::future::ready(Ok(durable)))
    }

    fn records(&self, prefix: &str) -> BoxFuture<Result<Records, HandleError>> {
        let disk = self.disk.lock().unwrap();
        let records = disk.records.iter().filter(|(key, _)| key.starts_with(prefix));
        let records = records.map(|(key, value)| (key.as_str().into(), value.clone())).collect();
        Box::pin(std::future::ready(Ok(records)))
    }

    fn head(&self) -> Position {
        Position::default()
    }
}
