//! The state of one group: who holds which event until when. Pure: time comes in, nothing goes out.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{GroupConfig, Strategy};

/// Most events that are read ahead because they belong to members that do not ask.
const BACKLOG_MAX: usize = 1_000;
/// A member that has not been heard of for so long, and for a lease, does not get streams any more.
const ABSENT_MS: i64 = 30_000;

/// An event that was read and is not dealt with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Stands for its stream: equal for equal names.
    stream: u32,
    /// How often it was handed out.
    pub(super) deliveries: u32,
    /// When the lease ends, or when it may be handed out (again).
    due: i64,
    holder: Option<String>,
    /// Why it came back.
    reason: Option<String>,
}

/// What lasts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Everything up to here was looked at.
    pub(super) read: u64,
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) delivered: u64,
    pub(super) redelivered: u64,
    pub(super) acknowledged: u64,
}

/// A group at work.
#[derive(Clone, Default)]
pub(super) struct Group {
    pub(super) state: State,
    /// When each member was heard of last.
    seen: HashMap<String, i64>,
}

/// What became of an event that a member held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settle {
    /// It is dealt with.
    Ack,
    /// It is to be handed out again, after a while.
    Nak {
        /// Milliseconds from now on.
        delay_ms: u64,
        /// Why.
        reason: Option<String>,
    },
    /// The member still works on it: the lease begins anew.
    Extend,
    /// It is put aside.
    Park {
        /// Why.
        reason: String,
    },
}

impl Group {
    /// A group that goes on from a state.
    pub(super) fn new(state: State) -> Self {
        Self { state, seen: HashMap::new() }
    }

    /// Everything up to here is dealt with.
    pub(super) fn floor(&self) -> u64 {
        self.state.pending.keys().next().map_or(self.state.read, |first| first - 1)
    }

    /// Takes in an event that was read.
    pub(super) fn add(&mut self, position: u64, stream: &str) {
        let stream = crc32c::crc32c(stream.as_bytes());
        self.state.pending.insert(position, Pending { stream, deliveries: 0, due: 0, holder: None, reason: None });
    }

    /// Notes that a member is there.
    pub(super) fn hear(&mut self, member: &str, now: i64) {
        self.seen.insert(member.to_owned(), now);
        self.seen.retain(|_, seen| now - *seen < 24 * 3_600_000);
    }

    /// Whether more has to be read before a member gets as much as it asks for.
    pub(super) fn wants(&self, config: &GroupConfig, member: &str, now: i64, max: usize) -> bool {
        self.state.pending.len() < BACKLOG_MAX.max(config.in_flight_max as usize)
            && self.room(config, member, now) > 0
            && self.free(config, member, now).len() < max
    }

    /// How many more events a member may hold.
    fn room(&self, config: &GroupConfig, member: &str, now: i64) -> usize {
        (config.in_flight_max as usize).saturating_sub(self.in_flight(member, now))
    }

    /// How many events a member holds.
    pub(super) fn in_flight(&self, member: &str, now: i64) -> usize {
        self.state.pending.values().filter(|one| one.due > now && one.holder.as_deref() == Some(member)).count()
    }

    /// How many events any member holds, and how many wait for a time.
    pub(super) fn counts(&self, now: i64) -> (usize, usize) {
        let held = self.state.pending.values().filter(|one| one.due > now && one.holder.is_some()).count();
        let waiting = self.state.pending.values().filter(|one| one.due > now && one.holder.is_none()).count();
        (held, waiting)
    }

    /// Members with when they were heard of last.
    pub(super) fn members(&self) -> impl Iterator<Item = (&String, i64)> {
        self.seen.iter().map(|(name, seen)| (name, *seen))
    }

    /// The positions that a member may be given, in order.
    fn free(&self, config: &GroupConfig, member: &str, now: i64) -> Vec<u64> {
        let ready = self.state.pending.iter().filter(|(_, one)| one.due <= now);
        if config.strategy == Strategy::RoundRobin {
            return ready.map(|(position, _)| *position).collect();
        }
        let present = self.present(config, member, now);
        let mut closed: HashSet<u32> = HashSet::new();
        let mut held: HashSet<u32> = HashSet::new();
        let mut free = Vec::new();
        for (position, one) in &self.state.pending {
            if closed.contains(&one.stream) {
                continue;
            }
            let mine = if one.due > now {
                // Whoever holds an event of a stream may have the next ones too, nobody else may.
                held.insert(one.stream);
                one.holder.as_deref() == Some(member)
            } else if held.contains(&one.stream) || owner(&present, one.stream) == Some(member) {
                free.push(*position);
                true
            } else {
                false
            };
            if !mine {
                closed.insert(one.stream);
            }
        }
        free
    }

    fn present<'a>(&'a self, config: &GroupConfig, member: &'a str, now: i64) -> Vec<&'a str> {
        let patience = i64::try_from(config.lease_ms).unwrap_or(i64::MAX).max(ABSENT_MS);
        let heard = self.seen.iter().filter(|(_, seen)| now - **seen < patience).map(|(name, _)| name.as_str());
        let mut present: Vec<&str> = heard.chain(std::iter::once(member)).collect();
        present.sort_unstable();
        present.dedup();
        present
    }

    /// Ends leases that have run out. With order per stream, what comes after such an event in its stream comes back too.
    pub(super) fn expire(&mut self, config: &GroupConfig, now: i64) {
        let out: Vec<u64> = self
            .state
            .pending
            .iter()
            .filter(|(_, one)| one.holder.is_some() && one.due <= now)
            .map(|(position, _)| *position)
            .collect();
        for position in out {
            self.release(config, position, now, Some("the lease ran out"));
        }
    }

    /// Takes everything back that a member holds. Answers whether that was anything.
    pub(super) fn leave(&mut self, config: &GroupConfig, member: &str, now: i64) -> bool {
        let held = |one: &Pending| one.holder.as_deref() == Some(member);
        let held: Vec<u64> =
            self.state.pending.iter().filter(|(_, one)| held(one)).map(|(position, _)| *position).collect();
        held.iter().for_each(|position| self.release(config, *position, now, Some("its member left")));
        !held.is_empty()
    }

    /// Takes an event from its holder, and with order per stream those behind it.
    fn release(&mut self, config: &GroupConfig, position: u64, due: i64, reason: Option<&str>) {
        let Some(one) = self.state.pending.get_mut(&position) else { return };
        one.holder = None;
        one.due = due;
        one.reason = reason.map(|text| text.chars().take(500).collect());
        let stream = one.stream;
        if config.strategy == Strategy::ByStream {
            for (_, later) in self.state.pending.range_mut(position + 1..) {
                if later.stream == stream && later.holder.take().is_some() {
                    later.due = 0;
                    // It was handed out in vain: that is not the event's fault.
                    later.deliveries = later.deliveries.saturating_sub(1);
                }
            }
        }
    }

    /// The events that would be handed out too often, how often they were, and why they came back.
    pub(super) fn worn(&self, config: &GroupConfig, now: i64) -> Vec<(u64, u32, String)> {
        let worn =
            self.state.pending.iter().filter(|(_, one)| one.due <= now && one.deliveries >= config.deliveries_max);
        let reason = |one: &Pending| one.reason.clone().unwrap_or_else(|| "it was never answered".to_owned());
        worn.map(|(position, one)| (*position, one.deliveries, reason(one))).collect()
    }

    /// Leases up to `max` events to a member. Answers their positions, and how often each was handed out by now.
    pub(super) fn take(&mut self, config: &GroupConfig, member: &str, now: i64, max: usize) -> Vec<(u64, u32)> {
        let lease = i64::try_from(config.lease_ms).unwrap_or(i64::MAX);
        let max = max.min(self.room(config, member, now));
        let mut leased = Vec::new();
        for position in self.free(config, member, now).into_iter().take(max) {
            let Some(one) = self.state.pending.get_mut(&position) else { continue };
            one.deliveries += 1;
            one.due = now.saturating_add(lease);
            one.holder = Some(member.to_owned());
            self.state.delivered += 1;
            self.state.redelivered += u64::from(one.deliveries > 1);
            leased.push((position, one.deliveries));
        }
        leased
    }

    /// Settles an event for its holder. Answers how often it was handed out, `None` when the member does not hold it.
    pub(super) fn settle(
        &mut self,
        config: &GroupConfig,
        member: &str,
        position: u64,
        how: &Settle,
        now: i64,
    ) -> Option<u32> {
        let one = self.state.pending.get_mut(&position).filter(|one| one.holder.as_deref() == Some(member))?;
        let deliveries = one.deliveries;
        match how {
            Settle::Ack => {
                self.state.acknowledged += 1;
                self.state.pending.remove(&position);
            }
            Settle::Park { .. } => drop(self.state.pending.remove(&position)),
            Settle::Extend => one.due = now.saturating_add(i64::try_from(config.lease_ms).unwrap_or(i64::MAX)),
            Settle::Nak { delay_ms, reason } => {
                let due = now.saturating_add(i64::try_from(*delay_ms).unwrap_or(i64::MAX));
                self.release(config, position, due, reason.as_deref());
            }
        }
        Some(deliveries)
    }

    /// When something becomes free by itself next, after now.
    pub(super) fn next_due(&self, now: i64) -> Option<i64> {
        self.state.pending.values().map(|one| one.due).filter(|due| *due > now).min()
    }
}

/// The member that a stream belongs to: of all the one with the highest hash, so that a member that comes or goes moves
/// few streams.
fn owner<'a>(present: &[&'a str], stream: u32) -> Option<&'a str> {
    let score = |name: &str| crc32c::crc32c_append(stream, name.as_bytes()).wrapping_mul(0x9e37_79b9);
    present.iter().copied().max_by_key(|name| (score(name), *name))
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
