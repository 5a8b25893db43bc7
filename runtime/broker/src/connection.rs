//! Accepts clients and runs each in a task of its own.

use crate::{auth::Gate, stream::ClientStream};
use mqtt5::broker::{
    BrokerConfig, DynamicStorage, ResourceMonitor, client_handler::ClientHandler, router::MessageRouter,
    sys_topics::BrokerStats, transport::BrokerTransport,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::JoinSet,
    time::Instant,
};
use tracing::{debug, warn};

/// Pause after a failed accept (no file descriptors left, say): clients that are connected go on.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a failing accept is logged.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How long clients get to be told that the broker stops.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) router: Arc<MessageRouter>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) storage: Arc<DynamicStorage>,
    pub(crate) stats: Arc<BrokerStats>,
    pub(crate) monitor: Arc<ResourceMonitor>,
    pub(crate) shutdown: broadcast::Sender<()>,
}

/// Serves clients until shutdown is signalled, then waits until they have been told, within bounds.
pub(crate) async fn serve(listener: TcpListener, shared: Shared, mut shutdown: broadcast::Receiver<()>) {
    let mut clients = JoinSet::new();
    let mut last_logged: Option<Instant> = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, address)) => {
                    if shared.monitor.can_accept_connection(address.ip()).await {
                        clients.spawn(run_client(socket, address, shared.clone()));
                    } else {
                        debug!(%address, "mqtt client turned away, limit reached");
                    }
                }
                Err(error) => {
                    if last_logged.is_none_or(|at| at.elapsed() >= ACCEPT_LOG_INTERVAL) {
                        warn!(%error, "mqtt client could not be accepted");
                        last_logged = Some(Instant::now());
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = clients.join_next(), if !clients.is_empty() => {
                if let Err(error) = ended {
                    warn!(%error, "mqtt connection ended by a panic");
                }
            }
            _ = shutdown.recv() => break,
        }
    }
    drop(listener);
    let all_told = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE_MAX, all_told).await.is_err() {
        warn!("mqtt clients did not end in time");
    }
}

async fn run_client(socket: TcpStream, address: SocketAddr, shared: Shared) {
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%address, %error, "mqtt socket option refused");
    }
    let shutdown = shared.shutdown.subscribe();
    let handler = ClientHandler::new(
        BrokerTransport::WebSocket(Box::new(ClientStream::new(socket, address))),
        address,
        shared.config,
        shared.router,
        shared.gate,
        Some(shared.storage),
        shared.stats,
        shared.monitor,
        shutdown,
    );
    if let Err(error) = handler.run().await {
        debug!(%address, %error, "mqtt connection ended");
    }
}
