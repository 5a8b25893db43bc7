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

/// A group and what has to be true of it, kept by hand.
struct Checked {
    strategy: Strategy,
    config: GroupConfig,
    group: Group,
    now: i64,
    last: u64,
    streams: BTreeMap<u64, u8>,
    held: Held,
    done: HashSet<u64>,
}

impl Checked {
    fn add(&mut self, stream: u8) {
        self.last += 1;
        self.streams.insert(self.last, stream);
        self.group.add(self.last, &format!("s-{stream}"));
        self.group.state.read = self.last;
    }

    fn take(&mut self, member: u8, max: usize) {
        let (now, name) = (self.now, format!("m{member}"));
        self.group.hear(&name, now);
        self.group.expire(&self.config, now);
        for (position, _) in self.group.take(&self.config, &name, now, max) {
            assert!(!self.done.contains(&position), "{position} was dealt with");
            let holder = self.held.insert(position, (member, now + 1_000));
            if self.strategy == Strategy::ByStream {
                self.in_order(position, member);
            } else {
                assert!(holder.is_none_or(|(_, until)| until <= now), "{position} is held by another");
            }
        }
    }

    /// What stands before it in its stream is done, or held by the same member.
    fn in_order(&mut self, position: u64, member: u8) {
        let Checked { streams, held, done, now, .. } = self;
        let stream = streams[&position];
        let earlier = streams.iter().filter(|(at, other)| **at < position && **other == stream);
        for (earlier, _) in earlier.filter(|(at, _)| !done.contains(at)) {
            assert!(held.get(earlier).is_some_and(|(who, until)| *who == member && *until > *now));
        }
        // What was handed out behind it is void.
        held.retain(|at, _| *at <= position || streams[at] != stream);
    }

    fn settle(&mut self, member: u8, which: usize, how: u8) {
        let mine = self.held.iter().filter(|(_, (who, _))| *who == member);
        let Some(position) = mine.map(|(at, _)| *at).nth(which) else { return };
        let how = match how {
            0 => Settle::Ack,
            1 => Settle::Nak { delay_ms: 100, reason: None },
            _ => Settle::Extend,
        };
        let settled = self.group.settle(&self.config, &format!("m{member}"), position, &how, self.now).is_some();
        let Checked { strategy, streams, held, done, now, .. } = self;
        match how {
            Settle::Ack if settled => {
                done.insert(position);
                held.remove(&position);
            }
            Settle::Nak { .. } if settled => held.retain(|at, _| {
                let behind = *strategy == Strategy::ByStream && *at > position && streams[at] == streams[&position];
                *at != position && !behind
            }),
            Settle::Extend if settled => drop(held.insert(position, (member, *now + 1_000))),
            _ => drop(held.remove(&position)),
        }
    }

    /// In the end everything gets done.
    fn finish(mut self) {
        for _ in 0..self.streams.len() * 2 + 2 {
            self.now += 2_000;
            self.group.hear("end", self.now);
            self.now += 40_000;
            self.group.expire(&self.config, self.now);
            for (position, _) in self.group.take(&self.config, "end", self.now, 3) {
                assert!(self.group.settle(&self.config, "end", position, &Settle::Ack, self.now).is_some());
                self.done.insert(position);
            }
        }
        assert_eq!(self.done.len(), self.streams.len());
        assert_eq!(self.group.floor(), self.last);
    }
}

fn check(strategy: Strategy, steps: Vec<Step>) {
    let mut checked = Checked {
        strategy,
        config: GroupConfig { deliveries_max: u32::MAX, ..config(strategy) },
        group: Group::default(),
        now: 0,
        last: 0,
        streams: BTreeMap::new(),
        held: BTreeMap::new(),
        done: HashSet::new(),
    };
    for step in steps {
        match step {
            Step::Add(stream) => checked.add(stream),
            Step::Take(member, max) => checked.take(member, max),
            Step::Settle(member, which, how) => checked.settle(member, which, how),
            Step::Pass(ms) => checked.now += ms,
            Step::Restart => {
                let bytes = postcard::to_stdvec(&checked.group.state).unwrap();
                checked.group = Group::new(postcard::from_bytes(&bytes).unwrap());
            }
        }
    }
    checked.finish();
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
