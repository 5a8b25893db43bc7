//! What a user of `event-store-in` relies on, over a real log in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::pin::Pin;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use tidewire_model::Value;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_node_api::bench::Bench;
use tidewire_node_api::{Batch, Feed, Outcome};

use super::*;
use crate::events::test_log::{TestLog, collect};

fn started(log: &TestLog, config: serde_json::Value, state: Option<State>) -> Bench {
    let _entered = log.runtime.enter();
    Bench::of::<EventStoreIn>(config).with_services(log.services()).started_with(state)
}

fn numbers(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.payload().as_i64().unwrap()).collect()
}

#[test]
fn what_comes_is_sent_with_its_envelope() {
    let log = TestLog::new();
    log.append("thing-a", "reading-reported", json!({"n": 1}));
    let bench = started(&log, json!({"category": "thing-", "eventTypes": "reading-reported"}), None);
    log.append("thing-a", "renamed", json!(0));
    log.append("user-a", "reading-reported", json!(0));
    let first = NewEvent::json("reading-reported", &json!({"n": 2})).with_id("first");
    let mut event = NewEvent::json("reading-reported", &json!({"n": 3})).with_id("mine");
    event.correlation_id = Some("chain".into());
    let stream = StreamName::new("thing-a").unwrap();
    let requests = [first, event].map(|event| AppendRequest::one(stream.clone(), event));
    log.runtime.block_on(log.log.append(requests.into())).unwrap();
    let (_bench, messages) = collect(bench, 2);
    let message = &messages[1];
    assert_eq!((message.topic(), message.payload().get("n")), (Some("thing-a"), Some(&Value::Int(3))));
    let event = message.get("event").unwrap();
    for (name, expected) in
        [("id", json!("mine")), ("position", json!(5)), ("version", json!(4)), ("correlationid", json!("chain"))]
    {
        assert_eq!(event.get(name), Some(&Value::from(expected)), "{name}");
    }
    assert!(event.get("replayed").is_none() && !message.flags().replayed);
    let provenance = message.provenance().unwrap();
    assert_eq!(
        (provenance.causes.as_slice(), provenance.correlation.as_deref()),
        (&["mine".to_owned()][..], Some("chain"))
    );
    assert_ne!(messages[0].msgid(), messages[1].msgid());
}

#[test]
fn a_filter_that_fails_on_events_is_told() {
    let log = TestLog::new();
    let config = json!({"start": "beginning", "filter": "data.on"});
    log.append("thing-a", "reading-reported", json!({"on": 5}));
    log.append("thing-a", "reading-reported", json!({"on": true}));
    let (bench, _found) = collect(started(&log, config, None), 1);
    let status = bench.after_ms(2_000).seen().statuses.last().unwrap().clone();
    assert!(status.text.starts_with("filter fails on 1 event, left out: "), "{status:?}");
}

#[test]
fn history_comes_first_marked_as_such() {
    for (start, expected) in
        [("beginning", vec![1, 2, 3, 4]), ("3", vec![3, 4]), ("2020-01-01T00:00:00Z", vec![1, 2, 3, 4])]
    {
        let log = TestLog::new();
        for n in 1..=3 {
            log.append("thing-a", "reading-reported", json!(n));
        }
        let bench = started(&log, json!({"start": start}), None);
        log.append("thing-a", "reading-reported", json!(4));
        let (_bench, messages) = collect(bench, expected.len());
        assert_eq!(numbers(&messages), expected, "{start}");
        let replayed: Vec<bool> = messages.iter().map(|message| message.flags().replayed).collect();
        let older: Vec<bool> = expected.iter().map(|n| *n < 4).collect();
        assert_eq!(replayed, older);
    }
}

#[test]
fn a_successor_of_a_node_that_began_now_misses_nothing() {
    let log = TestLog::new();
    let bench = started(&log, json!({}), None);
    log.append("thing-a", "reading-reported", json!(1));
    let (bench, messages) = collect(bench, 1);
    assert_eq!(numbers(&messages), [1]);
    let state = bench.stop(StopReason::Replaced);
    log.append("thing-a", "reading-reported", json!(2));
    let (bench, messages) = collect(started(&log, json!({}), state), 1);
    assert_eq!((numbers(&messages), messages[0].flags().replayed), (vec![2], false));
    assert!(bench.stop(StopReason::Shutdown).is_none());
}

#[test]
fn a_start_that_makes_no_sense_is_refused() {
    for (config, path) in [(json!({"start": "checkpoint"}), "/durable"), (json!({"start": "yesterday"}), "/start")] {
        let problems = Bench::try_of::<EventStoreIn>(config).err().unwrap();
        assert!(problems.contains(path), "{problems}");
    }
}

/// An inbox whose owner decides what becomes of each delivery.
#[derive(Default)]
struct Inbox {
    batch: Mutex<Batch>,
    skipped: Mutex<Vec<u64>>,
    resume: Arc<Notify>,
}

impl Feed for Inbox {
    fn feed(&self, deliveries: &mut Batch) -> usize {
        let count = deliveries.len().min(self.room());
        self.batch.lock().extend(deliveries.drain(..count));
        count
    }

    fn room(&self) -> usize {
        16_usize.saturating_sub(self.batch.lock().len())
    }

    fn wait_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::task::yield_now())
    }

    fn signal(&self, signal: Signal) {
        let Signal::Own(own) = signal else { return };
        match *own.downcast::<News>().unwrap() {
            News::Skipped(position) => self.skipped.lock().push(position.get()),
            // The pause, without its length.
            News::Failing | News::Broken(_) => self.resume.notify_one(),
            News::Listening => {}
        }
    }
}

struct Run {
    inbox: Arc<Inbox>,
    _pump: Background,
}

impl Run {
    fn new(log: &TestLog, begin: Begin) -> Run {
        let _entered = log.runtime.enter();
        let inbox = Arc::new(Inbox::default());
        let fed = Arc::new(AtomicU64::new(log.log.head().get()));
        let pump = Pump::new(log.services().log, inbox.clone(), Filter::default(), begin, Some("mine".into()))
            .with_shared(fed, Arc::clone(&inbox.resume))
            .with_history(log.log.head());
        Run { inbox, _pump: Background::spawn(pump.run()).unwrap() }
    }

    /// The next payloads, each ended as `outcome` says.
    fn take(&self, count: usize, outcome: impl Fn(i64) -> Option<Outcome>) -> Vec<i64> {
        let mut taken = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while taken.len() < count {
            assert!(Instant::now() < deadline, "only {taken:?} came");
            let next = self.inbox.batch.lock().pop_front();
            let Some(delivery) = next else {
                std::thread::yield_now();
                continue;
            };
            let number = delivery.message.payload().as_i64().unwrap();
            taken.push(number);
            match outcome(number) {
                Some(outcome) => delivery.token.unwrap().finish(outcome),
                // Never ends, as in a process that dies.
                None => std::mem::forget(delivery.token),
            }
        }
        taken
    }
}

fn place(log: &TestLog) -> Option<u64> {
    log.runtime.block_on(log.log.checkpoint("mine".into())).unwrap().map(Position::get)
}

fn wait_for_place(log: &TestLog, expected: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while place(log) != Some(expected) {
        assert!(Instant::now() < deadline, "the place is {:?}, not {expected}", place(log));
        std::thread::yield_now();
    }
}

#[test]
fn a_durable_name_repeats_what_was_not_dealt_with_and_skips_nothing() {
    let log = TestLog::new();
    for n in 1..=40 {
        log.append("thing-a", "reading-reported", json!(n));
    }
    let run = Run::new(&log, Begin::Beginning);
    let taken = run.take(30, |n| (n != 25).then_some(if n % 2 == 0 { Outcome::Done } else { Outcome::Dropped }));
    assert_eq!(taken, (1..=30).collect::<Vec<_>>());
    wait_for_place(&log, 24);
    drop(run);
    let run = Run::new(&log, Begin::Now);
    let taken = run.take(16, |_| Some(Outcome::Done));
    assert_eq!(taken, (25..=40).collect::<Vec<_>>(), "the start matters the first time only");
    wait_for_place(&log, 40);
}

#[test]
fn a_durable_name_that_begins_now_keeps_its_place_at_once() {
    let log = TestLog::new();
    log.append("thing-a", "reading-reported", json!(1));
    let run = Run::new(&log, Begin::Now);
    wait_for_place(&log, 1);
    drop(run);
    log.append("thing-a", "reading-reported", json!(2));
    let run = Run::new(&log, Begin::Now);
    assert_eq!(run.take(1, |_| Some(Outcome::Done)), [2]);
    wait_for_place(&log, 2);
}

#[test]
fn an_event_that_fails_is_sent_again_then_skipped() {
    let log = TestLog::new();
    for n in 1..=4 {
        log.append("thing-a", "reading-reported", json!(n));
    }
    let run = Run::new(&log, Begin::Beginning);
    let mut taken = run.take(6, |n| Some(if n == 2 { Outcome::Failed } else { Outcome::Done }));
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 2, 2, 3, 4]);
    wait_for_place(&log, 4);
    assert_eq!(*run.inbox.skipped.lock(), [2]);
}
