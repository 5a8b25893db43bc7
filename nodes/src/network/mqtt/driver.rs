//! The client thread: connects, polls the library, and hands batches over.

use super::{
    ConnectionState,
    backoff::Backoff,
    core::{Core, Interruption},
    intake::Entering,
    link::{Event, Link, Sender},
};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{LocalSet, spawn_local};

/// How long a stop waits for what is queued and under way.
const STOP_MAX: Duration = Duration::from_secs(2);
/// Pause before a subscriber that had no room is asked again without having called.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
/// A connection that held this long was a good one.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// Pause under load in which further messages gather, so that they cost one system call and one hand-over.
const GATHER_PAUSE: Duration = Duration::from_micros(100);
/// Load: turns that follow each other this closely …
const BUSY_INTERVAL: Duration = Duration::from_micros(400);
/// … and bring this many messages each.
const BUSY_MESSAGES: usize = 2;
/// Longest pause after messages that could not be processed.
const REDELIVER_PAUSE_MAX: Duration = Duration::from_secs(60);

pub(super) type OnState = Arc<dyn Fn(ConnectionState) + Send + Sync>;
type Shared<S> = Rc<RefCell<Core<S>>>;

/// Runs a connection until it is stopped.
pub(super) async fn run<L: Link + 'static>(mut link: L, core: Core<L::Sender>, on_state: OnState) {
    let core = Rc::new(RefCell::new(core));
    let local = LocalSet::new();
    local.spawn_local(serve_inbox(Rc::clone(&core)));
    let driven = async {
        load_ledger(&core).await;
        drive(&mut link, &core, &on_state).await;
    };
    local.run_until(driven).await;
    core.borrow_mut().finish();
    on_state(ConnectionState::Closed);
}

/// Reads what earlier processes noted of messages that may come again.
async fn load_ledger<S: Sender>(core: &Shared<S>) {
    let shared = Arc::clone(&core.borrow().shared);
    let Some(mut loading) = core.borrow().ledger.as_ref().map(super::ledger::Ledger::load) else { return };
    loop {
        let loaded = tokio::select! {
            loaded = &mut loading => loaded,
            () = shared.interrupt.notified() => {
                if core.borrow().stopping {
                    return;
                }
                continue;
            }
        };
        match (loaded, &mut core.borrow_mut().ledger) {
            (Ok(records), Some(ledger)) => ledger.restore(records),
            (Err(error), _) => {
                tracing::warn!(%error, "messages that come again after a restart will not be recognised");
            }
            (Ok(_), None) => {}
        }
        return;
    }
}

/// Does what other threads ask for while the connection is quiet.
async fn serve_inbox<S: Sender>(core: Shared<S>) {
    let shared = Arc::clone(&core.borrow().shared);
    loop {
        if core.borrow_mut().needs_retry() {
            tokio::select! {
                () = shared.wake.notified() => {}
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        } else {
            shared.wake.notified().await;
        }
        turn(&core);
    }
}

/// One turn, and the subscriptions that it calls for.
fn turn<S: Sender>(core: &Shared<S>) {
    let mut borrowed = core.borrow_mut();
    borrowed.turn();
    while let Some((filter, answer)) = borrowed.next_step() {
        let core = Rc::clone(core);
        spawn_local(async move {
            let answer = answer.await;
            let mut core = core.borrow_mut();
            core.on_answer(&filter, answer);
            core.ask_again();
        });
    }
    borrowed.settle();
    if matches!(borrowed.entering, Entering::Started(..))
        && let Entering::Started(writing, batch) = std::mem::replace(&mut borrowed.entering, Entering::Waiting)
    {
        let (core, epoch) = (Rc::clone(core), borrowed.window.epoch());
        spawn_local(async move {
            let written = writing.await;
            let mut core = core.borrow_mut();
            core.entering = Entering::None;
            // Those of a lost connection come again.
            if epoch == core.window.epoch() {
                core.entered(batch, &written);
            }
            core.ask_again();
        });
    }
    for (order, answer) in borrowed.answers.drain(..) {
        let core = Rc::clone(core);
        spawn_local(async move {
            let reason = answer.await;
            let mut core = core.borrow_mut();
            core.on_published(order, reason);
            core.ask_again();
        });
    }
}

async fn drive<L: Link>(link: &mut L, core: &Shared<L::Sender>, on_state: &OnState) {
    let (shared, settings) = (Arc::clone(&core.borrow().shared), Arc::clone(&core.borrow().settings));
    let mut pauses = Backoff::new(settings.reconnect_min, settings.reconnect_max);
    let mut failures = Backoff::new(Duration::from_secs(1), REDELIVER_PAUSE_MAX);
    while !core.borrow().wants_connection {
        if core.borrow().stopping {
            return;
        }
        shared.interrupt.notified().await;
    }
    loop {
        on_state(ConnectionState::Connecting);
        let began = Instant::now();
        let end = connected(link, core, on_state).await;
        {
            let mut core = core.borrow_mut();
            // What the library had taken note of before the connection went away still counts.
            while let Some(event) = link.buffered() {
                core.on_event(event);
            }
            core.on_lost();
        }
        if began.elapsed() >= STABLE_AFTER {
            pauses.reset();
        }
        let pause = match &end {
            End::Wanted => return,
            End::Redeliver => failures.next(),
            End::Lost(_) => pauses.next(),
        };
        let reason = match end {
            End::Lost(reason) => reason,
            _ => "a message could not be processed and is to be delivered again".to_owned(),
        };
        on_state(ConnectionState::Disconnected { reason, retry_in: pause });
        let resume = Instant::now() + pause;
        while Instant::now() < resume {
            if core.borrow().stopping {
                return;
            }
            tokio::select! {
                () = shared.interrupt.notified() => {}
                () = tokio::time::sleep_until(resume.into()) => {}
            }
        }
        core.borrow_mut().interruption = None;
        if core.borrow().stopping {
            return;
        }
    }
}

/// How a connection ended.
enum End {
    Wanted,
    Redeliver,
    Lost(String),
}

/// Polls one connection until it is gone.
async fn connected<L: Link>(link: &mut L, core: &Shared<L::Sender>, on_state: &OnState) -> End {
    let shared = Arc::clone(&core.borrow().shared);
    let mut load = Load::default();
    let mut deadline: Option<Instant> = None;
    loop {
        if core.borrow().stopping && deadline.is_none() {
            deadline = Some(Instant::now() + STOP_MAX);
        }
        let polled = tokio::select! {
            biased;
            polled = link.poll() => Some(polled),
            () = shared.interrupt.notified() => None,
            () = until(deadline) => {
                link.drop_network();
                return End::Wanted;
            }
        };
        let Some(polled) = polled else {
            match core.borrow_mut().interruption.take() {
                None => continue,
                Some(why) => {
                    link.drop_network();
                    return if why == Interruption::Stop { End::Wanted } else { End::Redeliver };
                }
            }
        };
        let event = match polled {
            Ok(event) => event,
            Err(lost) if lost.ended || core.borrow().stopping => return End::Wanted,
            Err(lost) => return End::Lost(lost.reason),
        };
        if let Event::Connected { session_present, .. } = &event {
            on_state(ConnectionState::Connected { session_present: *session_present });
        }
        let mut messages = 0;
        {
            let mut core = core.borrow_mut();
            messages += usize::from(core.on_event(event));
            while let Some(event) = link.buffered() {
                messages += usize::from(core.on_event(event));
            }
        }
        turn(core);
        if messages > 0 && load.is_high(messages) {
            std::thread::sleep(GATHER_PAUSE);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Tells load from quiet by how close messages follow each other.
#[derive(Default)]
struct Load {
    last: Option<Instant>,
}

impl Load {
    fn is_high(&mut self, messages: usize) -> bool {
        let now = Instant::now();
        let close = self.last.is_some_and(|last| now - last < BUSY_INTERVAL);
        self.last = Some(now);
        close && messages >= BUSY_MESSAGES
    }
}
