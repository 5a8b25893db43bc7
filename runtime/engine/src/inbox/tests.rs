//! What an inbox promises to senders and to its consumer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidewire_model::Message;
use tidewire_node_api::{AckSink, Feed, Outcome, Token};

use super::*;

const NONE: [u64; 0] = [];

const BLOCK: Way =
    Way { wire: 1, policy: Policy::Block, feedback: false, entry: false, source: false, last_call: false };

fn way(policy: Policy) -> Way {
    Way { policy, ..BLOCK }
}

fn deliveries(ids: std::ops::Range<u64>) -> Vec<Delivery> {
    ids.map(|id| Delivery::new(Message::with_payload(id, 0), None)).collect()
}

fn on_topic(topic: &str, id: u64) -> Delivery {
    let mut message = Message::with_payload(id, 0);
    message.set("topic", topic);
    Delivery::new(message, None)
}

fn ids<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Vec<u64> {
    deliveries.into_iter().map(|delivery| delivery.message.id()).collect()
}

fn inbox(messages: usize) -> Inbox {
    let inbox = Inbox::default();
    inbox.configure(Limits { messages, ..Limits::default() }, None, &Arc::default());
    inbox
}

async fn take(inbox: &Inbox) -> Vec<u64> {
    let mut batch = Batch::new();
    poll_fn(|cx| inbox.poll_take(&mut batch, true, cx)).await;
    ids(&batch)
}

fn push(inbox: &Inbox, mut deliveries: Vec<Delivery>, way: Way) -> (Vec<u64>, Vec<u64>) {
    let mut drops = Drops::default();
    inbox.push(&mut deliveries, way, &mut drops);
    drops.by_policy.append(&mut drops.no_room);
    (ids(&deliveries), ids(&drops.by_policy))
}

#[tokio::test]
async fn what_is_put_back_comes_first() {
    let inbox = inbox(10);
    push(&inbox, deliveries(3..5), BLOCK);
    inbox.put_back(&mut deliveries(1..3).into());
    assert_eq!(take(&inbox).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_waiting_producer_goes_on_when_the_queue_is_taken() {
    let inbox = Arc::new(inbox(4));
    assert_eq!(push(&inbox, deliveries(0..6), BLOCK), (vec![4, 5], vec![]));
    let producer = tokio::spawn({
        let inbox = inbox.clone();
        async move {
            inbox.wait_room(BLOCK).await;
            push(&inbox, deliveries(4..6), BLOCK)
        }
    });
    tokio::task::yield_now().await;
    assert_eq!(take(&inbox).await, [0, 1, 2, 3]);
    assert_eq!(producer.await.unwrap(), (vec![], vec![]));
    assert_eq!(take(&inbox).await, [4, 5]);
}

#[test]
fn a_closed_inbox_takes_nothing_and_an_inbox_with_messages_does_not_close() {
    let inbox = inbox(10);
    push(&inbox, deliveries(0..2), BLOCK);
    assert_eq!(inbox.close_if_empty().unwrap_err().len(), 2);
    assert!(inbox.close_if_empty().is_ok());
    let mut late = deliveries(2..3);
    assert_eq!(inbox.push(&mut late, BLOCK, &mut Drops::default()), Pushed::Closed);
    assert_eq!(late.len(), 1);
}

#[test]
fn the_limit_of_bytes_holds_but_lets_one_large_message_through() {
    let inbox = Inbox::default();
    inbox.configure(Limits { messages: 1_000, bytes: 2_000 }, None, &Arc::default());
    let large = || vec![Delivery::new(Message::with_payload(1, "x".repeat(10_000)), None)];
    assert!(push(&inbox, large(), BLOCK).0.is_empty());
    assert_eq!(push(&inbox, deliveries(2..3), BLOCK).0, [2], "full by its bytes");
    assert_eq!(inbox.amount().messages, 1);
    assert!(inbox.amount().bytes > 10_000);
}

#[tokio::test]
async fn drop_newest_and_drop_oldest_keep_one_end() {
    let newest = inbox(3);
    assert_eq!(push(&newest, deliveries(0..2), way(Policy::DropNewest)), (vec![], vec![]));
    assert_eq!(push(&newest, deliveries(2..6), way(Policy::DropNewest)), (vec![], vec![3, 4, 5]));
    assert_eq!(take(&newest).await, [0, 1, 2]);
    let oldest = inbox(3);
    push(&oldest, deliveries(0..2), way(Policy::DropOldest));
    assert_eq!(push(&oldest, deliveries(2..5), way(Policy::DropOldest)).1, [0, 1]);
    assert_eq!(push(&oldest, deliveries(5..10), way(Policy::DropOldest)).1, [2, 3, 4, 5, 6]);
    assert_eq!(take(&oldest).await, [7, 8, 9]);
}

#[tokio::test]
async fn a_wire_that_drops_never_takes_the_place_of_messages_of_a_wire_that_blocks() {
    let inbox = inbox(4);
    push(&inbox, deliveries(0..2), BLOCK);
    let lossy = Way { wire: 2, ..way(Policy::DropOldest) };
    push(&inbox, deliveries(10..12), lossy);
    assert_eq!(push(&inbox, deliveries(12..13), lossy).1, [10]);
    assert_eq!(push(&inbox, deliveries(2..3), BLOCK).0, [2]);
    assert_eq!(push(&inbox, deliveries(13..20), lossy).1, [11, 12, 13, 14, 15, 16, 17]);
    assert_eq!(take(&inbox).await, [0, 1, 18, 19]);
}

#[tokio::test]
async fn latest_replaces_in_place_by_topic_and_wire() {
    let inbox = inbox(3);
    let latest = way(Policy::Latest);
    assert_eq!(push(&inbox, vec![on_topic("a", 1), on_topic("b", 2), on_topic("a", 3)], latest).1, [1]);
    let other = Way { wire: 2, ..latest };
    assert_eq!(push(&inbox, vec![on_topic("a", 4)], other).1, NONE);
    // No room for one more topic: it waits, and what is behind it too.
    assert_eq!(push(&inbox, vec![on_topic("b", 5), on_topic("c", 6), on_topic("a", 7)], latest), (vec![6, 7], vec![2]));
    assert_eq!(take(&inbox).await, [3, 5, 4]);
    inbox.put_back(&mut [on_topic("a", 3)].into_iter().collect());
    assert_eq!(push(&inbox, vec![on_topic("a", 8)], Way { wire: 0, ..latest }).1, [3], "what was put back counts");
}

#[test]
fn a_wire_that_closes_a_loop_uses_the_overflow_and_then_drops() {
    let inbox = inbox(2);
    let feedback = Way { feedback: true, ..BLOCK };
    assert_eq!(push(&inbox, deliveries(0..50), feedback), (vec![], vec![]));
    assert_eq!(inbox.overflow(), 48);
    assert_eq!(push(&inbox, deliveries(50..51), BLOCK).0, [50], "others wait meanwhile");
    assert_eq!(push(&inbox, deliveries(50..10_003), feedback).1, [10_002]);
}

#[tokio::test]
async fn what_feeds_a_loop_waits_while_the_loop_holds_too_much() {
    let (circle, budget) = (Arc::new(Circle::default()), Arc::default());
    let (first, second) = (Inbox::default(), Inbox::default());
    let limits = Limits { messages: 4, ..Limits::default() };
    first.configure(limits, Some(circle.clone()), &budget);
    second.configure(limits, Some(circle.clone()), &budget);
    push(&second, deliveries(0..3), Way { feedback: true, ..BLOCK });
    let entry = Way { entry: true, ..BLOCK };
    assert_eq!(push(&first, deliveries(10..13), entry).0, [11, 12]);
    assert_eq!(push(&first, deliveries(13..14), BLOCK).0, NONE, "within the loop only the inbox counts");
    // What was taken counts until its consumer is done with it.
    let mut batch = Batch::new();
    poll_fn(|cx| second.poll_take(&mut batch, true, cx)).await;
    assert_eq!(push(&first, deliveries(11..12), entry).0, [11]);
    batch.clear();
    assert!(futures_util::poll!(poll_fn(|cx| second.poll_take(&mut batch, true, cx))).is_pending());
    assert_eq!(push(&first, deliveries(11..13), entry).0, NONE);
    assert_eq!(circle.amount().messages, 4);
    first.configure(limits, None, &budget);
    assert_eq!(circle.amount().messages, 0);
}

#[tokio::test]
async fn sources_wait_while_all_inboxes_together_hold_too_much() {
    let budget = Arc::new(Budget::default());
    budget.set_limit(100_000);
    let (full, empty) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    full.configure(Limits::default(), None, &budget);
    empty.configure(Limits::default(), None, &budget);
    let large = |id| Delivery::new(Message::with_payload(id, "x".repeat(30_000)), None);
    let feed = InboxFeed(empty.clone());
    push(&full, vec![large(1), large(2)], BLOCK);
    assert_eq!(feed.feed(&mut deliveries(0..1).into()), 1);
    push(&full, vec![large(3)], BLOCK);
    assert_eq!((feed.feed(&mut deliveries(1..2).into()), feed.room()), (0, 0));
    push(&full, vec![large(4)], BLOCK);
    assert_eq!(push(&full, deliveries(5..6), BLOCK).0, [5], "used up: only an empty inbox takes more");
    take(&empty).await;
    assert_eq!(push(&empty, deliveries(6..7), BLOCK).0, NONE);
    let mut waiting = feed.wait_room();
    assert!(futures_util::poll!(&mut waiting).is_pending());
    full.close();
    waiting.await;
    assert!(budget.figures().0 < 1_000);
}

#[derive(Default)]
struct Dropped(AtomicU64);

impl AckSink for Dropped {
    fn complete(&self, _id: u64, outcome: Outcome) {
        assert_eq!(outcome, Outcome::Lost);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn messages_that_give_way_come_out_with_their_tokens() {
    let inbox = inbox(1);
    let seen = Arc::new(Dropped::default());
    let token = |id| Some(Token::new(seen.clone(), id));
    let mut drops = Drops::default();
    let mut both: Vec<_> =
        [1, 2].map(|id| Delivery::new(Message::with_payload(id, 0), token(id))).into_iter().collect();
    inbox.push(&mut both, way(Policy::DropOldest), &mut drops);
    assert_eq!(seen.0.load(Ordering::Relaxed), 0);
    assert_eq!(ids(&drops.by_policy), [1]);
}
