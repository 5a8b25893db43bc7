//! Windows against a recount.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::json;

use super::*;

#[test]
fn tumbling_windows_equal_a_recount_with_and_without_lateness() {
    for seed in 1..15 {
        let readings = readings(seed, 150, 40_000);
        for lateness in [0, 10, 60] {
            for kind in AGGREGATES {
                let config = json!({"reducer": kind, "window": "tumbling", "length": 20, "lateness": lateness});
                let found = fold_readings(&config, &readings);
                let start = |time: i64| time.div_euclid(20_000) * 20_000;
                let (kept, late) = in_time(&readings, |time, newest| start(time) + 20_000 <= newest - lateness * 1_000);
                let mut starts: Vec<i64> = kept.iter().map(|(time, _)| start(*time)).collect();
                starts.sort_unstable();
                starts.dedup();
                let within = |from: i64| -> Vec<Reading> {
                    kept.iter().filter(|(time, _)| start(*time) == from).copied().collect()
                };
                let last = starts[starts.len() - 1];
                close(&found["value"], aggregate(kind, &within(last)));
                close(&found["previous"]["value"], aggregate(kind, &within(starts[starts.len() - 2])));
                assert_eq!((&found["from"], &found["to"]), (&json!(last), &json!(last + 20_000)));
                assert_eq!((&found["late"], &found["count"]), (&json!(late), &json!(within(last).len())));
            }
        }
    }
}

#[test]
fn sliding_windows_and_rates_equal_a_recount() {
    for seed in 1..15 {
        let readings = readings(seed, 150, 40_000);
        let pane = |time: i64| time.div_euclid(1_000) * 1_000;
        let (kept, late) = in_time(&readings, |time, newest| pane(time) < pane(newest.max(time)) - 59_000);
        let newest = kept.iter().map(|(time, _)| *time).max().unwrap();
        let last: Vec<Reading> = kept.iter().filter(|(time, _)| *time >= pane(newest) - 59_000).copied().collect();
        for kind in AGGREGATES {
            let config = json!({"reducer": kind, "window": "sliding", "length": 60, "step": 1});
            let found = fold_readings(&config, &readings);
            close(&found["value"], aggregate(kind, &last));
            assert_eq!((&found["to"], &found["late"]), (&json!(pane(newest) + 1_000), &json!(late)));
        }
        let config = json!({"reducer": "rate", "over": 60, "property": "n"});
        close(&fold_readings(&config, &readings), aggregate("sum", &last) / 60.0);
        close(&fold_readings(&json!({"reducer": "rate", "over": 60}), &readings), last.len() as f64 / 60.0);
    }
}

#[test]
fn sessions_equal_a_recount() {
    for seed in 1..25 {
        let readings = readings(seed, 80, 3_000);
        for kind in AGGREGATES {
            let config = json!({"reducer": kind, "window": "session", "pause": 2, "lateness": 3_600});
            let found = fold_readings(&config, &readings);
            let mut sorted: Vec<(usize, Reading)> = readings.iter().copied().enumerate().collect();
            sorted.sort_by_key(|(index, (time, _))| (*time, *index));
            let mut sessions: Vec<Vec<(usize, Reading)>> = Vec::new();
            for item in sorted {
                match sessions.last_mut() {
                    Some(session) if item.1.0 - session[session.len() - 1].1.0 <= 2_000 => session.push(item),
                    _ => sessions.push(vec![item]),
                }
            }
            let by_arrival = |session: &Vec<(usize, Reading)>| -> Vec<Reading> {
                let mut session = session.clone();
                session.sort_by_key(|(index, _)| *index);
                session.into_iter().map(|(_, reading)| reading).collect()
            };
            let last = &sessions[sessions.len() - 1];
            close(&found["value"], aggregate(kind, &by_arrival(last)));
            assert_eq!(found["from"], json!(last[0].1.0));
            assert_eq!(found["to"], json!(last[last.len() - 1].1.0));
            close(&found["previous"]["value"], aggregate(kind, &by_arrival(&sessions[sessions.len() - 2])));
        }
    }
}

#[test]
fn a_late_event_is_counted_or_parked_as_chosen() {
    let events: Vec<Event> =
        [(100_000, 1), (200_000, 1), (110_000, 1)].iter().zip(1..).map(|((t, n), p)| event(p, *t, &json!(n))).collect();
    for (reducer, extra) in [("sum", json!({"window": "tumbling", "length": 10})), ("rate", json!({"over": 10}))] {
        let mut config = json!({"reducer": reducer, "late": "park"});
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let (reduce, _) = super::reducer(&config);
        let mut cell = reduce.open("thing-a", &Value::Undefined).unwrap();
        let results: Vec<_> = events.iter().map(|event| cell.apply(Value::Int(1), event)).collect();
        assert!(results[0].is_ok() && results[1].is_ok(), "{reducer}");
        assert!(results[2].as_ref().unwrap_err().contains("late"), "{reducer}");
    }
}
