//! A picture of all counters, and the difference of two of them as a frame.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value as Json;
use tidewire_api::live::{Frame, LastValue, NodeLive, WireLive};
use tidewire_engine::{Clock as _, Engine, NodeStats, SystemClock, WireStats};
use tidewire_log::EventLog;

use crate::wire;

/// Characters of a last value that are sent.
const PREVIEW: usize = 200;

/// All figures at one moment. Parts that did not change are shared with the picture before.
#[derive(Default)]
pub struct Picture {
    pub time: i64,
    pub position: u64,
    pub rev: String,
    pub events_per_second: f64,
    pub nodes: HashMap<String, Arc<NodeLive>>,
    pub wires: HashMap<String, Arc<WireLive>>,
    pub status: HashMap<String, Arc<Json>>,
    pub problems: HashMap<String, String>,
}

/// A rate that follows within a second and comes to rest at zero.
#[derive(Default, Clone, Copy)]
struct Rate {
    total: u64,
    value: f64,
    known: bool,
}

impl Rate {
    fn update(&mut self, total: u64, seconds: f64) -> f64 {
        if self.known && seconds > 0.0 {
            let now = total.saturating_sub(self.total) as f64 / seconds;
            self.value = 0.6 * self.value + 0.4 * now;
            if now == 0.0 && self.value < 0.05 {
                self.value = 0.0;
            }
        }
        *self = Rate { total, value: self.value, known: true };
        (self.value * 100.0).round() / 100.0
    }
}

/// What a node or wire had at the last look: messages, and time it worked or waited.
#[derive(Default)]
struct Memory {
    rate: Rate,
    time_ns: u64,
}

impl Memory {
    /// The share of the last `seconds` in which a clock ran that stands at `now_ns`, in hundredths.
    fn share(&mut self, now_ns: u64, seconds: f64) -> f64 {
        let ran = now_ns.saturating_sub(self.time_ns) as f64 / 1e9;
        self.time_ns = now_ns;
        if seconds > 0.0 { ((ran / seconds).min(1.0) * 100.0).round() / 100.0 } else { 0.0 }
    }
}

/// Remembers what the next picture needs.
#[derive(Default)]
pub struct Painter {
    before: Picture,
    at: Option<Instant>,
    node_rates: HashMap<String, Memory>,
    wire_rates: HashMap<String, Memory>,
    events: Rate,
}

impl Painter {
    /// The picture now.
    pub fn paint(&mut self, engine: &Engine, log: &dyn EventLog, now: Instant) -> Picture {
        let seconds = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        self.at = Some(now);
        let stats = engine.stats();
        let position = log.head().get();
        let picture = Picture {
            time: SystemClock.now_ms(),
            position,
            rev: engine.flows().rev,
            events_per_second: self.events.update(position, seconds),
            nodes: stats.nodes.iter().map(|node| self.node(node, seconds)).collect(),
            wires: stats.wires.iter().map(|wire| self.wire(wire, seconds)).collect(),
            status: engine
                .statuses()
                .into_iter()
                .map(|(id, status)| self.status(id.as_str(), serde_json::to_value(status).unwrap_or(Json::Null)))
                .collect(),
            problems: engine.problems().into_iter().map(|(id, text)| (id.to_string(), text)).collect(),
        };
        self.node_rates.retain(|id, _| picture.nodes.contains_key(id));
        self.wire_rates.retain(|id, _| picture.wires.contains_key(id));
        self.before = picture.share();
        picture
    }

    fn node(&mut self, stats: &NodeStats, seconds: f64) -> (String, Arc<NodeLive>) {
        let id = stats.id.to_string();
        let sent: u64 = stats.sent.iter().sum();
        let memory = self.node_rates.entry(id.clone()).or_default();
        let rate = memory.rate.update(stats.received.max(sent), seconds);
        let busy = memory.share(stats.busy_ns, seconds);
        let same = |old: &&Arc<NodeLive>| {
            old.received == stats.received
                && old.sent == stats.sent
                && old.errors == stats.errors
                && (old.queue, old.bytes) == (stats.queue, stats.queue_bytes)
                && (old.busy - busy).abs() < f64::EPSILON
                && (old.rate - rate).abs() < f64::EPSILON
                && old.last.as_ref().map(|last| last.time) == stats.last.as_ref().map(|last| last.time_ms)
        };
        if let Some(old) = self.before.nodes.get(&id).filter(same) {
            return (id, Arc::clone(old));
        }
        let last = stats.last.as_ref().map(|last| LastValue {
            value: wire::preview(&last.value, PREVIEW),
            topic: last.topic.clone(),
            time: last.time_ms,
        });
        let ring = (!stats.recent.is_empty()).then(|| stats.recent.clone());
        let live = NodeLive {
            received: stats.received,
            sent: stats.sent.clone(),
            rate,
            errors: stats.errors,
            queue: stats.queue,
            bytes: stats.queue_bytes,
            busy,
            last,
            ring,
        };
        (id, Arc::new(live))
    }

    fn wire(&mut self, stats: &WireStats, seconds: f64) -> (String, Arc<WireLive>) {
        let key = format!("{}:{}:{}", stats.from, stats.port, stats.to);
        let memory = self.wire_rates.entry(key.clone()).or_default();
        let rate = memory.rate.update(stats.total, seconds);
        let blocked = memory.share(stats.blocked_ns, seconds);
        let (queue, bytes) = (stats.queue, stats.queue_bytes);
        let live = WireLive { total: stats.total, rate, dropped: stats.dropped, blocked, queue, bytes };
        match self.before.wires.get(&key).filter(|old| ***old == live) {
            Some(old) => (key, Arc::clone(old)),
            None => (key, Arc::new(live)),
        }
    }

    fn status(&self, id: &str, status: Json) -> (String, Arc<Json>) {
        match self.before.status.get(id).filter(|old| ***old == status) {
            Some(old) => (id.to_owned(), Arc::clone(old)),
            None => (id.to_owned(), Arc::new(status)),
        }
    }
}

impl Picture {
    fn share(&self) -> Picture {
        Picture {
            time: self.time,
            position: self.position,
            rev: self.rev.clone(),
            events_per_second: self.events_per_second,
            nodes: self.nodes.clone(),
            wires: self.wires.clone(),
            status: self.status.clone(),
            problems: self.problems.clone(),
        }
    }

    /// What changed since `old`, of the nodes that `wanted` names; without messages' contents unless `contents`.
    pub fn since(&self, old: &Picture, wanted: impl Fn(&str) -> bool, contents: bool) -> Frame {
        let mut frame = Frame { time: self.time, ..Frame::default() };
        frame.position = (self.position != old.position).then_some(self.position);
        frame.rev = (self.rev != old.rev).then(|| self.rev.clone());
        let steady = (self.events_per_second - old.events_per_second).abs() < f64::EPSILON;
        frame.events_per_second = (!steady).then_some(self.events_per_second);
        for (id, live) in self.nodes.iter().filter(|(id, _)| wanted(id)) {
            if !old.nodes.get(id).is_some_and(|before| Arc::ptr_eq(before, live)) {
                let mut live = NodeLive::clone(live);
                if !contents {
                    live.last = None;
                    live.ring = None;
                }
                frame.nodes.insert(id.clone(), live);
            }
        }
        for (key, live) in &self.wires {
            let ends = |key: &str| {
                wanted(key.split(':').next().unwrap_or(key)) || wanted(key.rsplit(':').next().unwrap_or(key))
            };
            if !old.wires.get(key).is_some_and(|before| Arc::ptr_eq(before, live)) && ends(key) {
                frame.wires.insert(key.clone(), WireLive::clone(live));
            }
        }
        frame.status =
            changed(&self.status, &old.status, |status| Json::clone(status), || Json::Object(Default::default()));
        frame.problems = changed(&self.problems, &old.problems, |text| Some(text.clone()), || None);
        frame
    }
}

/// New values of what changed; `gone` for what is there no more.
fn changed<T: PartialEq, U>(
    new: &HashMap<String, T>,
    old: &HashMap<String, T>,
    value: impl Fn(&T) -> U,
    gone: impl Fn() -> U,
) -> BTreeMap<String, U> {
    let mut changes: BTreeMap<String, U> =
        new.iter().filter(|(id, now)| old.get(*id) != Some(now)).map(|(id, now)| (id.clone(), value(now))).collect();
    changes.extend(old.keys().filter(|id| !new.contains_key(*id)).map(|id| (id.clone(), gone())));
    changes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn node(received: u64) -> Arc<NodeLive> {
        let last = LastValue { value: "secret".into(), topic: None, time: 1 };
        let (sent, last) = (vec![], Some(last));
        Arc::new(NodeLive { received, sent, rate: 0.0, errors: 0, queue: 0, bytes: 0, busy: 0.0, last, ring: None })
    }

    #[test]
    fn a_frame_holds_only_what_changed_and_what_may_be_seen() {
        let mut old = Picture::default();
        old.nodes.insert("a".into(), node(1));
        old.nodes.insert("b".into(), node(1));
        old.problems.insert("x".into(), "broken".into());
        let mut new = old.share();
        new.nodes.insert("b".into(), node(2));
        new.problems.clear();
        let frame = new.since(&old, |_| true, true);
        assert_eq!(frame.nodes.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(frame.problems["x"], None);
        assert!(new.since(&old, |_| true, false).nodes["b"].last.is_none());
        assert!(new.since(&old, |id| id == "a", true).nodes.is_empty());
    }

    #[test]
    fn a_share_is_that_of_the_time_since_the_last_look() {
        let mut memory = Memory::default();
        assert_eq!(memory.share(500_000_000, 1.0), 0.5);
        assert_eq!(memory.share(500_000_000, 1.0), 0.0);
        assert_eq!(memory.share(9_000_000_000, 1.0), 1.0);
    }

    #[test]
    fn a_rate_follows_and_comes_to_rest() {
        let mut rate = Rate::default();
        rate.update(1_000, 0.0);
        let mut total = 1_000;
        for _ in 0..20 {
            total += 25;
            rate.update(total, 0.25);
        }
        assert!((rate.value - 100.0).abs() < 1.0);
        for _ in 0..40 {
            rate.update(total, 0.25);
        }
        assert_eq!(rate.update(total, 0.25), 0.0);
    }
}
