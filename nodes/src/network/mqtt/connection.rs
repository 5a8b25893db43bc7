//! A connection to a broker as the rest of the program holds it.

use super::{
    ConnectionSettings, Error, Outgoing, Protocol, Subscriber, Subscription,
    core::Core,
    driver::{OnState, run},
    instant::InstantLink,
    ledger::Ledger,
    link::Link,
    local::LinkLocal,
    shared::{Command, Shared},
    v4::LinkV4,
    v5::LinkV5,
};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};
use tidewire_node_api::broker::{LocalBroker, LocalLink};
use tidewire_node_api::handles::Log;
use tokio::runtime::Builder;
use tracing::warn;

/// What a connection is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// Trying to reach the broker.
    Connecting,
    /// The broker accepted the connection.
    Connected {
        /// It kept the session of an earlier connection.
        session_present: bool,
    },
    /// The connection is gone, or did not come about; another attempt follows.
    Disconnected {
        /// Why.
        reason: String,
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// Closed for good.
    Closed,
}

/// Messages that did not fit, in their order: the queue is full. Wait for [`Connection::room`] and try again.
#[derive(Debug)]
pub struct PublishFull(pub Vec<Outgoing>);

/// What a connection finds in its process.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The broker of this process: connections to its address need no socket.
    pub broker: Option<Arc<dyn LocalBroker>>,
    /// Where messages are noted so that another process recognises them.
    pub log: Option<Arc<dyn Log>>,
    /// A name for a connection without a client id, the same in every process.
    pub name: String,
}

/// Counters of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages received.
    pub received: u64,
    /// Messages handed to the network.
    pub published: u64,
    /// QoS 0 messages that a slow subscriber lost.
    pub dropped_in: u64,
    /// QoS 0 messages given up while the broker was away.
    pub dropped_out: u64,
    /// Messages that wait for the broker.
    pub waiting: usize,
    /// Connections lost, and attempts that failed.
    pub reconnects: u64,
}

/// One connection on a thread of its own. Closed when dropped.
pub struct Connection {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    next_id: AtomicU64,
    client_id: String,
    /// The way to the broker of this process, if that is where it ends.
    local: Option<Arc<dyn LocalLink>>,
    /// Instead of the thread, where the broker needs none.
    instant: Option<InstantLink>,
}

impl Connection {
    /// Prepares a connection. Nothing is sent before [`Connection::connect`], so that subscribers can be there first:
    /// a broker delivers what it kept for the session at once. `on_state` is called on the client thread.
    ///
    /// # Errors
    ///
    /// When a setting is not usable or the thread cannot be started. A broker that is away is no error.
    pub fn open(
        settings: ConnectionSettings,
        around: Surroundings,
        on_state: impl Fn(ConnectionState) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let client_id = if settings.client_id.is_empty() { made_up_id() } else { settings.client_id.clone() };
        let shared = Arc::new(Shared::new(settings.outgoing_max));
        let settings = Arc::new(settings);
        let on_state: OnState = Arc::new(on_state);
        if let Some(broker) = around.broker.as_ref().filter(|broker| broker.is_instant()) {
            let instant = Some(InstantLink::new(broker.link(), on_state));
            return Ok(Self { shared, thread: None, next_id: AtomicU64::new(1), client_id, local: None, instant });
        }
        let near =
            |broker: &Arc<dyn LocalBroker>| settings.tls.is_none() && broker.is_at(&settings.host, settings.port);
        let local = around.broker.filter(near).map(|broker| broker.link());
        let name = match settings.client_id.as_str() {
            "" => around.name,
            given => format!("{given}@{}:{}", settings.host, settings.port),
        };
        let recognises = local.is_some() || settings.broker_keeps_session();
        let ledger = around.log.filter(|_| recognises).map(|log| Ledger::new(log, &name));
        let thread = match (&local, settings.protocol) {
            (Some(link), _) => {
                let link = LinkLocal::new(Arc::clone(link), &settings, &client_id);
                start(link, &shared, &settings, on_state, ledger)
            }
            (None, Protocol::V4) => start(LinkV4::new(&settings, &client_id)?, &shared, &settings, on_state, ledger),
            (None, Protocol::V5) => start(LinkV5::new(&settings, &client_id)?, &shared, &settings, on_state, ledger),
        }?;
        Ok(Self { shared, thread: Some(thread), next_id: AtomicU64::new(1), client_id, local, instant: None })
    }

    /// Says that it will not be connected soon, so that nobody waits for it.
    pub fn idle(&self) {
        self.shared.command(Command::Settle);
    }

    /// Connects, and from then on stays connected.
    pub fn connect(&self) {
        if let Some(instant) = &self.instant {
            return instant.connect();
        }
        self.shared.command(Command::Connect);
    }

    /// Subscribes until the guard is dropped.
    #[must_use]
    pub fn subscribe(&self, subscription: Subscription, subscriber: Arc<dyn Subscriber>) -> SubscriptionGuard {
        let id = self.next_id.fetch_add(1, Relaxed);
        if self.instant.is_some() {
            InstantLink::subscribe(&subscription, subscriber);
            return SubscriptionGuard { shared: Arc::clone(&self.shared), id };
        }
        self.shared.command(Command::Subscribe { id, subscription, subscriber });
        SubscriptionGuard { shared: Arc::clone(&self.shared), id }
    }

    /// Queues messages; each one's `done` tells what became of it.
    ///
    /// # Errors
    ///
    /// [`PublishFull`] with those that did not fit. While the broker is away, messages of QoS 0 push out older ones
    /// instead, so that nothing waits for it.
    pub fn publish(&self, batch: Vec<Outgoing>) -> Result<(), PublishFull> {
        if let Some(instant) = &self.instant {
            instant.publish(batch);
            return Ok(());
        }
        let refused = self.shared.publish(batch);
        if refused.is_empty() { Ok(()) } else { Err(PublishFull(refused)) }
    }

    /// Waits until `publish` takes messages again, or the connection is closed.
    pub async fn room(&self) {
        loop {
            let told = self.shared.room.notified();
            if self.shared.has_room() || self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return;
            }
            told.await;
        }
    }

    /// Messages of QoS 0 that were given up so far: for a slow subscriber, and while the broker was away.
    #[must_use]
    pub fn dropped(&self) -> (u64, u64) {
        let counters = &self.shared.counters;
        let untaken = self.local.as_ref().map_or(0, |local| local.dropped());
        (counters.dropped_in.load(Relaxed) + untaken, counters.dropped_out.load(Relaxed))
    }

    /// What passed so far.
    #[cfg_attr(not(test), expect(dead_code, reason = "shown nowhere yet; the tests of the client look at it"))]
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        Stats {
            received: counters.received.load(Relaxed),
            published: counters.published.load(Relaxed),
            dropped_in: counters.dropped_in.load(Relaxed),
            dropped_out: counters.dropped_out.load(Relaxed),
            waiting: self.shared.waiting.load(Relaxed),
            reconnects: counters.reconnects.load(Relaxed),
        }
    }

    /// Sends what is queued, says goodbye, and ends the thread: at most two seconds. Blocks.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "connections of nodes end when they are dropped; tests wait for the end")
    )]
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.command(Command::Stop);
        self.shared.interrupt.notify_one();
        if thread.join().is_err() {
            warn!(client_id = %self.client_id, "mqtt client thread ended by a panic");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Keeps a subscription; dropping it ends the subscription.
pub struct SubscriptionGuard {
    shared: Arc<Shared>,
    id: u64,
}

impl SubscriptionGuard {
    /// Says that the subscriber has room again after it had not taken everything.
    pub fn resume(&self) {
        self.shared.command(Command::Resume);
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        self.shared.command(Command::Unsubscribe { id: self.id });
    }
}

impl fmt::Debug for SubscriptionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionGuard").field("id", &self.id).finish_non_exhaustive()
    }
}

fn start<L: Link + Send + 'static>(
    link: L,
    shared: &Arc<Shared>,
    settings: &Arc<ConnectionSettings>,
    on_state: OnState,
    ledger: Option<Ledger>,
) -> Result<JoinHandle<()>, Error> {
    let (shared, settings) = (Arc::clone(shared), Arc::clone(settings));
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    Ok(std::thread::Builder::new().name("mqtt-client".into()).spawn(move || {
        let core = Core::new(shared, settings, link.sender(), ledger);
        runtime.block_on(run(link, core, on_state));
        // A name lookup may hang for longer than anybody wants to wait.
        runtime.shutdown_background();
    })?)
}

fn made_up_id() -> String {
    format!("tidewire-{:016x}", RandomState::new().hash_one(std::process::id()))
}
