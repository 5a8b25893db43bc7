//! What can happen to a log, drawn at random.

use std::fmt;

use bytes::Bytes;
use tidewire_log::{Commit, StreamList, StreamMark, checkpoint_change};
use tidewire_model::append::{AppendRequest, ExpectedVersion, StateChange};
use tidewire_model::event::{EventId, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query, Start};

use crate::dice::Dice;

/// One step. Everything in it is final, so that leaving other steps out does not change it.
#[derive(Clone)]
pub enum Op {
    /// Requests and state, all or nothing.
    Commit(Commit),
    /// Requests on their own.
    Each(Vec<AppendRequest>),
    /// Every page of a query.
    Read(Query),
    /// A subscription from a start until it has caught up, in batches of at most so many.
    Subscribe(Filter, Start, usize),
    /// What a subscription that goes on all the time has not seen yet.
    Follow(usize),
    EventAt(Position),
    EventById(EventId),
    PositionAtTime(i64),
    Heads(Vec<StreamName>),
    Streams(StreamList),
    /// All state under a prefix, and each of it by key.
    States(&'static str),
    /// The clock jumps by so many milliseconds.
    Clock(i64),
    /// The log ends and is opened again.
    Restart(Restart),
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Commit(commit) => write!(f, "Commit {}", short(commit)),
            Op::Each(requests) => {
                write!(f, "Each {}", short(&Commit { requests: requests.clone(), state: vec![] }))
            }
            Op::Read(query) => write!(f, "Read {query:?}"),
            Op::Subscribe(filter, start, max) => write!(f, "Subscribe {filter:?} {start:?} by {max}"),
            Op::Follow(max) => write!(f, "Follow by {max}"),
            Op::EventAt(position) => write!(f, "EventAt {position}"),
            Op::EventById(id) => write!(f, "EventById {id}"),
            Op::PositionAtTime(time) => write!(f, "PositionAtTime {time}"),
            Op::Heads(streams) => write!(f, "Heads {streams:?}"),
            Op::Streams(list) => write!(f, "Streams {list:?}"),
            Op::States(prefix) => write!(f, "States {prefix:?}"),
            Op::Clock(step) => write!(f, "Clock {step:+}"),
            Op::Restart(Restart::Crash(commits)) => {
                write!(f, "Crash during {}", commits.iter().map(short).collect::<Vec<_>>().join(", "))
            }
            Op::Restart(restart) => write!(f, "Restart {restart:?}"),
        }
    }
}

/// A commit in one line.
fn short(commit: &Commit) -> String {
    let event = |event: &NewEvent| {
        let id = event.id.as_ref().map_or("-".to_owned(), ToString::to_string);
        let data: String = String::from_utf8_lossy(&event.data).chars().take(40).collect();
        format!("{id} {} {data}", event.event_type)
    };
    let request = |request: &AppendRequest| {
        let events: Vec<_> = request.events.iter().take(8).map(event).collect();
        let (stream, expected, count) = (&request.stream, request.expected, request.events.len());
        format!("{stream} ({expected}) {count} × [{}]", events.join(", "))
    };
    let change = |change: &StateChange| format!("{}={:?}", change.key, change.value.as_ref().map(Bytes::len));
    let parts = commit.requests.iter().map(request).chain(commit.state.iter().map(change));
    parts.collect::<Vec<_>>().join("; ")
}

/// How a log ends.
#[derive(Debug, Clone)]
pub enum Restart {
    /// In good order.
    Close,
    /// Its last handle goes.
    Drop,
    /// All files stay as they are, while these commits are under way.
    Crash(Vec<Commit>),
    /// In good order; then its store is deleted.
    StoreLost,
    /// As a crash, with its store deleted.
    CrashAndStoreLost,
}

const STREAMS: &[&str] = &["thing-a", "thing-b", "thing-green-1", "thing-green-2", "flow-1", "alone", "order-7"];
const TYPES: &[&str] = &["read", "moved", "opened", "reading-reported"];
const KEYS: &[&str] = &["context/a", "context/b", "context/long", "timer/1", "checkpoint/x"];
const CHECKPOINTS: &[&str] = &["one", "two"];

/// Draws operations, mostly such that go well.
pub struct Source {
    dice: Dice,
    /// About how many events there are.
    events: u64,
    now: i64,
}

/// When the clock begins.
pub const BEGIN: i64 = 1_700_000_000_000;

impl Source {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), events: 0, now: BEGIN }
    }

    pub fn ops(&mut self, count: usize) -> Vec<Op> {
        (0..count).map(|_| self.op()).collect()
    }

    fn op(&mut self) -> Op {
        match self.dice.below(100) {
            0..30 => Op::Commit(self.commit()),
            30..38 => Op::Each((0..=self.dice.below(12)).map(|_| self.request()).collect()),
            38..40 => Op::Commit(self.bulk()),
            40..60 => Op::Read(self.query()),
            60..66 => {
                let start = self.start();
                Op::Subscribe(self.filter(), start, 1 + self.dice.below(50) as usize)
            }
            66..72 => Op::Follow(1 + self.dice.below(300) as usize),
            72..75 => Op::EventAt(self.position()),
            75..78 => Op::EventById(self.id()),
            78..81 => Op::PositionAtTime(self.time()),
            81..83 => Op::Heads((0..=self.dice.below(4)).map(|_| self.stream()).collect()),
            83..86 => Op::Streams(self.stream_list()),
            86..90 => Op::States(self.dice.pick(&["", "context/", "checkpoint/", "timer/1", "nothing"])),
            90..96 => Op::Clock(self.clock_step()),
            _ => Op::Restart(self.restart()),
        }
    }

    fn restart(&mut self) -> Restart {
        match self.dice.below(10) {
            0..3 => Restart::Close,
            3 => Restart::Drop,
            4..8 => Restart::Crash((0..self.dice.below(5)).map(|_| self.fresh_commit()).collect()),
            8 => Restart::StoreLost,
            _ => Restart::CrashAndStoreLost,
        }
    }

    fn clock_step(&mut self) -> i64 {
        let step = match self.dice.below(10) {
            0 => -3_600_000,
            1 => 3_600_000,
            2..4 => -(self.dice.below(5_000) as i64),
            _ => self.dice.below(500) as i64,
        };
        self.now += step;
        step
    }

    fn commit(&mut self) -> Commit {
        let requests = match self.dice.below(10) {
            0 => 0,
            1..7 => 1,
            more => more - 4,
        };
        let requests: Vec<_> = (0..requests).map(|_| self.request()).collect();
        let changes = if requests.is_empty() { 1 + self.dice.below(3) } else { self.dice.below(5).saturating_sub(2) };
        Commit { requests, state: (0..changes).map(|_| self.change()).collect() }
    }

    /// One that can only succeed: its events have no ids, and it expects nothing.
    fn fresh_commit(&mut self) -> Commit {
        let mut commit = self.commit();
        commit.requests.push(self.request());
        for request in &mut commit.requests {
            request.expected = ExpectedVersion::Any;
            request.events.retain(|event| !event.event_type.is_empty());
            request.events.push(NewEvent::json("read", &serde_json::json!({"n": 0})));
            request.events.iter_mut().for_each(|event| event.id = None);
        }
        commit
    }

    /// Many small events at once.
    fn bulk(&mut self) -> Commit {
        let count = 100 + self.dice.below(700);
        let stream = self.stream();
        let events = (0..count).map(|n| NewEvent::json("counted", &serde_json::json!({ "n": n }))).collect();
        self.events += count;
        Commit { requests: vec![AppendRequest { stream, expected: ExpectedVersion::Any, events }], state: vec![] }
    }

    fn request(&mut self) -> AppendRequest {
        let stream = self.stream();
        let count = match self.dice.below(20) {
            0 => 0,
            1..13 => 1,
            _ => 1 + self.dice.below(4),
        };
        let events = (0..count).map(|_| self.event(&stream)).collect();
        self.events += count;
        let expected = match self.dice.below(20) {
            0 => ExpectedVersion::NoStream,
            1..4 => ExpectedVersion::Exists,
            4..6 => ExpectedVersion::Exact(self.dice.below(self.events + 1)),
            _ => ExpectedVersion::Any,
        };
        AppendRequest { stream, expected, events }
    }

    fn event(&mut self, stream: &StreamName) -> NewEvent {
        let id = self.dice.maybe(30, Self::id_of);
        let text = match (&id, self.dice.percent(80)) {
            // The same id mostly comes with the same content.
            (Some(id), true) => format!("{stream} {id}"),
            _ => format!("text {}", self.dice.below(50)),
        };
        let padding = if self.dice.percent(3) { 5_000 + self.dice.below(3_000) as usize } else { 0 };
        let kind = if id.is_some() { TYPES[0] } else { self.dice.pick(TYPES) };
        let mut event = NewEvent::json(kind, &serde_json::json!({"text": text, "padding": "x".repeat(padding)}));
        if self.dice.percent(1) {
            event.event_type = "".into();
        }
        event.id = id;
        event.correlation_id = self.dice.maybe(20, |dice| EventId::from(format!("chain-{}", dice.below(3))));
        event.time = self.dice.maybe(20, |dice| BEGIN - dice.below(100_000) as i64);
        event
    }

    fn id_of(dice: &mut Dice) -> EventId {
        EventId::from(format!("event-{}", dice.below(60)))
    }

    fn id(&mut self) -> EventId {
        Self::id_of(&mut self.dice)
    }

    fn stream(&mut self) -> StreamName {
        StreamName::new(self.dice.pick(STREAMS)).unwrap()
    }

    fn change(&mut self) -> StateChange {
        if self.dice.percent(25) {
            let name = self.dice.pick(CHECKPOINTS);
            return checkpoint_change(name, self.position());
        }
        let key = self.dice.pick(KEYS);
        let value = self.dice.maybe(80, |dice| {
            let long = if key.ends_with("long") { 20_000 } else { 30 };
            Bytes::from(vec![dice.below(256) as u8; dice.below(long) as usize])
        });
        StateChange { key: key.into(), value }
    }

    fn position(&mut self) -> Position {
        Position::new(self.dice.below(self.events + 5))
    }

    fn time(&mut self) -> i64 {
        self.now - self.dice.below(4_000) as i64 + 500
    }

    fn start(&mut self) -> Start {
        match self.dice.below(6) {
            0 | 1 => Start::Beginning,
            2 => Start::Position(self.position()),
            3 => Start::Time(self.time()),
            4 => Start::Checkpoint((self.dice.pick(CHECKPOINTS)).into()),
            _ => Start::Now,
        }
    }

    #[allow(clippy::needless_update, reason = "a filter may get further parts")]
    fn filter(&mut self) -> Filter {
        let patterns = ["thing-a", "thing-green-*", "*", "thing-*", "*1", "nothing", "f*w-1"];
        let types = ["read", "moved", "*ed", "reading-*", "counted", "never"];
        Filter {
            stream: self.dice.maybe(30, |dice| (dice.pick(&patterns)).into()),
            category: self.dice.maybe(20, |dice| (dice.pick(&["thing", "thing-", "flow", "alone", "none"])).into()),
            event_types: match self.dice.below(10) {
                0..7 => vec![],
                7 | 8 => vec![(self.dice.pick(&types)).into()],
                _ => vec![(self.dice.pick(&types)).into(), (self.dice.pick(&types)).into()],
            },
            from_time: self.dice.percent(10).then(|| self.time()),
            to_time: self.dice.percent(10).then(|| self.time()),
            correlation_id: self.dice.maybe(10, |dice| EventId::from(format!("chain-{}", dice.below(4)))),
            text: self.dice.maybe(10, |dice| (dice.pick(&["TEXT 1", "event-3", "green", "", "zzz"])).into()),
            ..Filter::default()
        }
    }

    fn query(&mut self) -> Query {
        let (direction, from) = match self.dice.below(4) {
            0 => (Direction::Backwards, Position::ZERO),
            1 => (Direction::Backwards, self.position()),
            2 => (Direction::Forwards, self.position()),
            _ => (Direction::Forwards, Position::ZERO),
        };
        let limit = self.dice.pick(&[1, 7, 100, 10_000]);
        let filter = self.filter();
        // Single events of a long log one by one would take the time of everything else.
        let limit = if filter == Filter::default() { limit.max(100) } else { limit };
        Query { filter, from, direction, limit }
    }

    fn stream_list(&mut self) -> StreamList {
        StreamList {
            pattern: self.dice.maybe(50, |dice| (dice.pick(&["thing-*", "*", "alone", "x*"])).into()),
            after: self.dice.maybe(30, |dice| StreamMark { name: dice.pick(STREAMS).into(), ..StreamMark::default() }),
            limit: self.dice.below(4) as usize,
            ..StreamList::default()
        }
    }
}
