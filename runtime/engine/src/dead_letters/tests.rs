//! What a user of dead letters relies on, over a log in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicI64, Ordering};

use tidewire_log::{EventLog, MemoryLog, erase, set_personal};
use tidewire_model::Value;
use tidewire_model::message::Provenance;
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
    events: Arc<dyn EventLog>,
    log: LogHandle,
    clock: Arc<TestClock>,
    letters: DeadLetters,
}

impl Lab {
    fn new() -> Lab {
        let events: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
        events.bodies().set_belonging(vec![LETTERS_OF.into()]);
        let log = LogHandle::new(Arc::clone(&events));
        let clock = Arc::new(TestClock::default());
        let letters = DeadLetters::new(Arc::new(log.clone()), clock.clone(), &tokio::runtime::Handle::current());
        Lab { events, log, clock, letters }
    }

    async fn written(&self) -> Vec<DeadLetter> {
        self.letters.flush().await;
        self.stored().await.iter().map(|event| DeadLetter::of(event).unwrap()).collect()
    }

    async fn stored(&self) -> Vec<Arc<Event>> {
        let all = Query::forwards(Filter::types([FAILED]), Default::default(), 10_000);
        self.log.read(all).await.unwrap().events
    }

    /// A message that came from an event of a stream.
    async fn caused_by(&self, id: u64, stream: &str, chain: Option<&str>) -> Message {
        let event = NewEvent::json("seen", &serde_json::json!("at home")).with_id(format!("e{id}"));
        let request = AppendRequest::one(StreamName::new(stream).unwrap(), event);
        self.log.append(vec![request]).await.pop().unwrap().unwrap();
        let mut message = Message::with_payload(id, "at home");
        let (causes, correlation) = (vec![format!("e{id}")], chain.map(str::to_owned));
        message.set_provenance(Arc::new(Provenance { causes, correlation, ..Provenance::default() }));
        message
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

#[tokio::test]
async fn letters_about_personal_data_are_erased_with_it() {
    let lab = Lab::new();
    set_personal(&*lab.events, vec!["person-*".into()], "ops").await.unwrap();
    for (id, stream, chain) in [
        (1, "person-anna", None),
        (2, "person-ben", None),
        (3, "thing-door", None),
        (4, "thing-door", Some("e1")),
        (5, "dead-letters-person-anna", None),
    ] {
        let message = lab.caused_by(id, stream, chain).await;
        lab.fail("n", message);
    }
    let letters = lab.written().await;
    assert!(letters.iter().all(|letter| letter.message().is_ok()));
    let anna = StreamName::new("person-anna").unwrap();
    erase(&*lab.events, &anna, "ops").await.unwrap();
    let kept: Vec<(String, bool)> = lab
        .stored()
        .await
        .iter()
        .map(|event| (event.stream.to_string(), DeadLetter::of(event).is_some_and(|letter| letter.message().is_ok())))
        .collect();
    let of = |stream: &str, kept| (stream.to_owned(), kept);
    assert_eq!(
        kept,
        [
            of("dead-letters-person-anna", false),
            of("dead-letters-person-ben", true),
            of("dead-letters", true),
            of("dead-letters-person-anna", false),
            of("dead-letters-person-anna", false),
        ]
    );
}

#[tokio::test]
async fn a_message_that_outlives_its_erased_event_is_not_kept() {
    let lab = Lab::new();
    set_personal(&*lab.events, vec!["person-*".into()], "ops").await.unwrap();
    let message = lab.caused_by(1, "person-anna", None).await;
    erase(&*lab.events, &StreamName::new("person-anna").unwrap(), "ops").await.unwrap();
    lab.letters.report(&facts("n"), &NodeError::new("at home is no number").on(message), 7);
    let letters = lab.written().await;
    assert_eq!((letters.len(), &letters[0].message, letters[0].code.as_deref()), (1, &Json::Null, None));
    assert!(letters[0].error.contains("has been erased"), "{}", letters[0].error);
    assert_eq!(letters[0].message().unwrap_err(), LetterError::NotKept);
}
