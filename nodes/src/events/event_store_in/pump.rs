//! The background work of `event-store-in`: follows the log, feeds the node as it has room, keeps its place.
//!
//! With a durable name each event carries a token. The place that is kept is right before the oldest event that has not
//! been dealt with, so a crash repeats events and never skips one.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tidewire_model::event::Event;
use tidewire_model::message::{Flags, Provenance};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Start};
use tidewire_model::{Map, Message};
use tidewire_node_api::handles::{HandleError, Log, Subscription};
use tidewire_node_api::{AckSink, Batch, Delivery, Feed, Outcome, Signal, Token};
use tokio::sync::Notify;

use crate::shared::event_filter::Begin;
use crate::shared::event_value::{data, envelope};

/// Events under way with a durable name; the log waits when there are more.
const UNDER_WAY_MAX: usize = 4_096;
/// How often an event is sent before it is skipped.
const ATTEMPTS_MAX: u8 = 3;

/// What the pump tells the node.
pub(super) enum News {
    /// The subscription broke; wake the pump after a pause.
    Broken(String),
    /// It works again.
    Listening,
    /// Events failed; wake the pump after a pause, to send them again.
    Failing,
    /// An event failed for good.
    Skipped(Position),
}

/// Takes the outcomes of events under way.
#[derive(Default)]
pub(super) struct Outcomes {
    ended: Mutex<Vec<(u64, Outcome)>>,
    pub(super) wake: Notify,
}

impl Outcomes {
    /// What has ended since the last look.
    pub(super) fn take(&self) -> Vec<(u64, Outcome)> {
        std::mem::take(&mut *self.ended.lock())
    }
}

impl AckSink for Outcomes {
    fn complete(&self, id: u64, outcome: Outcome) {
        self.ended.lock().push((id, outcome));
        self.wake.notify_one();
    }
}

struct UnderWay {
    event: Arc<Event>,
    attempts: u8,
    failed: bool,
}

pub(super) struct Pump {
    log: Arc<dyn Log>,
    feed: Arc<dyn Feed>,
    filter: Filter,
    begin: Begin,
    durable: Option<String>,
    fed: Arc<AtomicU64>,
    resume: Arc<Notify>,
    /// Made when the node started, so that "now" is that moment.
    first: Option<Box<dyn Subscription>>,
    /// Where to go on, once that is known.
    next: Option<Position>,
    /// Events up to here stood in the log before the start.
    history: Position,
    outcomes: Arc<Outcomes>,
    under_way: BTreeMap<u64, UnderWay>,
    saved: Position,
    last: Position,
    pausing: bool,
}

impl Pump {
    pub(super) fn new(
        log: Arc<dyn Log>,
        feed: Arc<dyn Feed>,
        filter: Filter,
        begin: Begin,
        durable: Option<String>,
    ) -> Self {
        let first = (begin == Begin::Now).then(|| log.subscribe(filter.clone(), Start::Now));
        Pump {
            log,
            feed,
            filter,
            begin,
            durable,
            fed: Arc::default(),
            resume: Arc::default(),
            first,
            next: None,
            history: Position::ZERO,
            outcomes: Arc::default(),
            under_way: BTreeMap::new(),
            saved: Position::ZERO,
            last: Position::ZERO,
            pausing: false,
        }
    }

    pub(super) fn with_shared(mut self, fed: Arc<AtomicU64>, resume: Arc<Notify>) -> Self {
        (self.fed, self.resume) = (fed, resume);
        self
    }

    pub(super) fn with_history(mut self, history: Position) -> Self {
        self.history = history;
        self
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let Err(error) = self.follow().await;
            self.tell(News::Broken(error.text));
            self.resume.notified().await;
            self.tell(News::Listening);
            self.send_again().await;
        }
    }

    fn tell(&self, news: News) {
        self.feed.signal(Signal::Own(Box::new(news)));
    }

    async fn follow(&mut self) -> Result<Infallible, HandleError> {
        let mut subscription = self.open().await?;
        let (outcomes, resume) = (Arc::clone(&self.outcomes), Arc::clone(&self.resume));
        loop {
            self.settle().await?;
            tokio::select! {
                // In this order, so that a replay comes out the same each time.
                biased;
                events = subscription.next(), if self.under_way.len() < UNDER_WAY_MAX => self.send(events?).await,
                () = outcomes.wake.notified(), if self.durable.is_some() => {}
                () = resume.notified(), if self.pausing => self.send_again().await,
            }
        }
    }

    /// The subscription, from where it has to go on.
    async fn open(&mut self) -> Result<Box<dyn Subscription>, HandleError> {
        if let (None, Some(name)) = (self.next, self.durable.clone()) {
            self.find_place(&name).await?;
        }
        if let Some(next) = self.next {
            return Ok(self.log.subscribe(self.filter.clone(), Start::Position(next)));
        }
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        Ok(self.log.subscribe(self.filter.clone(), self.begin.start()))
    }

    /// Finds the place that is kept under the durable name, or keeps the first one.
    async fn find_place(&mut self, name: &str) -> Result<(), HandleError> {
        // Where history ended at the very first start; it outlives a restart in the middle of history.
        let history = format!("{name}/history");
        match self.log.checkpoint(name).await? {
            Some(place) => {
                self.history = self.log.checkpoint(&history).await?.unwrap_or_default();
                (self.saved, self.last) = (place, place);
                self.next = Some(place.next());
            }
            None if self.begin == Begin::Now => {
                let now = Position::new(self.fed.load(Ordering::Acquire));
                self.history = Position::ZERO;
                self.log.save_checkpoint(name, now).await?;
                (self.saved, self.last) = (now, now);
            }
            None => self.log.save_checkpoint(&history, self.history).await?,
        }
        Ok(())
    }

    async fn send(&mut self, events: Vec<Arc<Event>>) {
        let Some(last) = events.last().map(|event| event.position) else { return };
        let mut batch: Batch = events.iter().map(|event| self.delivery(event)).collect();
        let mut waiting: VecDeque<u64> = events.iter().map(|event| event.position.get()).collect();
        if self.durable.is_some() {
            let entries = events.into_iter().map(|event| {
                let number = event.position.get();
                (number, UnderWay { event, attempts: 1, failed: false })
            });
            self.under_way.extend(entries);
        }
        while !batch.is_empty() {
            let taken = self.feed.feed(&mut batch);
            if let Some(position) = waiting.drain(..taken.min(waiting.len())).next_back() {
                self.fed.store(position, Ordering::Release);
            } else {
                self.feed.wait_room().await;
            }
        }
        (self.last, self.next) = (last, Some(last.next()));
    }

    /// Sends what failed once more.
    async fn send_again(&mut self) {
        self.pausing = false;
        let mut batch = Batch::new();
        let again: Vec<Arc<Event>> = self
            .under_way
            .values_mut()
            .filter(|under_way| under_way.failed)
            .map(|under_way| {
                under_way.failed = false;
                under_way.attempts += 1;
                Arc::clone(&under_way.event)
            })
            .collect();
        batch.extend(again.iter().map(|event| self.delivery(event)));
        while !batch.is_empty() {
            if self.feed.feed(&mut batch) == 0 {
                self.feed.wait_room().await;
            }
        }
    }

    /// Takes the outcomes that are known and keeps the place.
    async fn settle(&mut self) -> Result<(), HandleError> {
        let Some(name) = self.durable.clone() else { return Ok(()) };
        let ended = self.outcomes.take();
        for (number, outcome) in ended {
            let Some(under_way) = self.under_way.get_mut(&number) else { continue };
            if outcome < Outcome::Failed {
                self.under_way.remove(&number);
            } else if under_way.attempts < ATTEMPTS_MAX {
                under_way.failed = true;
                if !std::mem::replace(&mut self.pausing, true) {
                    self.tell(News::Failing);
                }
            } else {
                self.under_way.remove(&number);
                self.tell(News::Skipped(Position::new(number)));
            }
        }
        let oldest = self.under_way.keys().next().map(|number| Position::new(*number).previous());
        let place = oldest.unwrap_or(self.last);
        if place > self.saved {
            self.log.save_checkpoint(&name, place).await?;
            self.saved = place;
        }
        Ok(())
    }

    fn delivery(&self, event: &Arc<Event>) -> Delivery {
        let token = self.durable.as_ref().map(|_| {
            let sink = Arc::clone(&self.outcomes);
            Token::new(sink, event.position.get())
        });
        Delivery::from_source(message(event, event.position <= self.history, None), token)
    }
}

/// The message of an event. The node gives it an identity when it sends it.
pub(super) fn message(event: &Event, replayed: bool, delivery: Option<u32>) -> Message {
    let mut body = Map::with_capacity(3);
    body.insert("topic", event.stream.as_str());
    body.insert("payload", data(event));
    let mut facts = envelope(event);
    if replayed {
        facts.insert("replayed", true);
    }
    if let Some(delivery) = delivery {
        facts.insert("delivery", delivery);
    }
    body.insert("event", facts);
    let mut message = Message::new(0, body);
    let id = event.id.to_string();
    let correlation = event.correlation_id.as_ref().map_or_else(|| id.clone(), ToString::to_string);
    let provenance = Provenance { causes: vec![id], correlation: Some(correlation), command: None, ingest: None };
    message.set_provenance(Arc::new(provenance));
    message.set_flags(Flags { replayed, ..Flags::default() });
    message
}
