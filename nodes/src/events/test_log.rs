//! A real log and real read models in memory, for tests of the nodes here.

use std::sync::Arc;

use serde_json::Value as Json;
use tidewire_engine::projections::ProjectionService;
use tidewire_log::{EventLog, MemoryLog};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Event, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::Services;
use tidewire_node_api::bench::Bench;
use tokio::runtime::{Builder, Runtime};

pub(crate) struct TestLog {
    pub(crate) runtime: Runtime,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) projections: ProjectionService,
}

impl TestLog {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
        let projections = ProjectionService::new(Arc::clone(&log), runtime.handle().clone());
        TestLog { runtime, log, projections }
    }

    pub(crate) fn services(&self) -> Services {
        crate::testing::services(&self.log, &self.projections)
    }

    pub(crate) fn append(&self, stream: &str, event_type: &str, data: Json) -> Position {
        let request = AppendRequest::one(StreamName::new(stream).unwrap(), NewEvent::json(event_type, &data));
        self.runtime.block_on(self.log.append(vec![request])).unwrap()[0].last_position
    }

    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        let query = Query::forwards(Filter::default(), Position::FIRST, 10_000);
        self.runtime.block_on(self.log.read(query)).unwrap().events
    }

    /// Waits until a read model has seen everything.
    pub(crate) fn caught_up(&self, projection: &str) {
        let wait = self.projections.wait_for(projection, self.log.head());
        let patience = std::time::Duration::from_secs(20);
        self.runtime.block_on(async { tokio::time::timeout(patience, wait).await }).unwrap().unwrap();
    }
}

/// Lets background work feed the bench until `enough` messages have left the node.
pub(crate) fn collect(mut bench: Bench, enough: usize) -> (Bench, Vec<tidewire_model::Message>) {
    let mut messages = Vec::new();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while messages.len() < enough {
        assert!(std::time::Instant::now() < deadline, "only {} of {enough} messages came", messages.len());
        bench = bench.signal(tidewire_node_api::Signal::Own(Box::new(())));
        messages.extend(bench.take().into_iter().map(|(_, message)| message));
        std::thread::yield_now();
    }
    (bench, messages)
}
