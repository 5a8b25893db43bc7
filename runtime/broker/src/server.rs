//! The running broker: one thread with its own scheduler, started, asked and stopped from outside.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidewire_node_api::broker::LocalBroker;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};
use tracing::{debug, error, info, warn};

use crate::connection::{self, SharedHub};
use crate::counters::Counters;
use crate::hub::Hub;
use crate::link::{Door, Inlet, Order};
use crate::message::now_ms;
use crate::store::{self, Store};
use crate::{BrokerSettings, Error};

/// Pause after a failed accept (no file descriptors left, say): clients that are connected go on.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a failing accept is logged.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How long clients get to be told that the broker stops.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// How long the records get to reach the disk when the broker stops.
const STORE_MAX: Duration = Duration::from_secs(2);

/// A running broker. Stops when dropped.
pub struct Broker {
    address: SocketAddr,
    counters: Arc<Counters>,
    inlet: Arc<Inlet>,
    shutdown: Arc<Notify>,
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
    /// Messages dropped since the start: of QoS 0 for clients and nodes that are too slow, and the oldest of clients
    /// that are away for too long.
    pub messages_dropped: u64,
    /// Retained messages held.
    pub retained: usize,
}

#[derive(Debug)]
struct Rate {
    at: Instant,
    received: u64,
}

impl Broker {
    /// Binds the address and serves clients on a thread of its own, as soon as sessions and retained messages are
    /// restored.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound or the thread cannot be started; the text says how to mend it.
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
        let (counters, inlet, shutdown) =
            (Arc::<Counters>::default(), Arc::<Inlet>::default(), Arc::new(Notify::new()));
        let thread = {
            let (counters, inlet, shutdown) = (Arc::clone(&counters), Arc::clone(&inlet), Arc::clone(&shutdown));
            std::thread::Builder::new()
                .name("mqtt-broker".into())
                .spawn(move || run(&runtime, listener, settings, counters, &inlet, &shutdown))
                .map_err(|source| Error::Thread { source })?
        };
        info!(%address, "mqtt broker started");
        let rate = Mutex::new(Rate { at: Instant::now(), received: 0 });
        Ok(Self { address, counters, inlet, shutdown, thread: Some(thread), rate })
    }

    /// The address that clients connect to, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The way to it for nodes in this process.
    #[must_use]
    pub fn local(&self) -> Arc<dyn LocalBroker> {
        Arc::new(Door { address: self.address, inlet: Arc::clone(&self.inlet) })
    }

    /// Has it take messages from devices, as soon as the links that exist have said what they want; see
    /// [`BrokerSettings::waits`].
    pub fn open(&self) {
        self.inlet.order(Order::Intake(true));
    }

    /// Has it take no more messages from devices, so that what is under way can end.
    pub fn hold(&self) {
        self.inlet.order(Order::Intake(false));
    }

    /// What the broker is doing now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = &self.counters;
        let received = counters.received.load(Relaxed);
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = rate.at.elapsed().as_secs_f64();
        let since = received.saturating_sub(rate.received);
        *rate = Rate { at: Instant::now(), received };
        Stats {
            clients: counters.clients.load(Relaxed),
            messages_received: received,
            messages_sent: counters.sent.load(Relaxed),
            bytes_received: counters.bytes_received.load(Relaxed),
            bytes_sent: counters.bytes_sent.load(Relaxed),
            messages_per_s: if seconds > 0.0 { since as f64 / seconds } else { 0.0 },
            messages_dropped: counters.dropped.load(Relaxed),
            retained: counters.retained.load(Relaxed),
        }
    }

    /// Tells the clients, writes out what is to be kept, and ends the thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shutdown.notify_one();
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

/// The broker thread.
fn run(
    runtime: &Runtime,
    listener: TcpListener,
    settings: BrokerSettings,
    counters: Arc<Counters>,
    inlet: &Inlet,
    shutdown: &Notify,
) {
    let clients_max = settings.limits.clients_max;
    let store = Store::new(settings.log);
    let hub = Hub::new(settings.limits, settings.authenticator, counters, store, !settings.waits);
    let hub = Rc::new(RefCell::new(hub));
    let local = LocalSet::new();
    local.block_on(runtime, async {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return error!(%error, "mqtt broker cannot listen"),
        };
        let mut clients = JoinSet::new();
        let serving = async {
            if restore(&hub).await {
                tokio::task::spawn_local(keep(Rc::clone(&hub)));
                tokio::select! {
                    () = serve(listener, &hub, clients_max, &mut clients) => {}
                    () = obey(&hub, inlet) => {}
                    () = watch(&hub) => {}
                }
            }
        };
        tokio::select! {
            () = serving => {}
            () = shutdown.notified() => {}
        }
        hub.borrow_mut().say_goodbye();
        let all_told = async { while clients.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE_MAX, all_told).await.is_err() {
            warn!("mqtt clients did not end in time");
        }
        if tokio::time::timeout(STORE_MAX, keep_rest(&hub)).await.is_err() {
            warn!("mqtt sessions could not be written out");
        }
    });
}

/// Reads what was kept over a restart; without it nothing may be served.
async fn restore(hub: &SharedHub) -> bool {
    let Some(log) = hub.borrow().store.log() else { return true };
    match store::load(&*log).await {
        Ok(kept) => {
            hub.borrow_mut().restore(kept);
            true
        }
        Err(error) => {
            error!(%error, "mqtt sessions cannot be read, so the broker does not start");
            false
        }
    }
}

/// Takes clients in, for ever.
async fn serve(listener: tokio::net::TcpListener, hub: &SharedHub, clients_max: usize, clients: &mut JoinSet<()>) {
    let mut last_logged: Option<Instant> = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((_, address)) if clients.len() >= clients_max => {
                    debug!(%address, "mqtt client turned away, limit reached");
                }
                Ok((socket, address)) => drop(clients.spawn_local(connection::run(socket, address, Rc::clone(hub)))),
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
        }
    }
}

/// Does what links and the rest of the program ask for, for ever.
async fn obey(hub: &SharedHub, inlet: &Inlet) {
    loop {
        inlet.wake.notified().await;
        let orders = inlet.take();
        let mut hub = hub.borrow_mut();
        for order in orders {
            hub.order(order);
        }
        hub.settle();
    }
}

/// Does what falls due, for ever.
async fn watch(hub: &SharedHub) {
    let deadlines = Rc::clone(&hub.borrow().deadlines);
    loop {
        let next = hub.borrow_mut().expire();
        let pause = next.map(|at| Duration::from_millis(u64::try_from(at - now_ms()).unwrap_or(0) + 1));
        match pause {
            Some(pause) => {
                // Woken or not: it looks again.
                let _ = tokio::time::timeout(pause, deadlines.notified()).await;
            }
            None => deadlines.notified().await,
        }
    }
}

/// Hands records to the log, for ever.
async fn keep(hub: SharedHub) {
    let wake = Rc::clone(&hub.borrow().store.wake);
    loop {
        wake.notified().await;
        keep_rest(&hub).await;
    }
}

/// Hands over all records that wait, in order; who waits for them is told when they are on disk.
async fn keep_rest(hub: &SharedHub) {
    let Some(log) = hub.borrow().store.log() else { return };
    loop {
        let (changes, waiting) = hub.borrow_mut().store.take();
        if changes.is_empty() {
            return;
        }
        match log.put(changes).await {
            Ok(durable) => {
                let hub = Rc::clone(hub);
                tokio::task::spawn_local(async move {
                    let lost = durable.await.is_err();
                    hub.borrow_mut().stored(&waiting, lost);
                });
            }
            Err(error) => {
                warn!(%error, "mqtt records could not be stored");
                hub.borrow_mut().stored(&waiting, true);
            }
        }
    }
}
