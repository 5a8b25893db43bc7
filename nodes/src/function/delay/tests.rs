//! Behaviour of `delay`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tidewire_model::Message;
use tidewire_node_api::bench::Bench;
use tidewire_node_api::{AckSink, Outcome, Token};

use super::Delay;

fn delay(config: Json) -> Bench {
    Bench::of::<Delay>(config)
}

fn rate(per_second: u32) -> Bench {
    delay(json!({"pauseType": "rate", "rate": per_second.to_string(), "rateUnits": "second"}))
}

fn none() -> [i64; 0] {
    []
}

#[test]
fn each_message_waits_for_its_time() {
    let bench = delay(json!({"timeout": "2", "timeoutUnits": "seconds"})).send(1).after_ms(500).send(2);
    let bench = bench.after_ms(1_499).emits(none()).after_ms(1).emits([1]).after_ms(500).emits([2]);
    // Units may be any, and numbers may be text.
    let _ = bench;
    let day = delay(json!({"timeout": 0.5, "timeoutUnits": "days"})).send(1).after_ms(43_199_999).emits(none());
    let _ = day.after_ms(1).emits([1]);
}

#[test]
fn a_message_may_say_how_long_it_waits() {
    let bench = delay(json!({"pauseType": "delayv", "timeout": "1"}));
    let bench = bench
        .send_json(json!({"payload": 1, "delay": "250"}))
        .send_json(json!({"payload": 2}))
        .send_json(json!({"payload": 3, "delay": -5}))
        .emits([3]);
    let _ = bench.after_ms(250).emits([1]).after_ms(750).emits([2]);
}

#[test]
fn a_random_wait_is_within_its_limits() {
    let config =
        json!({"pauseType": "random", "randomFirst": "100", "randomLast": "200", "randomUnits": "milliseconds"});
    let bench = (0..20).fold(delay(config), Bench::send).after_ms(99).emits(none());
    let mut bench = bench.after_ms(102);
    assert_eq!(bench.take().len(), 20);
}

#[test]
fn flush_sends_and_reset_drops_what_waits() {
    let filled = || (1..=4).fold(delay(json!({"timeout": 1})), Bench::send);
    let bench = filled().send_json(json!({"flush": 2})).emits([1, 2]);
    let bench = bench.send_json(json!({"payload": 5, "flush": true})).emits([3, 4, 5]);
    let _ = bench.after_ms(5_000).emits(none());
    let _ = filled().send_json(json!({"payload": 9, "reset": true})).after_ms(5_000).emits(none());
}

#[test]
fn a_rate_lets_the_first_message_pass_and_the_others_one_by_one() {
    let bench = rate(2).send(1).emits([1]).send(2).send(3).after_ms(499).emits(none());
    let bench = bench.after_ms(1).emits([2]).after_ms(500).emits([3]).after_ms(499).send(4).emits(none());
    let bench = bench.after_ms(1).emits([4]).after_ms(600).send(5).emits([5]);
    // A message may change the rate where the flow allows it.
    let _ = bench.send_json(json!({"payload": 6, "rate": 1})).after_ms(1).emits(none());
    let bench = delay(json!({"pauseType": "rate", "rate": 1, "allowrate": true})).send(1).emits([1]);
    let bench = bench.send_json(json!({"payload": 2, "rate": "200"})).send(3).after_ms(200).emits([2]);
    let _ = bench.send_json(json!({"reset": true})).send(4).emits([4]).send(5).after_ms(999).emits(none());
}

#[test]
fn a_high_rate_is_kept_on_average() {
    let mut bench = (0..5_000).fold(rate(2_000), Bench::send).after_ms(1_000);
    let passed = bench.take().len();
    assert!((1_990..=2_041).contains(&passed), "{passed} messages in a second");
}

#[test]
fn a_message_may_go_to_the_front_and_others_be_flushed() {
    let bench = rate(1).send(1).send(2).send_json(json!({"payload": 3, "toFront": true})).emits([1]);
    let bench = bench.send_json(json!({"flush": 1})).emits([3]).after_ms(999).emits(none()).after_ms(1).emits([2]);
    // Flushing nothing lets the next message pass.
    let bench = bench.send_json(json!({"flush": true})).send(4).emits([4]);
    let bench = bench.send(5).send_json(json!({"payload": 6, "flush": 1, "reset": true})).emits([5]);
    let _ = bench.after_ms(5_000).emits(none());
}

#[test]
fn what_comes_too_soon_is_dropped_or_leaves_on_the_second_output() {
    let config = |outputs: u32| json!({"pauseType": "rate", "rate": 1, "drop": true, "outputs": outputs});
    let bench = delay(config(1)).send(1).send(2).after_ms(999).send(3).after_ms(1).send(4).emits([1, 4]);
    let _ = bench.send_json(json!({"reset": true})).send(5).emits([5]);
    let _ = delay(config(2)).send(1).send(2).emits_messages([(0, json!({"payload": 1})), (1, json!({"payload": 2}))]);
}

fn topics(bench: Bench) -> Bench {
    [(1, "a"), (2, "b"), (3, "a")]
        .into_iter()
        .fold(bench, |bench, (payload, topic)| bench.send_json(json!({"payload": payload, "topic": topic})))
}

#[test]
fn a_queue_keeps_the_latest_message_of_each_topic() {
    let config = |mode: &str| json!({"pauseType": mode, "rate": 1, "outputs": 2});
    let bench = topics(delay(config("queue")));
    let bench = bench.emits_messages([(1, json!({"payload": 1, "topic": "a"}))]);
    let bench = bench.send(4).after_ms(1_000).emits([3]).after_ms(1_000).emits([2]);
    let bench = bench.after_ms(1_000).emits_messages([(0, json!({"payload": 4, "topic": "_none_"}))]);
    // Ticks go on whether or not there is something to send.
    let _ = bench.after_ms(2_500).send(5).after_ms(499).emits(none()).after_ms(1).emits([5]);
    let mut bench = topics(delay(config("timed"))).after_ms(1_000);
    assert_eq!(bench.take().len(), 3);
    let bench = topics(bench).send_json(json!({"reset": true}));
    let _ = bench.emits_messages([(1, json!({"payload": 1, "topic": "a"}))]).after_ms(5_000).emits(none());
}

#[test]
fn a_limit_drops_all_that_waits_and_fails_the_message() {
    let bench = rate(1).with_setting("nodeMessageBufferMaxLength", 2);
    let bench = (1..=4).fold(bench, Bench::send).emits([1]);
    let seen = bench.seen();
    assert_eq!(seen.errors[0].code, Some("delay.errors.too-many"));
    assert_eq!(seen.errors[0].message.as_ref().unwrap().payload().as_i64(), Some(4));
    let _ = bench.after_ms(5_000).emits(none());
}

#[test]
fn what_waits_survives_a_crash_and_leaves_once_its_time_has_come() {
    let config = || json!({"timeout": 10});
    let sent = delay(config()).send(1).after_ms(1_000).send(2);
    let bench = sent.after_ms(8_000).crashed().after_ms(999).emits(none()).after_ms(1).emits([1]);
    let _ = bench.crashed().after_ms(1_000).emits([2]).crashed().after_ms(20_000).emits(none());
    // The message is the same: what is derived from its id stays the same too.
    let message = Message::with_payload(77, 1);
    let mut bench = delay(config()).send_message(message.clone()).crashed().after_ms(10_000);
    assert_eq!(bench.take()[0].1.msgid(), message.msgid());
}

#[test]
fn the_order_and_the_pace_survive_a_crash() {
    let bench = rate(1).send(1).send(2).send(3).send_json(json!({"payload": 4, "toFront": true})).emits([1]);
    let bench = bench.after_ms(400).crashed().after_ms(599).emits(none()).after_ms(1).emits([4]);
    let _ = bench.crashed().after_ms(1_000).emits([2]).after_ms(1_000).emits([3]);
    let queue = topics(delay(json!({"pauseType": "queue", "rate": 1}))).crashed();
    let _ = queue.after_ms(1_000).emits([3]).crashed().after_ms(1_000).emits([2]);
}

#[test]
fn a_message_that_left_comes_again_only_if_nobody_dealt_with_it() {
    let bench = delay(json!({"timeout": 1})).with_slow_receiver().send(1).send(2).after_ms(1_000).emits([1, 2]);
    let bench = bench.crashed().after_ms(0).emits([1, 2]).delivered();
    let bench = bench.crashed().after_ms(5_000).emits(none());
    // A deploy meanwhile repeats nothing, and a crash after it still loses nothing.
    let bench = bench.send(3).after_ms(1_000).emits([3]).replaced().after_ms(5_000).emits(none());
    let bench = bench.crashed().after_ms(0).emits([3]).replaced().delivered();
    let _ = bench.crashed().after_ms(5_000).emits(none());
}

#[test]
fn a_loop_that_waits_is_no_loop_that_runs_wild() {
    let mut message = Message::with_payload(1, 1);
    message.add_hop();
    let mut bench = delay(json!({"timeout": 1})).send_message(message).after_ms(1_000);
    assert_eq!(bench.take()[0].1.hops(), 0);
}

#[derive(Default)]
struct Source(Mutex<Vec<(u64, Outcome)>>);

impl AckSink for Source {
    fn complete(&self, id: u64, outcome: Outcome) {
        self.0.lock().unwrap().push((id, outcome));
    }
}

impl Source {
    fn take(&self) -> Vec<(u64, Outcome)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[test]
fn a_source_hears_at_once_or_when_the_message_was_dealt_with() {
    let source = Arc::new(Source::default());
    let message = |id: u64| (Message::with_payload(id, id), Some(Token::new(source.clone(), id)));
    let send = |bench: Bench, id: u64| {
        let (message, token) = message(id);
        bench.send_with(message, token)
    };
    let _ = send(delay(json!({"timeout": 1})), 1);
    assert_eq!(source.take(), [(1, Outcome::Done)]);
    let through = || delay(json!({"timeout": 1, "ack": "through"})).with_slow_receiver();
    let bench = send(through(), 2).after_ms(1_000);
    assert_eq!(source.take(), []);
    let bench = bench.delivered();
    assert_eq!(source.take(), [(2, Outcome::Done)]);
    // What is dropped on purpose is told as such; what waits as the node is deployed anew is kept instead.
    let bench = send(bench, 3).send_json(json!({"reset": true}));
    assert_eq!(source.take(), [(3, Outcome::Dropped)]);
    let bench = send(bench, 4).replaced();
    assert_eq!(source.take(), [(4, Outcome::Done)]);
    let _ = bench.emits([2]).after_ms(1_000).emits([4]);
}

#[test]
fn the_work_on_a_message_ends_when_it_leaves() {
    let bench = delay(json!({"timeout": 1})).with_completions().send(1).send(2);
    assert!(bench.seen().completed.is_empty());
    let bench = bench.after_ms(1_000);
    assert_eq!(bench.seen().completed.len(), 2);
    let bench = bench.send(3).send_json(json!({"payload": 4, "reset": true}));
    let ended = |bench: &Bench| -> Vec<_> {
        bench.seen().completed.iter().map(|message| message.payload().as_i64().unwrap()).collect()
    };
    assert_eq!(ended(&bench), [3, 4]);
    let bench = delay(json!({"pauseType": "timed"})).with_completions().send(1);
    assert_eq!(ended(&bench.send_json(json!({"payload": 2, "reset": true}))), [1, 2]);
}
