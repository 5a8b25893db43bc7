//! Every built-in reducer against a plain recomputation of the same random events, some of them late, with the state
//! stored and opened again on the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::float_cmp)]

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use tidewire_model::Value;
use tidewire_model::event::{Event, JSON};
use tidewire_model::value::to_json_value;
use tidewire_node_api::handles::Reducer;

use super::config::ProjectorConfig;
use super::plan::Plan;
use super::reduce::{KeyTemplate, Reduce};
use crate::shared::event_value::{data_path, test_event};

mod windows;

/// Time and value.
type Reading = (i64, f64);

fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below.max(1)
    }
}

/// Readings with times that go on in steps, and now and then back by up to `back` milliseconds.
fn readings(seed: u64, count: usize, back: u64) -> Vec<Reading> {
    let mut next = random(seed);
    let mut time = 1_700_000_000_000;
    (0..count)
        .map(|_| {
            time += next(3_000) as i64;
            let late = if next(4) == 0 { next(back + 1) as i64 } else { 0 };
            (time - late, (next(2_000) as f64 - 1_000.0) / 8.0)
        })
        .collect()
}

fn reducer(config: &Json) -> (Reduce, Plan) {
    let config: ProjectorConfig = serde_json::from_value(config.clone()).unwrap();
    let plan = config.plan().unwrap_or_else(|problem| panic!("{problem:?}"));
    let path = data_path("n", "/property").ok();
    (Reduce::new(Default::default(), KeyTemplate::Stream, plan.clone(), path, None).unwrap(), plan)
}

fn event(position: u64, time: i64, data: &Json) -> Event {
    Event { time, ..test_event(position, "thing-a", JSON, &json!({"a": [1, {"n": 2}], "n": data}).to_string()) }
}

/// What readers see after these events; every few events the state goes through the store.
fn fold(config: &Json, events: &[Event]) -> Json {
    let (reducer, _) = reducer(config);
    let mut cell = reducer.open("thing-a", &Value::Undefined).unwrap();
    for (index, event) in events.iter().enumerate() {
        // A look at the whole state is dear.
        let before = (index % 7 == 2).then(|| cell.state().to_json());
        let mut result = Ok(());
        let taken = reducer.each(event, &mut |key, input| {
            assert_eq!(key, "thing-a");
            result = cell.apply(input, event);
            Ok(())
        });
        if let Some(before) = before.filter(|_| taken.is_err() || result.is_err()) {
            assert_eq!(cell.state().to_json(), before, "a refused event changes nothing");
        }
        if index % 7 == 3 && (index < 3_000 || index % 1_000 == 3) {
            cell = reducer.open("thing-a", &cell.state()).unwrap();
        }
    }
    to_json_value(&cell.shown())
}

fn fold_readings(config: &Json, readings: &[Reading]) -> Json {
    let events: Vec<Event> =
        readings.iter().zip(1..).map(|((time, value), position)| event(position, *time, &json!(value))).collect();
    fold(config, &events)
}

#[track_caller]
fn close(found: &Json, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} instead of {expected}"));
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} instead of {expected}");
}

/// What an aggregate makes of readings in order of arrival.
fn aggregate(kind: &str, readings: &[Reading]) -> f64 {
    let values = || readings.iter().map(|(_, value)| *value);
    match kind {
        "count" => readings.len() as f64,
        "sum" => values().sum(),
        "min" => values().fold(f64::INFINITY, f64::min),
        "max" => values().fold(f64::NEG_INFINITY, f64::max),
        "average" => values().sum::<f64>() / readings.len() as f64,
        _ => readings.iter().enumerate().max_by_key(|(index, (time, _))| (*time, *index)).unwrap().1.1,
    }
}

const AGGREGATES: [&str; 6] = ["count", "sum", "min", "max", "average", "latest"];

#[test]
fn plain_aggregates_equal_a_recount() {
    for seed in 1..20 {
        let readings = readings(seed, 200, 5_000);
        for kind in ["count", "sum", "min", "max", "average"] {
            close(&fold_readings(&json!({"reducer": kind}), &readings), aggregate(kind, &readings));
        }
        assert_eq!(fold_readings(&json!({"reducer": "first"}), &readings), json!(readings[0].1).as_f64().unwrap());
        close(&fold_readings(&json!({"reducer": "latest"}), &readings), readings[199].1);
    }
}

#[test]
fn sums_do_not_lose_what_is_small() {
    let mut readings = vec![(0, 1e16)];
    readings.extend((1..=10_000).map(|time| (time, 0.25)));
    readings.push((10_001, -1e16));
    close(&fold_readings(&json!({"reducer": "sum"}), &readings), 2_500.0);
    let events: Vec<Event> = (1..=3).map(|n| event(n, 0, &json!(i64::MAX / 3))).collect();
    assert_eq!(fold(&json!({"reducer": "sum"}), &events), json!(i64::MAX / 3 * 3), "whole numbers stay whole");
}

/// The readings that are not late, by the rule that the projector states.
fn in_time(readings: &[Reading], over: impl Fn(i64, i64) -> bool) -> (Vec<Reading>, usize) {
    let (mut kept, mut newest): (Vec<Reading>, Option<i64>) = (Vec::new(), None);
    for reading in readings {
        let known = newest.unwrap_or(reading.0);
        if !over(reading.0, known) {
            kept.push(*reading);
            newest = Some(known.max(reading.0));
        }
    }
    (kept.clone(), readings.len() - kept.len())
}

/// Those that are not older than the latest before them.
fn ordered(readings: &[Reading]) -> Vec<Reading> {
    in_time(readings, |time, newest| time < newest).0
}

#[test]
fn derivative_and_integral_equal_a_recount() {
    for seed in 1..20 {
        let readings = readings(seed, 120, 2_000);
        let kept = ordered(&readings);
        let pairs = || kept.windows(2).map(|pair| (pair[0], pair[1], (pair[1].0 - pair[0].0) as f64 / 1_000.0));
        let rate = pairs().rfind(|(.., dt)| *dt > 0.0).map(|(a, b, dt)| (b.1 - a.1) / dt);
        close(&fold_readings(&json!({"reducer": "derivative"}), &readings), rate.unwrap());
        let area: f64 = pairs().map(|(a, b, dt)| f64::midpoint(a.1, b.1) * dt).sum();
        close(&fold_readings(&json!({"reducer": "integral"}), &readings), area);
        let area: f64 = pairs().filter(|(.., dt)| *dt <= 1.5).map(|(a, b, dt)| f64::midpoint(a.1, b.1) * dt).sum();
        close(&fold_readings(&json!({"reducer": "integral", "longestPause": 1.5}), &readings), area);
    }
}

#[test]
fn a_duty_cycle_equals_a_recount() {
    for seed in 1..20 {
        let readings = readings(seed, 120, 2_000);
        let kept = ordered(&readings);
        let to = kept[kept.len() - 1].0;
        let from = to - 30_000;
        let (mut on, mut known) = (0, 0);
        for pair in kept.windows(2) {
            let part = (pair[1].0 - pair[0].0.max(from)).max(0);
            known += part;
            on += if pair[0].1 >= 10.0 { part } else { 0 };
        }
        let config = json!({"reducer": "duty-cycle", "over": 30, "threshold": 10});
        close(&fold_readings(&config, &readings), on as f64 / known as f64);
    }
    let switched = [("on", 0), ("ON", 5_000), ("off", 10_000), ("off", 40_000)];
    let events: Vec<Event> = switched.iter().zip(1..).map(|((word, time), p)| event(p, *time, &json!(word))).collect();
    close(&fold(&json!({"reducer": "duty-cycle", "over": 3_600}), &events), 0.25);
}

#[test]
fn the_last_values_are_those_with_the_newest_times() {
    for seed in 1..20 {
        let readings = readings(seed, 60, 9_000);
        let found = fold_readings(&json!({"reducer": "last-n", "count": 7}), &readings);
        let mut sorted = readings.clone();
        sorted.sort_by_key(|(time, _)| *time);
        let expected: Vec<Reading> = sorted[sorted.len() - 7..].to_vec();
        let found: Vec<Reading> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["time"].as_i64().unwrap(), item["value"].as_f64().unwrap()))
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn different_values_are_counted_exactly_and_then_nearly() {
    for (many, error) in [(10_u64, 0.0), (1_000, 0.0), (20_000, 0.05)] {
        let mut next = random(many);
        let mut seen = BTreeSet::new();
        let events: Vec<Event> = (1..=many * 2)
            .map(|position| {
                let value = next(many);
                seen.insert(value);
                event(position, 0, &json!(format!("user {value}")))
            })
            .collect();
        let found = fold(&json!({"reducer": "distinct"}), &events).as_f64().unwrap();
        let expected = seen.len() as f64;
        assert!((found - expected).abs() <= expected * error, "{found} instead of {expected}");
    }
}

#[test]
fn histograms_and_percentiles_equal_a_recount() {
    for seed in 1..10 {
        let readings = readings(seed, 500, 0);
        let mut sorted: Vec<f64> = readings.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let found = fold_readings(&json!({"reducer": "histogram"}), &readings);
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
            // Between the values next to the rank, give or take a bucket.
            let rank = (share * 500.0) as usize;
            let (low, high) = (sorted[rank - 1], sorted[rank.min(499)]);
            let value = found[name].as_f64().unwrap();
            let slack = |bound: f64| bound.abs() * 0.02 + 1e-9;
            assert!(value >= low - slack(low) && value <= high + slack(high), "{name}: {value} not in {low}..{high}");
        }
        close(&found["mean"], aggregate("average", &readings));
        for (config, bounds) in [
            (
                json!({"reducer": "histogram", "buckets": "given", "bounds": "-50, 0, 12.5, 90"}),
                vec![-50.0, 0.0, 12.5, 90.0],
            ),
            (
                json!({"reducer": "histogram", "buckets": "exponential", "firstBound": 2, "factor": 3, "bucketCount": 4}),
                vec![2.0, 6.0, 18.0, 54.0],
            ),
        ] {
            let found = fold_readings(&config, &readings);
            let mut low = f64::NEG_INFINITY;
            for (index, high) in bounds.iter().copied().chain([f64::INFINITY]).enumerate() {
                let count = sorted.iter().filter(|value| **value > low && **value <= high).count();
                assert_eq!(found["buckets"][index]["count"], json!(count), "{low}..{high}");
                low = high;
            }
            let median = found["p50"].as_f64().unwrap();
            let bucket = |value: f64| bounds.partition_point(|bound| *bound < value);
            assert!(bucket(median).abs_diff(bucket(sorted[249])) <= 1, "{median} for {}", sorted[249]);
        }
    }
}

#[test]
fn a_state_machine_knows_its_state_and_how_long_it_was_in_each() {
    let config = json!({"reducer": "state-machine", "initial": "idle",
        "transitions": "idle, paused -> running: start\nrunning -> paused: pause\n* -> failed: error"});
    let steps =
        [("start", 1_000), ("error", 500), ("start", 3_000), ("pause", 11_000), ("start", 12_000), ("stop", 20_000)];
    let events: Vec<Event> = steps.iter().zip(1..).map(|((word, time), p)| event(p, *time, &json!(word))).collect();
    let found = fold(&config, &events);
    assert_eq!(found["state"], "running");
    assert_eq!(found["seconds"], json!({"paused": 1, "running": 18}));
    // `error` was late, `start` while running and `stop` lead nowhere.
    assert_eq!((&found["changes"], &found["ignored"], &found["late"]), (&json!(3), &json!(2), &json!(1)));
    for seed in 1..10 {
        let mut next = random(seed);
        let (mut time, mut expected) = (0, std::collections::BTreeMap::<String, f64>::new());
        let mut state: Option<String> = None;
        let events: Vec<Event> = (1..=100)
            .map(|position| {
                let step = next(5_000) as i64;
                time += step;
                if let Some(state) = &state {
                    *expected.entry(state.clone()).or_default() += step as f64 / 1_000.0;
                }
                let word = format!("state {}", next(4));
                expected.entry(word.clone()).or_default();
                state = Some(word.clone());
                event(position, time, &json!(word))
            })
            .collect();
        let found = fold(&json!({"reducer": "state-machine"}), &events);
        assert_eq!(found["state"], json!(state));
        for (state, spent) in expected {
            close(&found["seconds"][state.as_str()], spent);
        }
    }
}

#[test]
fn sizes_are_bounded_and_said() {
    let big = event(1, 0, &json!("x".repeat(2_000)));
    let (reduce, _) = reducer(&json!({"reducer": "state-machine"}));
    let mut cell = reduce.open("thing-a", &Value::Undefined).unwrap();
    assert!(cell.apply(Value::string("x".repeat(2_000)), &big).unwrap_err().contains("200 are allowed"));
    for n in 0..200 {
        cell.apply(Value::string(format!("s{n}")), &big).unwrap();
    }
    assert!(cell.apply(Value::string("one more"), &big).unwrap_err().contains("200 states"));
    let (reduce, _) = reducer(&json!({"reducer": "last-n", "count": 1_000}));
    let mut cell = reduce.open("thing-a", &Value::Undefined).unwrap();
    assert!(cell.apply(Value::string("x".repeat(2_000)), &big).unwrap_err().contains("1000 times"));
    let (reduce, _) = reducer(&json!({"reducer": "duty-cycle", "over": 3_600}));
    let mut cell = reduce.open("thing-a", &Value::Undefined).unwrap();
    let results = (0..10_100).map(|n| cell.apply(Value::Bool(n % 2 == 0), &event(1, n, &json!(0))));
    assert!(results.filter_map(Result::err).last().unwrap().contains("shorter window"));
}

#[test]
fn wrong_plans_are_refused_where_they_are_wrong() {
    for (config, path) in [
        (json!({"reducer": "sum", "window": "tumbling", "length": 0}), "/length"),
        (json!({"reducer": "sum", "window": "sliding", "length": 60, "step": 7}), "/step"),
        (json!({"reducer": "sum", "window": "session", "pause": -1}), "/pause"),
        (json!({"reducer": "sum", "window": "tumbling", "length": 1, "lateness": 90_000}), "/lateness"),
        (json!({"reducer": "rate", "over": 0}), "/over"),
        (json!({"reducer": "last-n", "count": 5_000}), "/count"),
        (json!({"reducer": "histogram", "buckets": "given", "bounds": "1, x"}), "/bounds"),
        (json!({"reducer": "histogram", "buckets": "given", "bounds": "3 2"}), "/bounds"),
        (json!({"reducer": "histogram", "buckets": "exponential", "factor": 1}), "/factor"),
        (json!({"reducer": "state-machine", "transitions": "idle running"}), "/transitions"),
    ] {
        let config: ProjectorConfig = serde_json::from_value(config).unwrap();
        assert_eq!(config.plan().unwrap_err().path, path);
    }
}
