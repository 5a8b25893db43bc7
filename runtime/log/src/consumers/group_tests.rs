#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use proptest::prelude::{Just, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;

fn config(strategy: Strategy) -> GroupConfig {
    GroupConfig { strategy, in_flight_max: 3, lease_ms: 1_000, deliveries_max: 3, ..GroupConfig::default() }
}

fn group(streams: &[&str]) -> Group {
    let mut group = Group::default();
    for (position, stream) in (1..).zip(streams) {
        group.add(position, stream);
        group.state.read = position;
    }
    group
}

fn positions(taken: &[(u64, u32)]) -> Vec<u64> {
    taken.iter().map(|(position, _)| *position).collect()
}

#[test]
fn members_share_events_and_nobody_holds_too_many() {
    let config = config(Strategy::RoundRobin);
    let mut group = group(&["a"; 8]);
    assert_eq!(positions(&group.take(&config, "x", 0, 2)), [1, 2]);
    assert_eq!(positions(&group.take(&config, "y", 0, 10)), [3, 4, 5]);
    assert_eq!(positions(&group.take(&config, "x", 0, 10)), [6]);
    assert_eq!(group.settle(&config, "x", 1, &Settle::Ack, 0), Some(1));
    assert_eq!(group.settle(&config, "x", 3, &Settle::Ack, 0), None, "another one holds it");
    assert_eq!(group.floor(), 1);
    assert_eq!(positions(&group.take(&config, "x", 0, 10)), [7]);
}

#[test]
fn what_comes_back_is_handed_out_again_later_and_put_aside_in_the_end() {
    let config = config(Strategy::RoundRobin);
    let mut group = group(&["a"]);
    for (round, member) in [(1, "x"), (2, "y"), (3, "x")] {
        let now = i64::from(round) * 100;
        assert_eq!(group.take(&config, member, now, 1), [(1, round)]);
        let nak = Settle::Nak { delay_ms: 50, reason: Some("no".to_owned()) };
        assert_eq!(group.settle(&config, member, 1, &nak, now), Some(round));
        assert_eq!(group.take(&config, "z", now + 49, 1), []);
        assert_eq!(group.next_due(now + 49), Some(now + 50));
    }
    assert_eq!(group.worn(&config, 400), [(1, 3, "no".to_owned())]);
}

#[test]
fn a_lease_that_runs_out_sets_the_event_free() {
    let config = config(Strategy::RoundRobin);
    let mut group = group(&["a", "b"]);
    assert_eq!(positions(&group.take(&config, "x", 0, 2)), [1, 2]);
    assert_eq!(group.settle(&config, "x", 2, &Settle::Extend, 900), Some(1));
    group.expire(&config, 1_000);
    assert_eq!(positions(&group.take(&config, "y", 1_000, 5)), [1]);
    assert_eq!(group.settle(&config, "x", 1, &Settle::Ack, 1_000), None);
    assert_eq!(group.settle(&config, "x", 2, &Settle::Ack, 1_899), Some(1));
}

#[test]
fn a_stream_stays_with_who_holds_it_and_in_order() {
    let config = config(Strategy::ByStream);
    let mut group = group(&["a", "b", "a", "a"]);
    group.hear("x", 0);
    let taken = positions(&group.take(&config, "x", 0, 10));
    assert_eq!(taken, [1, 2, 3], "the only member has all streams");
    group.hear("y", 0);
    assert_eq!(group.take(&config, "y", 0, 10), [], "what follows belongs to who holds what comes before");
    let nak = Settle::Nak { delay_ms: 10, reason: None };
    assert_eq!(group.settle(&config, "x", 1, &nak, 0), Some(1));
    assert_eq!(group.settle(&config, "x", 3, &Settle::Ack, 0), None, "taken back with the one before it");
    assert_eq!(group.settle(&config, "x", 2, &Settle::Ack, 0), Some(1));
    assert_eq!(group.take(&config, "x", 5, 10), []);
    assert_eq!(group.take(&config, "y", 5, 10), []);
    let mut again = positions(&group.take(&config, "x", 10, 10));
    again.extend(positions(&group.take(&config, "y", 10, 10)));
    assert_eq!(again, [1, 3, 4]);
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8),
    Take(u8, usize),
    Settle(u8, usize, u8),
    Pass(i64),
    Restart,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_u8).prop_map(Step::Add),
        3 => (0..3_u8, 1..4_usize).prop_map(|(member, max)| Step::Take(member, max)),
        3 => (0..3_u8, 0..3_usize, 0..3_u8).prop_map(|(member, which, how)| Step::Settle(member, which, how)),
        1 => (1..1_500_i64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

/// Who holds what until when, as members see it.
type Held = BTreeMap<u64, (u8, i64)>;

fn check(strategy: Strategy, steps: Vec<Step>) {
    let config = GroupConfig { deliveries_max: u32::MAX, ..config(strategy) };
    let mut group = Group::default();
    let (mut now, mut last) = (0, 0);
    let mut streams: BTreeMap<u64, u8> = BTreeMap::new();
    let mut held: Held = BTreeMap::new();
    let mut done: HashSet<u64> = HashSet::new();
    for step in steps {
        match step {
            Step::Add(stream) => {
                last += 1;
                streams.insert(last, stream);
                group.add(last, &format!("s-{stream}"));
                group.state.read = last;
            }
            Step::Take(member, max) => {
                let name = format!("m{member}");
                group.hear(&name, now);
                group.expire(&config, now);
                for (position, _) in group.take(&config, &name, now, max) {
                    assert!(!done.contains(&position), "{position} was dealt with");
                    let holder = held.insert(position, (member, now + 1_000));
                    assert!(
                        strategy == Strategy::ByStream || holder.is_none_or(|(_, until)| until <= now),
                        "{position} is held by another"
                    );
                    if strategy == Strategy::ByStream {
                        let stream = streams[&position];
                        let earlier = streams.iter().filter(|(at, other)| **at < position && **other == stream);
                        for (earlier, _) in earlier.filter(|(at, _)| !done.contains(at)) {
                            assert!(held.get(earlier).is_some_and(|(who, until)| *who == member && *until > now));
                        }
                        // What was handed out behind it is void.
                        held.retain(|at, _| *at <= position || streams[at] != stream);
                    }
                }
            }
            Step::Settle(member, which, how) => {
                let mine: Vec<u64> = held.iter().filter(|(_, (who, _))| *who == member).map(|(at, _)| *at).collect();
                let Some(position) = mine.get(which).copied() else { continue };
                let how = match how {
                    0 => Settle::Ack,
                    1 => Settle::Nak { delay_ms: 100, reason: None },
                    _ => Settle::Extend,
                };
                let settled = group.settle(&config, &format!("m{member}"), position, &how, now).is_some();
                match how {
                    Settle::Ack if settled => {
                        done.insert(position);
                        held.remove(&position);
                    }
                    Settle::Nak { .. } if settled => {
                        held.retain(|at, _| {
                            *at != position
                                && !(strategy == Strategy::ByStream
                                    && *at > position
                                    && streams[at] == streams[&position])
                        });
                    }
                    Settle::Extend if settled => drop(held.insert(position, (member, now + 1_000))),
                    _ => drop(held.remove(&position)),
                }
            }
            Step::Pass(ms) => now += ms,
            Step::Restart => {
                let bytes = postcard::to_stdvec(&group.state).unwrap();
                group = Group::new(postcard::from_bytes(&bytes).unwrap());
            }
        }
    }
    // In the end everything gets done.
    for _ in 0..streams.len() * 2 + 2 {
        now += 2_000;
        group.hear("end", now);
        now += 40_000;
        group.expire(&config, now);
        for (position, _) in group.take(&config, "end", now, 3) {
            assert!(group.settle(&config, "end", position, &Settle::Ack, now).is_some());
            done.insert(position);
        }
    }
    assert_eq!(done.len(), streams.len());
    assert_eq!(group.floor(), last);
}

proptest! {
    #[test]
    fn nobody_holds_what_another_holds(steps in proptest::collection::vec(step(), 1..200)) {
        check(Strategy::RoundRobin, steps);
    }

    #[test]
    fn streams_stay_in_order(steps in proptest::collection::vec(step(), 1..200)) {
        check(Strategy::ByStream, steps);
    }
}
