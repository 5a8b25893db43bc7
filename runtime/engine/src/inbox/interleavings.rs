//! The inbox under many interleavings of its producers, its consumer and deploys, tried out by a scheduler of its own.
//! A wake-up that is lost is a deadlock there, and found.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use shuttle::future::{block_on, spawn};
use tidewire_model::Message;
use tidewire_node_api::Feed;

use super::sync::interleave;
use super::*;

const ITERATIONS: usize = 2_000;

fn way(wire: u32, policy: Policy) -> Way {
    Way { wire, policy, ..Way::default() }
}

fn delivery(id: u64) -> Delivery {
    Delivery::new(Message::with_payload(id, 0), None)
}

fn inbox(messages: usize) -> Arc<Inbox> {
    let inbox = Arc::new(Inbox::default());
    inbox.configure(Limits { messages, ..Limits::default() }, None, &Arc::default());
    inbox
}

/// Sends all of `ids`, two at once, waiting where there is no room. Gives back what was not taken any more.
async fn produce(inbox: Arc<Inbox>, ids: std::ops::Range<u64>, way: Way) -> Vec<u64> {
    let mut left: Vec<Delivery> = ids.map(delivery).rev().collect();
    let mut batch = Vec::new();
    while batch.len() + left.len() > 0 {
        while batch.len() < 2 && !left.is_empty() {
            batch.extend(left.pop());
        }
        match inbox.push(&mut batch, way, &mut Drops::default()) {
            Pushed::All => {}
            Pushed::Full => inbox.wait_room(way).await,
            Pushed::Closed => break,
        }
    }
    batch.iter().chain(left.iter().rev()).map(|delivery| delivery.message.id()).collect()
}

/// One instance of a node: takes until it is told to stop or has seen `count` messages, and puts the rest back.
async fn consume(inbox: &Inbox, seen: &mut Vec<u64>, count: usize) {
    let mut batch = Batch::new();
    while seen.len() < count {
        match poll_fn(|cx| inbox.poll_take(&mut batch, true, cx)).await {
            Taken::Messages => seen.extend(batch.pop_front().map(|delivery| delivery.message.id())),
            Taken::Stop(_) => break,
            Taken::Signal(_) => {}
        }
    }
    inbox.put_back(&mut batch);
}

fn of_producer(seen: &[u64], first: u64) -> Vec<u64> {
    seen.iter().copied().filter(|id| id / 10 == first / 10).collect()
}

#[test]
fn two_producers_that_wait_lose_nothing_and_keep_their_order() {
    interleave(ITERATIONS, || {
        let inbox = inbox(2);
        let first = spawn(produce(inbox.clone(), 0..5, way(1, Policy::Block)));
        let second = spawn(produce(inbox.clone(), 10..15, way(2, Policy::Block)));
        block_on(async move {
            let mut seen = Vec::new();
            consume(&inbox, &mut seen, 10).await;
            assert!(first.await.unwrap().is_empty() && second.await.unwrap().is_empty());
            assert_eq!(of_producer(&seen, 0), [0, 1, 2, 3, 4]);
            assert_eq!(of_producer(&seen, 10), [10, 11, 12, 13, 14]);
        });
    });
}

#[test]
fn an_instance_that_is_replaced_at_any_moment_hands_its_messages_over_in_order() {
    interleave(ITERATIONS, || {
        let inbox = inbox(3);
        let producer = spawn(produce(inbox.clone(), 0..8, way(1, Policy::Block)));
        let stopper = spawn({
            let inbox = inbox.clone();
            async move { inbox.request_stop(StopReason::Replaced) }
        });
        block_on(async move {
            let mut seen = Vec::new();
            consume(&inbox, &mut seen, 8).await;
            stopper.await.unwrap();
            inbox.reset();
            consume(&inbox, &mut seen, 8).await;
            producer.await.unwrap();
            assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
        });
    });
}

#[test]
fn of_an_inbox_that_closes_every_message_is_worked_off_or_still_with_its_sender() {
    interleave(ITERATIONS, || {
        let inbox = inbox(2);
        let producer = spawn(produce(inbox.clone(), 0..6, way(1, Policy::Block)));
        block_on(async move {
            let mut seen = Vec::new();
            while let Err(batch) = inbox.close_if_empty() {
                seen.extend(batch.iter().map(|delivery| delivery.message.id()));
                shuttle::future::yield_now().await;
            }
            seen.extend(producer.await.unwrap());
            assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        });
    });
}

#[test]
fn a_signal_and_a_stop_request_always_wake_the_consumer() {
    interleave(ITERATIONS, || {
        let inbox = inbox(2);
        let others = spawn({
            let inbox = inbox.clone();
            async move {
                inbox.signal(Signal::Timer(1));
                inbox.push(&mut vec![delivery(1)], way(1, Policy::Block), &mut Drops::default());
                inbox.request_stop(StopReason::Removed);
            }
        });
        block_on(async move {
            let mut batch = Batch::new();
            let (mut signals, mut stopped) = (0, false);
            // A node that is at its limit of work under way takes no messages, but must hear of these.
            while !stopped {
                match poll_fn(|cx| inbox.poll_take(&mut batch, false, cx)).await {
                    Taken::Signal(_) => signals += 1,
                    Taken::Stop(_) => stopped = true,
                    Taken::Messages => panic!("none were asked for"),
                }
            }
            others.await.unwrap();
            assert_eq!((signals, inbox.close().len()), (1, 1));
        });
    });
}

#[test]
fn beside_wires_that_drop_a_wire_that_blocks_loses_nothing() {
    interleave(ITERATIONS, || {
        let inbox = inbox(2);
        let blocks = spawn(produce(inbox.clone(), 0..4, way(1, Policy::Block)));
        let drops = spawn(produce(inbox.clone(), 10..14, way(2, Policy::DropOldest)));
        let latest = spawn(produce(inbox.clone(), 20..24, way(3, Policy::Latest)));
        block_on(async move {
            let mut seen = Vec::new();
            while of_producer(&seen, 0).len() < 4 {
                let next = seen.len() + 1;
                consume(&inbox, &mut seen, next).await;
            }
            blocks.await.unwrap();
            drops.await.unwrap();
            let consumer = spawn({
                let inbox = inbox.clone();
                async move {
                    let mut seen = Vec::new();
                    // One topic: the last message stands in the queue in the end, if it was not seen before.
                    consume(&inbox, &mut seen, usize::MAX).await;
                    seen
                }
            });
            latest.await.unwrap();
            inbox.request_stop(StopReason::Replaced);
            seen.extend(consumer.await.unwrap());
            seen.extend(inbox.close().iter().map(|delivery| delivery.message.id()));
            assert_eq!(of_producer(&seen, 0), [0, 1, 2, 3]);
            for (first, last) in [(10, 13), (20, 23)] {
                let came = of_producer(&seen, first);
                assert!(came.is_sorted_by(|a, b| a < b), "{came:?}");
                assert!(first != 20 || came.last() == Some(&last), "the latest one is never dropped: {came:?}");
            }
        });
    });
}

#[test]
fn a_source_that_waits_for_memory_goes_on_when_there_is_some() {
    interleave(ITERATIONS, || {
        let budget = Arc::new(Budget::default());
        budget.set_limit(20_000);
        let (full, fed) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
        full.configure(Limits::default(), None, &budget);
        fed.configure(Limits::default(), None, &budget);
        let large = |id| Delivery::new(Message::with_payload(id, "x".repeat(9_000)), None);
        full.push(&mut vec![large(1), large(2)], way(1, Policy::Block), &mut Drops::default());
        let filler = spawn(async move { full.close().len() });
        let source = spawn(async move {
            let feed = InboxFeed(fed.clone());
            let mut batch: Batch = (0..3).map(delivery).collect();
            while feed.feed(&mut batch) == 0 || !batch.is_empty() {
                feed.wait_room().await;
            }
            fed.amount().messages
        });
        block_on(async move {
            assert_eq!(filler.await.unwrap(), 2);
            assert_eq!(source.await.unwrap(), 3);
        });
    });
}

#[test]
fn a_loop_of_two_inboxes_fed_from_outside_always_goes_on() {
    interleave(ITERATIONS, || {
        let (circle, budget) = (Arc::new(Circle::default()), Arc::default());
        let limits = Limits { messages: 1, ..Limits::default() };
        let [there, back] = [(), ()].map(|()| {
            let inbox = Arc::new(Inbox::default());
            inbox.configure(limits, Some(circle.clone()), &budget);
            inbox
        });
        let entry = spawn(produce(there.clone(), 0..4, Way { entry: true, ..way(1, Policy::Block) }));
        let first = spawn(node(there.clone(), back.clone(), way(2, Policy::Block), |_| true));
        // Every message goes round once more: 0..4 come back as 10..14 and end.
        let second =
            spawn(node(back.clone(), there.clone(), Way { feedback: true, ..way(3, Policy::Block) }, |id| id < 10));
        block_on(async move {
            entry.await.unwrap();
            let mut ended = second.await.unwrap();
            ended.sort_unstable();
            assert_eq!(ended, [10, 11, 12, 13]);
            there.request_stop(StopReason::Removed);
            first.await.unwrap();
        });
    });
}

/// Passes on what `goes_on` allows, with 10 added where it came in below that over the second wire; ends after four
/// messages that went nowhere, or when it is stopped.
async fn node(from: Arc<Inbox>, to: Arc<Inbox>, way: Way, goes_on: fn(u64) -> bool) -> Vec<u64> {
    let mut ended = Vec::new();
    let mut batch = Batch::new();
    while ended.len() < 4 {
        if !matches!(poll_fn(|cx| from.poll_take(&mut batch, true, cx)).await, Taken::Messages) {
            break;
        }
        let Some(taken) = batch.pop_front() else { continue };
        let id = taken.message.id();
        if !goes_on(id) {
            ended.push(id);
            continue;
        }
        let mut out = vec![delivery(if way.feedback { id + 10 } else { id })];
        while to.push(&mut out, way, &mut Drops::default()) == Pushed::Full {
            to.wait_room(way).await;
        }
    }
    ended
}
