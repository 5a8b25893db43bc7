//! Start and stop: listen first, so that the page answers at once; open log, broker and engine beside it; end in the
//! other order.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidewire_broker::{Broker, BrokerSettings};
use tidewire_engine::log_handle::LogHandle;
use tidewire_engine::schemas::Schemas;
use tidewire_log::EventLog;
use tidewire_model::flow::FlowDocument;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, AppState, Core, CoreError, CoreParts, DemoFlows, LogClock};
use crate::assets;
use crate::auth::Auth;
use crate::compaction;
use crate::files::{DataDir, DataDirError, SETTINGS};
use crate::scrub;
use crate::secrets::{Secrets, SecretsError};
use crate::settings::Settings;
use crate::web;
use crate::web::client::Peer;
use tidewire_engine::{Clock as _, SystemClock};
use tidewire_log::private_file::{PrivateFile, PrivateFileError};

/// Time that flows get to finish what they hold when the server stops.
const DRAIN: Duration = Duration::from_secs(3);
/// Time after which the server ends whatever is not done.
const STOP_MAX: Duration = Duration::from_millis(4_800);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Broker(#[from] tidewire_broker::Error),
    #[error("cannot listen on {address}: port {} is in use; stop the program that uses it, or choose another one with --http {}:PORT", address.port(), address.ip())]
    PortInUse { address: std::net::SocketAddr },
    #[error("cannot listen on {address}: {reason}; choose another address with --http")]
    Listen { address: std::net::SocketAddr, reason: String },
    #[error("cannot read the flow file {path}: {reason}; mend it or leave --flows out")]
    FlowFile { path: String, reason: String },
    #[error(
        "--http {0} is reachable from the network, but there is no user yet; run `tidewire user add NAME --role admin` first"
    )]
    NobodyYet(std::net::SocketAddr),
    #[error("{0}")]
    Core(#[from] CoreError),
    #[error("cannot {what}: {reason}")]
    System { what: &'static str, reason: String },
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> ServeError {
    move |error| ServeError::System { what, reason: error.to_string() }
}

/// Reads a flow file as the server's flag has it.
///
/// # Errors
/// When it cannot be read or is no flow file.
pub fn read_flow_file(path: &std::path::Path) -> Result<Value, ServeError> {
    let fail = |reason: String| ServeError::FlowFile { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let document = FlowDocument::parse(&text).map_err(|error| fail(error.to_string()))?;
    Ok(document.to_json())
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// When it cannot start; nothing is half done then.
pub fn run(settings: Settings) -> Result<(), ServeError> {
    let file = settings.flows.as_deref().map(read_flow_file).transpose()?;
    let data = DataDir::new(&settings.data_dir);
    let lock = data.lock()?;
    let auth = Auth::open(data.path(), settings.auth, SystemClock.now_ms())?;
    if auth.needs_setup() && !settings.http.ip().is_loopback() {
        return Err(ServeError::NobodyYet(settings.http));
    }
    let secrets = Arc::new(Secrets::open(data.path())?);
    keep_settings(&data, &settings);
    let listener = listen(&settings)?;
    let log_clock = LogClock::default();
    let log = Core::open_log(&data, settings.log, &settings.personal, settings.log_max_bytes, log_clock.clone())?;
    let broker = settings.mqtt.map(|address| start_broker(address, &log)).transpose()?;
    let web = runtime("web", settings.web_workers)?;
    let graph = runtime("graph", settings.graph_workers)?;
    let ephemeral = settings.ephemeral;
    let app = AppState::new(settings, auth, secrets, log_clock);
    let parts = CoreParts {
        secrets: app.secrets.clone(),
        broker,
        graph: graph.handle().clone(),
        safe: app.settings.safe,
        history: app.settings.history,
    };
    let result = web.block_on(life(&app, &data, listener, log, parts, file));
    graph.shutdown_timeout(Duration::from_millis(100));
    web.shutdown_timeout(Duration::from_millis(100));
    let _ = std::fs::remove_file(data.socket());
    drop(lock);
    if ephemeral {
        let _ = std::fs::remove_dir_all(data.path());
    }
    result
}

/// What a backup needs to start the same server elsewhere.
fn keep_settings(data: &DataDir, settings: &Settings) {
    let file = PrivateFile::new(data.path().join(SETTINGS));
    let text = settings.to_keep();
    let known = file.read().ok().flatten().is_some_and(|known| known == text.as_bytes());
    if let (false, Err(error)) = (known, file.write(text.as_bytes())) {
        tracing::warn!(%error, "the settings cannot be kept for backups");
    }
}

fn listen(settings: &Settings) -> Result<TcpListener, ServeError> {
    let address = settings.http;
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => ServeError::PortInUse { address },
        _ => ServeError::Listen { address, reason: error.to_string() },
    })?;
    listener.set_nonblocking(true).map_err(system("set up the listener"))?;
    Ok(listener)
}

fn start_broker(address: std::net::SocketAddr, log: &Arc<dyn EventLog>) -> Result<Broker, ServeError> {
    let mut broker = BrokerSettings::new(address);
    broker.log = Some(Arc::new(LogHandle::new(Arc::clone(log))));
    broker.waits = true;
    Ok(Broker::start(broker)?)
}

/// Threads that a runtime starts, when they are needed, for what blocks. A slow node takes one while it works, and reads
/// of the log must not wait for those.
const BLOCKING_MAX: usize = 64;

fn runtime(name: &'static str, workers: usize) -> Result<Runtime, ServeError> {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(system("start threads"))
}

async fn life(
    app: &App,
    data: &DataDir,
    listener: TcpListener,
    log: Arc<dyn EventLog>,
    parts: CoreParts,
    file: Option<Value>,
) -> Result<(), ServeError> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate()).map_err(system("listen for signals"))?,
        signal(SignalKind::interrupt()).map_err(system("listen for signals"))?,
    );
    let address = listener.local_addr().map_err(system("set up the listener"))?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(system("set up the listener"))?;
    serve_network(app, listener);
    serve_socket(app, data)?;
    let demo = app.settings.demo.then(|| demo_flows(&app.settings, parts.broker.as_ref())).flatten();
    let opening = Schemas::open(Arc::clone(&log));
    let schemas = tokio::select! {
        opened = opening => opened.map_err(CoreError::Log)?,
        _ = terminate.recv() => {
            log.close().await;
            return Ok(());
        }
        _ = interrupt.recv() => {
            log.close().await;
            return Ok(());
        }
    };
    let core = {
        // Schemas of all node types are compiled here, which takes a while.
        let built = tokio::task::spawn_blocking({
            let handle = tokio::runtime::Handle::current();
            move || {
                let _inside = handle.enter();
                Core::build(log, schemas, parts)
            }
        });
        Arc::new(built.await.map_err(|error| ServeError::System { what: "start", reason: error.to_string() })??)
    };
    app.has_started("event log");
    core.engine.contexts().configure(app.settings.context.clone());
    core.engine.set_inbox_memory((app.settings.inbox_mib as usize) << 20);
    core.engine.set_max_hops(app.settings.max_hops);
    for (name, value) in &app.settings.node_settings {
        core.engine.set_setting(name, tidewire_model::Value::from(value));
    }
    let loaded = tokio::select! {
        loaded = core.load(file, demo) => loaded,
        _ = terminate.recv() => return stop(app, core).await,
        _ = interrupt.recv() => return stop(app, core).await,
    };
    if let Err(error) = loaded {
        core.stop(Duration::ZERO).await;
        return Err(error.into());
    }
    core.look_after_keys();
    core.let_devices_in();
    app.set_core(core.clone());
    tokio::spawn(compaction::keep(Arc::downgrade(&core), compaction::Pace::default(), app.shutdown.clone()));
    if let Some(days) = app.settings.scrub_days {
        tokio::spawn(scrub::keep(app.clone(), Arc::downgrade(&core), days, app.shutdown.clone()));
    }
    announce(app, address);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop(app, core).await
}

/// The one line for the person who started it.
fn announce(app: &App, address: std::net::SocketAddr) {
    let host =
        if address.ip().is_unspecified() { format!("127.0.0.1:{}", address.port()) } else { address.to_string() };
    let place = app.auth.setup.take_text().map(|token| format!("/setup?token={token}"));
    println!("Open: http://{host}{}", place.unwrap_or_default());
    if rustix::process::geteuid().is_root() {
        tracing::warn!("running as root; a user of its own is safer");
    }
    let took = app.started.elapsed();
    tracing::info!(address = %address, took_ms = took.as_millis(), "started");
}

async fn stop(app: &App, core: Arc<Core>) -> Result<(), ServeError> {
    tracing::info!("stopping");
    app.take_core();
    app.shutdown.cancel();
    if tokio::time::timeout(STOP_MAX, core.stop(DRAIN)).await.is_err() {
        tracing::warn!("stopped before everything was done");
    }
    tracing::info!("stopped");
    Ok(())
}

fn serve_network(app: &App, listener: tokio::net::TcpListener) {
    let service = web::service(app).into_make_service_with_connect_info::<Peer>();
    let shutdown = app.shutdown.clone();
    tokio::spawn(async move {
        let served = axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(error = %error, "HTTP listener ended");
        }
    });
}

/// The socket in the data folder, for the other commands of this binary.
fn serve_socket(app: &App, data: &DataDir) -> Result<(), ServeError> {
    let path = data.socket();
    // The folder is locked: whoever left this socket is gone.
    let _ = std::fs::remove_file(&path);
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            tracing::warn!(path = %path.display(), "the path is too long for a socket; other commands cannot reach this server");
            return Ok(());
        }
        Err(error) => return Err(system("make the socket in the data folder")(error)),
    };
    data.protect_socket().map_err(system("protect the socket in the data folder"))?;
    let service = web::service(app).into_make_service_with_connect_info::<Peer>();
    let shutdown = app.shutdown.clone();
    tokio::spawn(async move {
        let served = axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(error = %error, "socket of the data folder ended");
        }
    });
    Ok(())
}

/// The demo, told where the embedded broker really listens; none without that broker.
fn demo_flows(settings: &Settings, broker: Option<&Broker>) -> Option<DemoFlows> {
    if settings.flows.is_some() {
        return None;
    }
    let port = broker?.local_addr().port();
    let text = assets::demo_flows()?;
    let mut flows: Value = serde_json::from_str(&text).ok()?;
    for node in flows.as_array_mut()?.iter_mut().filter_map(Value::as_object_mut) {
        if node.get("type").and_then(Value::as_str) == Some("mqtt-broker") {
            node.insert("port".to_owned(), port.to_string().into());
        }
    }
    Some(DemoFlows(flows))
}
