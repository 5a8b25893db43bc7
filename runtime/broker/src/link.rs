//! Links: connections of nodes in this process, which live on other threads. What they ask for and what they are told
//! crosses in batches; nobody waits.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidewire_node_api::broker::{LinkNotice, LinkRequest, LinkSettings, LocalBroker, LocalLink};
use tidewire_node_api::handles::BoxFuture;
use tokio::sync::Notify;

/// Messages of QoS 0 that wait to be taken before the oldest goes.
const QUICK_MAX: usize = 8_192;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Notices {
    queue: VecDeque<LinkNotice>,
    /// How many of them are messages of QoS 0.
    quick: usize,
}

fn is_quick(notice: &LinkNotice) -> bool {
    matches!(notice, LinkNotice::Message { id: None, .. })
}

/// What a link is told.
#[derive(Debug)]
pub(crate) struct LinkState {
    number: u64,
    notices: Mutex<Notices>,
    changed: Notify,
    dropped: AtomicU64,
}

impl LinkState {
    fn new(number: u64) -> Arc<Self> {
        let (notices, changed, dropped) = (Mutex::default(), Notify::new(), AtomicU64::new(0));
        Arc::new(LinkState { number, notices, changed, dropped })
    }

    /// Tells apart the links of one process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Adds a notice; [`LinkState::tell`] makes it known. Says whether an older message had to go.
    pub(crate) fn push(&self, notice: LinkNotice) -> bool {
        let mut notices = lock(&self.notices);
        let quick = is_quick(&notice);
        notices.quick += usize::from(quick);
        notices.queue.push_back(notice);
        if !quick || notices.quick <= QUICK_MAX {
            return false;
        }
        if let Some(oldest) = notices.queue.iter().position(is_quick) {
            notices.queue.remove(oldest);
            notices.quick -= 1;
        }
        drop(notices);
        self.dropped.fetch_add(1, Ordering::Relaxed);
        true
    }

    pub(crate) fn tell(&self) {
        self.changed.notify_one();
    }
}

/// Something that the broker's thread is asked to do.
pub(crate) enum Order {
    /// A link has been made, and is not settled yet.
    New,
    Open(Arc<LinkState>, LinkSettings),
    Requests(Arc<LinkState>, Vec<LinkRequest>),
    Settled,
    Gone(Arc<LinkState>),
    /// Take messages from devices, once all links have settled; or take no more.
    Intake(bool),
}

/// Orders to the broker's thread.
#[derive(Default)]
pub(crate) struct Inlet {
    orders: Mutex<Vec<Order>>,
    pub(crate) wake: Notify,
    next: AtomicU64,
}

impl Inlet {
    pub(crate) fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        self.wake.notify_one();
    }

    pub(crate) fn take(&self) -> Vec<Order> {
        std::mem::take(&mut *lock(&self.orders))
    }
}

/// The way to the broker for nodes.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) inlet: Arc<Inlet>,
}

impl LocalBroker for Door {
    fn is_at(&self, host: &str, port: u16) -> bool {
        let ip = self.address.ip();
        let near = match host.parse::<std::net::IpAddr>() {
            Ok(host) => host == ip || (host.is_loopback() && (ip.is_unspecified() || ip.is_loopback())),
            Err(_) => host.eq_ignore_ascii_case("localhost") && (ip.is_unspecified() || ip.is_loopback()),
        };
        near && port == self.address.port()
    }

    fn link(&self) -> Arc<dyn LocalLink> {
        let state = LinkState::new(self.inlet.next.fetch_add(1, Ordering::Relaxed));
        self.inlet.order(Order::New);
        Arc::new(Link { state, inlet: Arc::clone(&self.inlet), settled: AtomicBool::new(false) })
    }
}

struct Link {
    state: Arc<LinkState>,
    inlet: Arc<Inlet>,
    settled: AtomicBool,
}

impl LocalLink for Link {
    fn open(&self, settings: LinkSettings) {
        self.inlet.order(Order::Open(Arc::clone(&self.state), settings));
    }

    fn send(&self, requests: &mut Vec<LinkRequest>) {
        if !requests.is_empty() {
            self.inlet.order(Order::Requests(Arc::clone(&self.state), std::mem::take(requests)));
        }
    }

    fn take(&self, notices: &mut VecDeque<LinkNotice>) {
        let mut new = lock(&self.state.notices);
        new.quick = 0;
        if notices.is_empty() {
            std::mem::swap(notices, &mut new.queue);
        } else {
            notices.append(&mut new.queue);
        }
    }

    fn changed(&self) -> BoxFuture<()> {
        let state = Arc::clone(&self.state);
        Box::pin(async move { state.changed.notified().await })
    }

    fn settled(&self) {
        if !self.settled.swap(true, Ordering::AcqRel) {
            self.inlet.order(Order::Settled);
        }
    }

    fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.settled();
        self.inlet.order(Order::Gone(Arc::clone(&self.state)));
    }
}
