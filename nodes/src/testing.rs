//! What tests of several categories need: handles, an engine, a source that hears what became of its messages.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use tidewire_engine::log_handle::LogHandle;
use tidewire_engine::projections::ProjectionService;
use tidewire_engine::{Engine, EngineConfig, NoCredentials, SystemClock};
use tidewire_log::EventLog;
use tidewire_node_api::handles::{BoxFuture, HandleError, Http, HttpRequest, HttpResponse};
use tidewire_node_api::{AckSink, NodeDef, Outcome, Registry, Services};

struct NoHttp;

impl Http for NoHttp {
    fn send(&self, _request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>> {
        Box::pin(std::future::ready(Err(HandleError::new("no HTTP here"))))
    }
}

/// Handles over a log and its read models; HTTP and broker are not there.
pub(crate) fn services(log: &Arc<dyn EventLog>, projections: &ProjectionService) -> Services {
    Services {
        log: Arc::new(LogHandle::new(Arc::clone(log))),
        projections: Arc::new(projections.clone()),
        http: Arc::new(NoHttp),
        broker: None,
    }
}

/// An engine on the runtime of the test, with all node types and some more.
pub(crate) fn engine(services: Services, more: &[NodeDef]) -> Engine {
    Engine::new(EngineConfig {
        registry: Arc::new(Registry::new(&[crate::all().as_slice(), more].concat()).unwrap()),
        services,
        clock: Arc::new(SystemClock),
        credentials: Arc::new(NoCredentials),
        env: Arc::new(|_| None),
        runtime: tokio::runtime::Handle::current(),
        safe: false,
    })
}

/// A source whose messages all end well: it takes down which did.
#[derive(Default)]
pub(crate) struct Source(pub(crate) Mutex<Vec<u64>>);

impl AckSink for Source {
    fn complete(&self, id: u64, outcome: Outcome) {
        assert_eq!(outcome, Outcome::Done);
        self.0.lock().unwrap().push(id);
    }
}
