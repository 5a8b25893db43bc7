//! What a broker node offers to the nodes that name it: one connection, subscriptions that outlive reconnects.
//!
//! It is there before the connection is, and it stays when the connection is closed, so that nodes need not care.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use std::time::Duration;

use parking_lot::Mutex;
use tidewire_model::NodeId;
use tidewire_node_api::{Feed, Fill, Shape, Signal, Status};

use crate::network::mqtt::{
    Connection, ConnectionSettings, ConnectionState, Error, Subscriber, Subscription, SubscriptionGuard, Surroundings,
};

/// How long the subscriptions of a replaced node go on, should its successor not come.
const SUCCESSION: Duration = Duration::from_secs(2);

/// What the connection is doing, as nodes show it. Reaches them as [`Signal::Own`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    Disconnected,
    Connecting,
    Connected,
}

impl LinkState {
    /// The status of a node that uses the connection, as Node-RED shows it.
    pub(crate) fn status(self) -> Status {
        match self {
            LinkState::Disconnected => Status::new(Fill::Red, Shape::Ring, "disconnected"),
            LinkState::Connecting => Status::new(Fill::Yellow, Shape::Ring, "connecting"),
            LinkState::Connected => Status::new(Fill::Green, Shape::Dot, "connected"),
        }
    }
}

struct Held {
    subscription: Subscription,
    subscriber: Arc<dyn Subscriber>,
    guard: Option<SubscriptionGuard>,
}

#[derive(Default)]
struct Inner {
    settings: Option<(ConnectionSettings, Surroundings)>,
    connection: Option<Arc<Connection>>,
    connecting: bool,
    auto_connect: bool,
    state: Option<LinkState>,
    next: u64,
    subscriptions: BTreeMap<u64, Held>,
    watchers: BTreeMap<u64, Arc<dyn Feed>>,
    /// Subscriptions of nodes that are being replaced. They go on into the inbox that the successor takes over.
    left: BTreeMap<NodeId, Vec<Arc<Seat>>>,
}

/// The connection of a broker node.
pub(crate) struct BrokerLink {
    /// It speaks MQTT 5.
    pub(crate) version_5: bool,
    /// The broker runs on this machine.
    pub(crate) local: bool,
    inner: Mutex<Inner>,
}

/// A subscription; dropping it ends the subscription.
pub(crate) struct Seat {
    link: Weak<BrokerLink>,
    id: u64,
}

/// Keeps a node informed; dropping it ends that.
pub(crate) struct Watch {
    link: Weak<BrokerLink>,
    id: u64,
}

impl BrokerLink {
    pub(crate) fn new(version_5: bool, local: bool) -> BrokerLink {
        BrokerLink { version_5, local, inner: Mutex::default() }
    }

    /// Prepares the connection. Nothing is sent before [`BrokerLink::all_there`].
    ///
    /// # Errors
    /// A setting that cannot be used. A broker that is away is no error.
    pub(crate) fn open(self: &Arc<Self>, settings: ConnectionSettings, around: Surroundings) -> Result<(), Error> {
        let connection = self.new_connection(settings.clone(), around.clone())?;
        let mut inner = self.inner.lock();
        inner.settings = Some((settings, around));
        inner.take(connection);
        Ok(())
    }

    /// The nodes of a deploy have subscribed: from now on the use by a node opens the connection, if `auto_connect`.
    pub(crate) fn all_there(&self, auto_connect: bool) {
        let mut inner = self.inner.lock();
        inner.auto_connect = auto_connect;
        let used = !inner.watchers.is_empty();
        inner.connect(used && auto_connect);
        if let Some(connection) = inner.connection.as_ref().filter(|_| !inner.connecting) {
            connection.idle();
        }
    }

    fn new_connection(
        self: &Arc<Self>,
        settings: ConnectionSettings,
        around: Surroundings,
    ) -> Result<Connection, Error> {
        let link = Arc::downgrade(self);
        Connection::open(settings, around, move |state| {
            if let Some(link) = link.upgrade() {
                link.told(&state);
            }
        })
    }

    fn told(&self, state: &ConnectionState) {
        let state = match state {
            ConnectionState::Connected { .. } => LinkState::Connected,
            ConnectionState::Connecting => LinkState::Connecting,
            ConnectionState::Disconnected { reason, retry_in } => {
                tracing::debug!(%reason, retry_in_ms = retry_in.as_millis() as u64, "mqtt connection lost or refused");
                LinkState::Disconnected
            }
            ConnectionState::Closed => LinkState::Disconnected,
        };
        let watchers: Vec<Arc<dyn Feed>> = {
            let mut inner = self.inner.lock();
            if inner.state == Some(state) {
                return;
            }
            inner.state = Some(state);
            inner.watchers.values().cloned().collect()
        };
        for watcher in watchers {
            watcher.signal(Signal::Own(Box::new(state)));
        }
    }

    /// Closes the connection and gives it away: whoever drops it waits for its end.
    pub(crate) fn close(&self) -> Option<Arc<Connection>> {
        let mut inner = self.inner.lock();
        inner.connecting = false;
        inner.subscriptions.values_mut().for_each(|held| held.guard = None);
        inner.connection.take()
    }

    /// Connects, again if it had been disconnected.
    ///
    /// # Errors
    /// As [`BrokerLink::open`].
    pub(crate) fn connect(self: &Arc<Self>) -> Result<(), Error> {
        let settings = {
            let mut inner = self.inner.lock();
            if inner.connection.is_some() {
                inner.connect(true);
                return Ok(());
            }
            inner.settings.clone()
        };
        let Some((settings, around)) = settings else { return Ok(()) };
        let connection = self.new_connection(settings, around)?;
        let mut inner = self.inner.lock();
        inner.take(connection);
        inner.connect(true);
        Ok(())
    }

    /// Disconnects until [`BrokerLink::connect`].
    pub(crate) fn disconnect(&self) {
        let connection = self.close();
        // Saying goodbye may take two seconds.
        std::thread::spawn(move || drop(connection));
    }

    /// The connection, to publish on.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.inner.lock().connection.clone()
    }

    /// What the connection is doing.
    pub(crate) fn state(&self) -> LinkState {
        let inner = self.inner.lock();
        match (inner.state, inner.connecting) {
            (Some(state), _) => state,
            (None, true) => LinkState::Connecting,
            (None, false) => LinkState::Disconnected,
        }
    }

    /// Tells the node behind `feed` of every change; its use opens the connection. Subscribe first: the broker may
    /// deliver at once what it kept.
    pub(crate) fn watch(self: &Arc<Self>, feed: Arc<dyn Feed>) -> Watch {
        let mut inner = self.inner.lock();
        inner.next += 1;
        let id = inner.next;
        inner.watchers.insert(id, feed);
        let auto_connect = inner.auto_connect;
        inner.connect(auto_connect);
        Watch { link: Arc::downgrade(self), id }
    }

    /// Subscribes, on this connection and those that follow it.
    pub(crate) fn subscribe(self: &Arc<Self>, subscription: Subscription, subscriber: Arc<dyn Subscriber>) -> Seat {
        let mut inner = self.inner.lock();
        inner.next += 1;
        let id = inner.next;
        let guard =
            inner.connection.as_ref().map(|connection| connection.subscribe(subscription.clone(), subscriber.clone()));
        inner.subscriptions.insert(id, Held { subscription, subscriber, guard });
        Seat { link: Arc::downgrade(self), id }
    }
}

impl BrokerLink {
    /// Keeps the subscriptions of a node that is being replaced until its successor has its own, so that a deploy
    /// loses nothing.
    pub(crate) fn leave(self: &Arc<Self>, node: NodeId, seats: Vec<Arc<Seat>>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        self.inner.lock().left.insert(node.clone(), seats);
        let link = Arc::downgrade(self);
        runtime.spawn(async move {
            tokio::time::sleep(SUCCESSION).await;
            if let Some(link) = link.upgrade() {
                link.succeed(&node);
            }
        });
    }

    /// The successor of a node has subscribed.
    pub(crate) fn succeed(&self, node: &NodeId) {
        // Ending a subscription takes the lock again.
        let left = self.inner.lock().left.remove(node);
        drop(left);
    }
}

impl Inner {
    /// Puts a new connection in place and subscribes anew.
    fn take(&mut self, connection: Connection) {
        let connection = Arc::new(connection);
        for held in self.subscriptions.values_mut() {
            held.guard = Some(connection.subscribe(held.subscription.clone(), held.subscriber.clone()));
        }
        self.connection = Some(connection);
        self.connecting = false;
        self.state = None;
    }

    fn connect(&mut self, wanted: bool) {
        if let (true, false, Some(connection)) = (wanted, self.connecting, &self.connection) {
            connection.connect();
            self.connecting = true;
        }
    }
}

impl Seat {
    /// Has the broker's messages offered again at once, after some had not been taken.
    pub(crate) fn resume(&self) {
        if let Some(link) = self.link.upgrade()
            && let Some(guard) = link.inner.lock().subscriptions.get(&self.id).and_then(|held| held.guard.as_ref())
        {
            guard.resume();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(link) = self.link.upgrade() {
            let held = link.inner.lock().subscriptions.remove(&self.id);
            drop(held);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(link) = self.link.upgrade() {
            link.inner.lock().watchers.remove(&self.id);
        }
    }
}
