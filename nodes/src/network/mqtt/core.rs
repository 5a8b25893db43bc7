//! The state of one connection on its thread: subscriptions, acknowledgements and what goes out; it never waits.

use super::{
    AckOutcome, ConnectionSettings, OnFailed, PublishOutcome, Qos,
    acks::{Completion, Slot, Window},
    intake::Entering,
    ledger::Ledger,
    link::{Answer, Event, Offer, Received, Sender},
    outbox::Outbox,
    registry::{Registry, Step},
    shared::{Command, Inbox, Shared},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, Release},
    },
    time::{Duration, Instant},
};

/// How long a new connection waits for the answers to its subscriptions before it publishes.
const HOLD_MAX: Duration = Duration::from_secs(2);
/// MQTT 5: Topic Name invalid.
const TOPIC_NAME_INVALID: u8 = 0x90;

/// Why the network has to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    /// A message could not be processed and is to come again.
    Redeliver,
    /// The connection is not wanted any more.
    Stop,
}

pub(super) struct Core<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<ConnectionSettings>,
    sender: S,
    pub(super) registry: Registry,
    pub(super) window: Window,
    outbox: Outbox,
    spare: Inbox,
    steps: VecDeque<Step>,
    pub(super) unclaimed: VecDeque<(Instant, Received, u64)>,
    connected: bool,
    identified: bool,
    had_session: bool,
    /// Until then nothing is published: the subscriptions of a new connection come first.
    held_until: Option<Instant>,
    answers_due: usize,
    /// Answers to messages that somebody has to wait for.
    pub(super) answers: Vec<(u64, Answer)>,
    inflight_max: usize,
    pub(super) wants_connection: bool,
    pub(super) stopping: bool,
    said_goodbye: bool,
    pub(super) interruption: Option<Interruption>,
    pub(super) ledger: Option<Ledger>,
    /// Messages of QoS 1 and 2 that have come, and are not in the ledger yet.
    pub(super) staged: Vec<Received>,
    /// Messages whose ledger entries are on their way to the log.
    pub(super) entering: Entering,
}

impl<S: Sender> Core<S> {
    pub(super) fn new(
        shared: Arc<Shared>,
        settings: Arc<ConnectionSettings>,
        sender: S,
        ledger: Option<Ledger>,
    ) -> Self {
        Self {
            shared,
            settings,
            sender,
            registry: Registry::default(),
            window: Window::default(),
            outbox: Outbox::default(),
            spare: Inbox::default(),
            steps: VecDeque::new(),
            unclaimed: VecDeque::new(),
            connected: false,
            identified: false,
            had_session: false,
            held_until: None,
            answers_due: 0,
            answers: Vec::new(),
            inflight_max: 1,
            wants_connection: false,
            stopping: false,
            said_goodbye: false,
            interruption: None,
            ledger,
            staged: Vec::new(),
            entering: Entering::default(),
        }
    }

    /// Takes note of an event; says whether it was a message.
    pub(super) fn on_event(&mut self, event: Event) -> bool {
        match event {
            Event::Message(received) => {
                if received.qos == Qos::AtMostOnce || self.ledger.is_none() {
                    self.on_message(received);
                } else {
                    self.staged.push(received);
                }
                return true;
            }
            Event::Sent(packet_id) => self.outbox.sent(packet_id),
            Event::Acknowledged { packet_id, reason } => self.outbox.acknowledged(packet_id, reason),
            Event::Connected { session_present, subscription_ids, receive_max } => {
                self.inflight_max = usize::from(self.settings.inflight_max.min(receive_max).max(1));
                self.on_connected(session_present, subscription_ids);
            }
            Event::Other => {}
        }
        false
    }

    fn on_connected(&mut self, session_present: bool, identified: bool) {
        if !session_present {
            self.outbox.session_lost();
        }
        self.connected = true;
        self.identified = identified;
        self.shared.connected.store(true, Relaxed);
        self.registry.start(session_present && self.had_session, identified);
        self.had_session = true;
        self.steps = self.registry.steps(None).into();
        self.held_until = (!self.steps.is_empty()).then(|| Instant::now() + HOLD_MAX);
        if let Some(birth) = &self.settings.birth {
            self.outbox.push_first(birth.to_outgoing());
        }
    }

    pub(super) fn on_lost(&mut self) {
        self.connected = false;
        self.shared.connected.store(false, Relaxed);
        self.steps.clear();
        self.answers_due = 0;
        self.held_until = None;
        self.unclaimed.clear();
        self.staged.clear();
        self.window.next_epoch();
        if let Some(ledger) = &mut self.ledger {
            ledger.on_lost();
        }
        // What had not been taken of QoS 1 and 2 will be delivered again.
        for seat in self.registry.seats_mut() {
            seat.backlog.retain(|message| message.ack.is_none());
            seat.fresh.retain(|message| message.ack.is_none());
        }
        self.shared.counters.reconnects.fetch_add(1, Relaxed);
    }

    /// Whether something has to be tried again soon although nobody will say when.
    pub(super) fn needs_retry(&mut self) -> bool {
        !self.unclaimed.is_empty()
            || !self.steps.is_empty()
            || self.held_until.is_some()
            || self.registry.seats_mut().any(|seat| !seat.backlog.is_empty())
    }

    /// Does everything that can be done now without waiting.
    pub(super) fn turn(&mut self) {
        self.enter_staged();
        self.deliver();
        let mut inbox = std::mem::take(&mut self.spare);
        self.shared.take(&mut inbox, self.connected);
        self.outbox.append(&mut inbox.outgoing);
        for completion in inbox.completions.drain(..) {
            self.on_completion(completion);
        }
        for command in inbox.commands.drain(..) {
            self.on_command(command);
        }
        self.spare = inbox;
        if !self.unclaimed.is_empty() {
            self.review_unclaimed();
            self.deliver();
        }
        if self.connected {
            self.acknowledge();
            self.publish();
        }
        self.say_goodbye();
        self.sender.flush();
    }

    /// Whether the broker brings again what was not acknowledged.
    pub(super) fn redelivers(&self) -> bool {
        self.settings.broker_keeps_session() || self.sender.is_local()
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Connect => {
                self.wants_connection = true;
                self.shared.interrupt.notify_one();
            }
            Command::Subscribe { id, subscription, subscriber } => {
                self.registry.add(id, subscription, subscriber);
                self.plan(Some(id));
            }
            Command::Unsubscribe { id } => {
                if let Some(mut seat) = self.registry.remove(id) {
                    for message in seat.fresh.drain(..).chain(seat.backlog.drain(..)) {
                        if let Some(ack) = message.ack {
                            ack.complete(AckOutcome::Dropped);
                        }
                    }
                    self.plan(None);
                }
            }
            Command::Resume => {}
            Command::Settle => self.sender.settled(),
            Command::Stop => {
                self.stopping = true;
                if let Some(close) = self.settings.close.as_ref().filter(|_| self.connected) {
                    self.outbox.push(close.to_outgoing());
                }
                if self.connected {
                    // Its deadline begins now, whenever the broker is heard of next.
                    self.shared.interrupt.notify_one();
                } else {
                    self.interrupt(Interruption::Stop);
                }
            }
        }
    }

    fn plan(&mut self, newcomer: Option<u64>) {
        if self.connected {
            self.steps.extend(self.registry.steps(newcomer));
        }
    }

    /// The next step towards the wanted subscriptions; the answer of the broker is to be brought back.
    #[allow(clippy::type_complexity)]
    pub(super) fn next_step(
        &mut self,
    ) -> Option<(String, std::pin::Pin<Box<dyn Future<Output = Option<Result<Qos, u8>>>>>)> {
        while self.connected {
            match self.steps.front()? {
                Step::Unsubscribe(filter) => {
                    if !self.sender.unsubscribe(filter) {
                        return None;
                    }
                    self.steps.pop_front();
                }
                Step::Subscribe(wanted) => {
                    let answer = self.sender.subscribe(wanted, self.identified).ok()?;
                    let filter = wanted.subscription.filter.clone();
                    self.steps.pop_front();
                    self.answers_due += 1;
                    return Some((filter, answer));
                }
            }
        }
        None
    }

    /// Tells the broker once that all subscriptions of the start have been asked for.
    pub(super) fn settle(&self) {
        if self.connected && self.steps.is_empty() {
            self.sender.settled();
        }
    }

    /// The broker answered a SUBSCRIBE, or went away before it did.
    pub(super) fn on_answer(&mut self, filter: &str, answer: Option<Result<Qos, u8>>) {
        let Some(answer) = answer else { return };
        self.answers_due = self.answers_due.saturating_sub(1);
        if answer.is_err() {
            self.registry.refused(filter);
        }
        for seat in self.registry.seats_mut().filter(|seat| seat.subscription.filter == filter) {
            seat.subscriber.answered(answer);
        }
    }

    /// Asks for a turn soon.
    pub(super) fn ask_again(&self) {
        self.shared.signal();
    }

    /// The broker answered a message, or the library gave it up.
    pub(super) fn on_published(&mut self, order: u64, reason: Option<u8>) {
        self.outbox.answered(order, reason);
    }

    fn acknowledges_failures(&self) -> bool {
        self.settings.on_failed == OnFailed::Acknowledge || !self.redelivers()
    }

    pub(super) fn on_completion(&mut self, completion: Completion) {
        let lost = completion.outcome == AckOutcome::Lost;
        let (failed_too, lost_too) = (self.acknowledges_failures(), !self.redelivers());
        let acknowledged = if lost { lost_too } else { failed_too };
        if self.window.complete(completion) && !acknowledged {
            self.interrupt(Interruption::Redeliver);
        }
        if self.sender.is_local()
            && completion.epoch == self.window.epoch()
            && let Some(slot) = self.window.ready_at(completion.index, failed_too, lost_too)
        {
            self.acknowledge_slot(slot);
        }
    }

    fn acknowledge_slot(&mut self, slot: Slot) -> bool {
        let taken = self.sender.acknowledge(slot);
        if let Some(ledger) = self.ledger.as_mut().filter(|_| taken) {
            ledger.acknowledged(if slot.delivery == 0 { u64::from(slot.packet_id) } else { slot.delivery });
        }
        taken
    }

    fn interrupt(&mut self, why: Interruption) {
        self.interruption = Some(why);
        self.shared.interrupt.notify_one();
    }

    /// Acknowledges what is complete, oldest first, up to the first message that is not.
    fn acknowledge(&mut self) {
        if self.sender.is_local() {
            return;
        }
        let (failed_too, lost_too) = (self.acknowledges_failures(), !self.redelivers());
        while let Some(slot) = self.window.ready(failed_too, lost_too) {
            if !self.acknowledge_slot(slot) {
                return;
            }
            self.window.pop();
        }
    }

    /// Hands over to the library what it has room for. It never gets more of QoS 1 and 2 than may be under way: it
    /// would look through all that waits at every acknowledgement.
    fn publish(&mut self) {
        if let Some(until) = self.held_until {
            if (self.answers_due > 0 || !self.steps.is_empty()) && Instant::now() < until {
                return;
            }
            self.held_until = None;
        }
        let mut published = 0;
        while let Some(message) = self.outbox.front() {
            if message.qos != Qos::AtMostOnce && self.outbox.under_way() >= self.inflight_max {
                break;
            }
            match self.sender.publish(message) {
                Offer::Taken => self.outbox.submit_front(),
                Offer::Sent(packet_id) => {
                    self.outbox.submit_front();
                    self.outbox.sent(packet_id);
                }
                Offer::Tracked(answer) => {
                    let order = self.outbox.track_front();
                    self.answers.push((order, answer));
                }
                Offer::Invalid => self.outbox.refuse_front(TOPIC_NAME_INVALID),
                Offer::Full => break,
            }
            published += 1;
        }
        let waiting = self.outbox.queued() + self.outbox.under_way();
        let before = self.shared.waiting.swap(waiting, Release);
        if published > 0 || waiting < before {
            self.shared.counters.published.fetch_add(published, Relaxed);
            self.shared.room.notify_waiters();
        }
    }

    fn say_goodbye(&mut self) {
        if self.stopping
            && self.connected
            && !self.said_goodbye
            && self.outbox.queued() + self.outbox.under_way() == 0
            && self.window.len() == 0
        {
            self.said_goodbye = true;
            self.sender.disconnect();
        }
    }

    /// The deadline of a stop is over: goodbye without waiting for acknowledgements of incoming messages.
    pub(super) fn finish(&mut self) {
        self.outbox.drop_all();
        let mut rest = Inbox::default();
        self.shared.take(&mut rest, true);
        for message in rest.outgoing {
            message.finish(PublishOutcome::Dropped);
        }
        self.shared.connected.store(false, Relaxed);
        self.shared.room.notify_waiters();
    }
}
