//! The running broker: one thread with its own scheduler, started, asked and stopped from outside.

use crate::{
    BrokerSettings, Error,
    auth::Gate,
    connection::{Shared, serve},
};
use mqtt5::{
    broker::{
        BrokerConfig, DynamicStorage, FileBackend, MemoryBackend, ResourceLimits, ResourceMonitor, StorageBackend,
        router::MessageRouter, storage::QueueLimits, sys_topics::BrokerStats,
    },
    error::MqttError,
};
use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering, mpsc},
    task::{Context, Poll, Waker},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::broadcast,
};
use tracing::{info, warn};

/// How often expired sessions and messages are swept out.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Room in a client's lane beyond the retained messages that a subscription may bring at once: QoS 0 messages that do
/// not fit are dropped by the library.
const LANE_HEADROOM: usize = 4_096;

/// A running broker. Stops when dropped.
pub struct Broker {
    address: SocketAddr,
    stats: Arc<BrokerStats>,
    router: Arc<MessageRouter>,
    shutdown: broadcast::Sender<()>,
    thread: Option<JoinHandle<()>>,
    rate: Mutex<Rate>,
}

/// What the broker is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Clients connected now.
    pub clients: usize,
    /// Messages that clients published, since the start.
    pub messages_received: u64,
    /// Messages delivered to clients, since the start.
    pub messages_sent: u64,
    /// Payload bytes that clients published, since the start.
    pub bytes_received: u64,
    /// Payload bytes delivered to clients, since the start.
    pub bytes_sent: u64,
    /// Messages published per second since the previous call of [`Broker::stats`].
    pub messages_per_s: f64,
    /// Retained messages held.
    pub retained: usize,
}

#[derive(Debug)]
struct Rate {
    at: Instant,
    received: u64,
    retained: usize,
}

impl Broker {
    /// Binds the address, restores sessions and retained messages, and serves clients on a thread of its own.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, the store cannot be opened or the thread cannot be started; the text says how
    /// to mend it.
    pub fn start(settings: BrokerSettings) -> Result<Self, Error> {
        let asked = settings.listen;
        let listener = TcpListener::bind(asked).map_err(|source| Error::listen(asked, source))?;
        listener.set_nonblocking(true).map_err(|source| Error::listen(asked, source))?;
        let address = listener.local_addr().map_err(|source| Error::listen(asked, source))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()
            .map_err(|source| Error::Thread { source })?;
        let (shutdown, _) = broadcast::channel(1);
        let (report, started) = mpsc::sync_channel(1);
        let thread = {
            let shutdown = shutdown.clone();
            std::thread::Builder::new()
                .name("mqtt-broker".into())
                .spawn(move || run(&runtime, listener, address, settings, shutdown, &report))
                .map_err(|source| Error::Thread { source })?
        };
        let (router, stats) = started
            .recv()
            .unwrap_or_else(|_| Err(Error::Restore { reason: "the broker thread ended while it started".into() }))?;
        info!(%address, "mqtt broker started");
        let rate = Mutex::new(Rate { at: Instant::now(), received: 0, retained: 0 });
        Ok(Self { address, stats, router, shutdown, thread: Some(thread), rate })
    }

    /// The address that clients connect to, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What the broker is doing now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let received = self.stats.publish_received.load(Ordering::Relaxed);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = rate.at.elapsed().as_secs_f64();
        let since = received.saturating_sub(rate.received);
        // The count is behind a lock of the library; while a message is being retained the last answer has to do.
        if let Poll::Ready(retained) = pin!(self.router.retained_count()).poll(&mut Context::from_waker(Waker::noop()))
        {
            rate.retained = retained;
        }
        rate.at = Instant::now();
        rate.received = received;
        Stats {
            clients: self.stats.clients_connected.load(Ordering::Relaxed),
            messages_received: received,
            messages_sent: self.stats.publish_sent.load(Ordering::Relaxed),
            bytes_received: self.stats.bytes_received.load(Ordering::Relaxed),
            bytes_sent: self.stats.bytes_sent.load(Ordering::Relaxed),
            messages_per_s: if seconds > 0.0 { since as f64 / seconds } else { 0.0 },
            retained: rate.retained,
        }
    }

    /// Tells the clients, writes out what is to be kept, and ends the thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // No receiver means that the thread has ended already.
        let _ = self.shutdown.send(());
        if thread.join().is_err() {
            warn!("mqtt broker thread ended by a panic");
        }
        info!(address = %self.address, "mqtt broker stopped");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("address", &self.address).finish_non_exhaustive()
    }
}

type Started = Result<(Arc<MessageRouter>, Arc<BrokerStats>), Error>;

/// The broker thread.
fn run(
    runtime: &Runtime,
    listener: TcpListener,
    address: SocketAddr,
    settings: BrokerSettings,
    shutdown: broadcast::Sender<()>,
    report: &mpsc::SyncSender<Started>,
) {
    runtime.block_on(async {
        let prepared = async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(|e| Error::listen(address, e))?;
            Ok((listener, prepare(settings, shutdown).await?))
        };
        let (listener, shared) = match prepared.await {
            Ok(ready) => ready,
            Err(error) => {
                let _ = report.send(Err(error));
                return;
            }
        };
        // Before anybody can ask for a stop, so that it is not missed.
        let stopped = shared.shutdown.subscribe();
        if report.send(Ok((Arc::clone(&shared.router), Arc::clone(&shared.stats)))).is_err() {
            return;
        }
        let (router, storage, monitor) =
            (Arc::clone(&shared.router), Arc::clone(&shared.storage), Arc::clone(&shared.monitor));
        tokio::select! {
            () = sweep(&router, &storage, &monitor) => {}
            () = serve(listener, shared, stopped) => {}
        }
        if let Err(error) = storage.shutdown().await {
            warn!(%error, "mqtt sessions could not be written out");
        }
    });
}

/// Opens the store, restores what is in it, and sets the library's limits.
async fn prepare(settings: BrokerSettings, shutdown: broadcast::Sender<()>) -> Result<Shared, Error> {
    let limits = &settings.limits;
    let storage = open_storage(
        settings.data_dir.as_deref(),
        QueueLimits { max_messages: limits.queued_max, max_bytes: limits.queued_bytes_max },
    )
    .await?;
    let config = library_config(&settings);
    let router = Arc::new(
        MessageRouter::with_storage(Arc::clone(&storage))
            .with_retained_limits(limits.retained_max, limits.packet_bytes_max),
    );
    let restore = |error: MqttError| Error::Restore { reason: error.to_string() };
    let expiry_max = u32::try_from(config.session_expiry_interval.as_secs()).unwrap_or(u32::MAX);
    router.recover_sessions(expiry_max).await.map_err(restore)?;
    storage.cleanup_expired().await.map_err(restore)?;
    router.initialize().await.map_err(restore)?;
    let monitor = ResourceMonitor::new(ResourceLimits {
        max_connections: limits.clients_max,
        max_connections_per_ip: limits.clients_max,
        max_connection_rate: 10_000,
        max_message_rate_per_client: 0,
        max_bandwidth_per_client: 0,
        rate_limit_window: Duration::from_secs(1),
    });
    Ok(Shared {
        config: Arc::new(config),
        router,
        gate: Arc::new(Gate(settings.authenticator)),
        storage,
        stats: Arc::new(BrokerStats::new()),
        monitor: Arc::new(monitor),
        shutdown,
    })
}

async fn open_storage(folder: Option<&Path>, limits: QueueLimits) -> Result<Arc<DynamicStorage>, Error> {
    let storage = match folder {
        None => DynamicStorage::Memory(MemoryBackend::with_queue_limits(limits)),
        Some(folder) => DynamicStorage::File(
            FileBackend::with_queue_limits(folder, limits)
                .await
                .map_err(|error| Error::Storage { folder: folder.into(), reason: error.to_string() })?,
        ),
    };
    Ok(Arc::new(storage))
}

fn library_config(settings: &BrokerSettings) -> BrokerConfig {
    let limits = &settings.limits;
    let mut config = BrokerConfig::default()
        .with_bind_address(settings.listen)
        .with_max_clients(limits.clients_max)
        .with_max_packet_size(limits.packet_bytes_max)
        .with_max_subscriptions_per_client(limits.subscriptions_max)
        .with_max_retained_messages(limits.retained_max)
        .with_max_retained_message_size(limits.packet_bytes_max)
        .with_client_channel_capacity(limits.retained_max + LANE_HEADROOM)
        .with_max_outbound_inflight(limits.inflight_max);
    config.server_receive_maximum = Some(limits.inflight_max);
    config.sys_topics_enabled = false;
    config
}

/// Removes what has expired, for ever.
async fn sweep(router: &MessageRouter, storage: &DynamicStorage, monitor: &ResourceMonitor) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = storage.cleanup_expired().await {
            warn!(%error, "expired mqtt sessions could not be removed");
        }
        router.sweep_sessions().await;
        monitor.cleanup_expired_windows().await;
    }
}
