//! What a user of dead letters relies on, over a log in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicI64, Ordering};

use tidewire_log::MemoryLog;
use tidewire_model::Value;
use tidewire_model::query::{Filter, Query};

use super::*;
use crate::log_handle::LogHandle;

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Lab {
    log: LogHandle,
    clock: Arc<TestClock>,
    letters: DeadLetters,
}

impl Lab {
    fn new() -> Lab {
        let log = LogHandle::new(Arc::new(MemoryLog::new()));
        let clock = Arc::new(TestClock::default());
        let letters = DeadLetters::new(Arc::new(log.clone()), clock.clone(), &tokio::runtime::Handle::current());
        Lab { log, clock, letters }
    }

    async fn written(&self) -> Vec<DeadLetter> {
        self.letters.flush().await;
        let page = self.log.read(Query::forwards(Filter::stream(STREAM), Default::default(), 10_000)).await.unwrap();
        page.events.iter().map(|event| DeadLetter::of(event).unwrap()).collect()
    }

    fn fail(&self, node: &str, message: Message) {
        self.letters.report(&facts(node), &NodeError::new("no").with_code("refused").on(message), 7);
    }
}

fn facts(node: &str) -> NodeFacts {
    NodeFacts { id: node.into(), type_name: "test".into(), name: "a node".into(), flow: "tab".into(), alias: None }
}

#[tokio::test]
async fn a_letter_says_what_failed_where_and_gives_the_message_back() {
    let lab = Lab::new();
    let mut message = Message::with_payload(5, Value::Bytes(Bytes::from_static(b"\x00\xff")));
    message.set("topic", "a/b");
    message.add_hop();
    lab.fail("n", message.clone());
    lab.letters.report(&facts("n"), &NodeError::new("about no message"), 7);
    let letters = lab.written().await;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.reason, letter.error.as_str(), letter.code.as_deref()), (Reason::Failed, "no", Some("refused")));
    assert_eq!((letter.node.id.as_str(), letter.node.flow.as_str(), letter.revision), ("n", "tab", 7));
    assert_eq!((letter.message["topic"].as_str(), letter.hops), (Some("a/b"), 1));
    let back = letter.message().unwrap();
    assert_eq!((back.to_value(), back.hops(), back.id()), (message.to_value(), 1, 5));
}

#[tokio::test]
async fn a_large_message_is_shown_in_part_and_one_too_large_is_not_kept() {
    let lab = Lab::new();
    lab.fail("n", Message::with_payload(1, "ä".repeat(SHOWN)));
    lab.fail("n", Message::with_payload(2, "x".repeat(KEPT)));
    let letters = lab.written().await;
    assert!(letters.iter().all(|letter| letter.message.as_str().is_some_and(|text| text.len() <= SHOWN + 3)));
    assert!(letters[0].cut > Some(2 * SHOWN) && letters[0].message().is_ok());
    assert_eq!(letters[1].message().unwrap_err(), LetterError::NotKept);
}

#[tokio::test]
async fn a_node_above_its_rate_is_counted_and_the_others_are_not() {
    let lab = Lab::new();
    for id in 0..35 {
        lab.fail("busy", Message::with_payload(id, 0));
    }
    lab.fail("calm", Message::with_payload(99, 0));
    lab.clock.0.store(1_000, Ordering::Relaxed);
    lab.fail("busy", Message::with_payload(36, 0));
    lab.fail("busy", Message::with_payload(37, 0));
    let letters = lab.written().await;
    let of = |node: &str| letters.iter().filter(|letter| letter.node.id.as_str() == node).collect::<Vec<_>>();
    assert_eq!((of("busy").len(), of("calm").len()), (12, 1));
    let suppressed: Vec<u64> = of("busy").iter().map(|letter| letter.suppressed).collect();
    assert_eq!((suppressed[10], suppressed.iter().sum::<u64>()), (25, 25));
}

#[tokio::test]
async fn all_that_a_removed_node_left_is_kept() {
    let lab = Lab::new();
    lab.letters.removed(&facts("gone"), (0..500).map(|id| Message::with_payload(id, 0)), 8);
    let letters = lab.written().await;
    let ids: Vec<u64> = letters.iter().map(|letter| letter.message().unwrap().id()).collect();
    assert!(ids.iter().copied().eq(0..500) && letters.iter().all(|letter| letter.reason == Reason::Removed));
}

#[tokio::test]
async fn a_retry_is_recorded_once_under_an_id_that_can_be_looked_up() {
    let lab = Lab::new();
    lab.fail("n", Message::with_payload(1, 0));
    lab.letters.flush().await;
    let log: &dyn Log = &lab.log;
    let page = log.read(Query::forwards(Filter::stream(STREAM), Default::default(), 10)).await.unwrap();
    let event = &page.events[0];
    let retried = || vec![DeadLetter::retried(event, "anna").unwrap()];
    assert!(!log.append(retried()).await[0].as_ref().unwrap().deduplicated);
    assert!(log.append(retried()).await[0].as_ref().unwrap().deduplicated);
    let page = log.read(Query::backwards(Filter::types([RETRIED]), 10)).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert_eq!((&page.events[0].id, &page.events[0].causation_id), (&retried_id(&event.id), &Some(event.id.clone())));
}
