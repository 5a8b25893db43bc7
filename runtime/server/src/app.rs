//! What every request can reach: settings and access control at once, the running parts as soon as they run.

mod core;
mod environment;
mod log_clock;
mod personal;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidewire_engine::{Clock, SystemClock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::ingest::Ingest;
use crate::metrics::HttpMetrics;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::web::guard::Caller;
use crate::web::route::Route;

pub use environment::Environment;
pub use log_clock::LogClock;

pub use core::{Author, Core, CoreError, CoreParts, DemoFlows, Deployment};

/// Shared by all requests.
pub type App = Arc<AppState>;

/// See [`App`].
pub struct AppState {
    pub settings: Settings,
    pub auth: Auth,
    pub secrets: Arc<Secrets>,
    pub http: HttpMetrics,
    pub ingest: Ingest,
    pub log_clock: LogClock,
    /// Ends sockets and streams when the server stops.
    pub shutdown: CancellationToken,
    pub started: Instant,
    core: watch::Sender<Option<Arc<Core>>>,
    starting: Mutex<Vec<&'static str>>,
    routes: OnceLock<Arc<[Route]>>,
    clock: SystemClock,
}

impl AppState {
    pub fn new(settings: Settings, auth: Auth, secrets: Arc<Secrets>, log_clock: LogClock) -> App {
        let ingest = Ingest::new(settings.append_rate);
        Arc::new(AppState {
            ingest,
            settings,
            auth,
            secrets,
            http: HttpMetrics::default(),
            log_clock,
            shutdown: CancellationToken::new(),
            started: Instant::now(),
            core: watch::channel(None).0,
            starting: Mutex::new(vec!["event log", "flows"]),
            routes: OnceLock::new(),
            clock: SystemClock,
        })
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The running parts, if they run.
    pub fn core(&self) -> Option<Arc<Core>> {
        self.core.borrow().clone()
    }

    /// The running parts, waiting for them for a while.
    pub async fn core_within(&self, patience: Duration) -> Option<Arc<Core>> {
        let mut core = self.core.subscribe();
        let ready = tokio::time::timeout(patience, core.wait_for(Option::is_some)).await;
        ready.ok()?.ok()?.clone()
    }

    /// Whether a caller whose socket is open may still use it: its session or token may have ended meanwhile.
    pub fn still_allowed(&self, caller: &Caller) -> bool {
        caller.secret.as_ref().is_none_or(|secret| self.auth.by_secret(secret, self.now_ms()).is_some())
    }

    /// Lets requests through to the running parts.
    pub fn set_core(&self, core: Arc<Core>) {
        self.core.send_replace(Some(core));
        self.starting.lock().clear();
    }

    /// Takes them away again, at the end.
    pub fn take_core(&self) -> Option<Arc<Core>> {
        self.core.send_replace(None)
    }

    /// One part less to wait for.
    pub fn has_started(&self, part: &str) {
        self.starting.lock().retain(|other| *other != part);
    }

    /// What is still starting.
    pub fn starting(&self) -> Vec<&'static str> {
        self.starting.lock().clone()
    }

    pub fn set_route_table(&self, table: Arc<[Route]>) {
        // The service is built once.
        let _ = self.routes.set(table);
    }

    pub fn route_table(&self) -> Arc<[Route]> {
        self.routes.get().cloned().unwrap_or_else(|| Arc::from([]))
    }
}
