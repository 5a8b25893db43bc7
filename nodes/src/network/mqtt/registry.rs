//! Who wants which messages: subscribers, the filters that the broker is asked for, and the way of each message.

use super::{
    Incoming, Qos,
    matching::{covers, matches},
};
use smallvec::SmallVec;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// MQTT 5: whether a subscription brings the retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum RetainHandling {
    /// On every subscribe.
    #[default]
    Send,
    /// Only when the subscription is new to the broker.
    SendIfNew,
    /// Never.
    Never,
}

/// What a subscriber wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Topic filter, also `$share/GROUP/FILTER`.
    pub filter: String,
    /// Highest guarantee wanted.
    pub qos: Qos,
    /// MQTT 5: not what this very connection published.
    pub no_local: bool,
    /// MQTT 5: keep the retain flag of live messages.
    pub retain_as_published: bool,
    /// MQTT 5: whether retained messages are wanted.
    pub retain_handling: RetainHandling,
}

impl Subscription {
    /// A plain subscription.
    #[must_use]
    pub fn new(filter: impl Into<String>, qos: Qos) -> Self {
        Self {
            filter: filter.into(),
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }
}

/// Takes the messages of a subscription. Called on the client thread: it must be quick and must not block.
pub trait Subscriber: Send + Sync + 'static {
    /// Takes as many messages as fit from the front of `batch`, removes them from it, and says how many. The rest is
    /// kept, unacknowledged, and offered again soon, or at once after
    /// [`SubscriptionGuard::resume`](super::SubscriptionGuard::resume).
    fn deliver(&self, batch: &mut Vec<Incoming>) -> usize;

    /// The broker answered: the granted guarantee, or the reason code (0x80 and above) of a refusal.
    fn answered(&self, _answer: Result<Qos, u8>) {}
}

/// Numbers of subscribers that a message goes to.
pub(super) type Takers = SmallVec<[usize; 4]>;

/// A registered subscriber and what it has not taken yet.
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) subscription: Subscription,
    pub(super) subscriber: Arc<dyn Subscriber>,
    /// Messages of this cycle.
    pub(super) fresh: Vec<Incoming>,
    /// Older messages that the subscriber had no room for.
    pub(super) backlog: VecDeque<Incoming>,
    /// Number of the last SUBSCRIBE that was sent on its behalf.
    asked: u64,
    filter_id: u32,
}

/// A filter as the broker is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) subscription: Subscription,
    /// MQTT 5 subscription identifier.
    pub(super) id: u32,
}

/// One step towards what is wanted of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Subscribe(Wanted),
    Unsubscribe(String),
}

#[derive(Default)]
pub(super) struct Registry {
    seats: Vec<Seat>,
    filter_ids: HashMap<String, u32>,
    /// What the broker has been asked for on this session.
    active: HashMap<String, Wanted>,
    asked: u64,
    /// Whether the broker tags messages with the subscription that brought them.
    identified: bool,
}

impl Registry {
    pub(super) fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.seats.iter_mut()
    }

    pub(super) fn seat_mut(&mut self, number: usize) -> Option<&mut Seat> {
        self.seats.get_mut(number)
    }

    pub(super) fn add(&mut self, id: u64, subscription: Subscription, subscriber: Arc<dyn Subscriber>) {
        let next = self.filter_ids.len() as u32 + 1;
        let filter_id = *self.filter_ids.entry(subscription.filter.clone()).or_insert(next);
        self.seats.push(Seat {
            id,
            subscription,
            subscriber,
            fresh: Vec::new(),
            backlog: VecDeque::new(),
            asked: 0,
            filter_id,
        });
    }

    /// Removes a subscriber; what it had not taken counts as failed when it is dropped, so it is given back.
    pub(super) fn remove(&mut self, id: u64) -> Option<Seat> {
        let at = self.seats.iter().position(|seat| seat.id == id)?;
        Some(self.seats.remove(at))
    }

    /// Starts a session. With `kept` the broker still has the subscriptions that it confirmed.
    pub(super) fn start(&mut self, kept: bool, identified: bool) {
        self.identified = identified;
        if !kept {
            self.active.clear();
        }
    }

    /// The steps from what the broker was asked for to what is wanted now. `newcomer` asks for the retained messages
    /// of its filter even if another subscription covers it.
    pub(super) fn steps(&mut self, newcomer: Option<u64>) -> Vec<Step> {
        let wanted = self.wanted();
        let mut steps = Vec::new();
        let mut asked = Vec::new();
        for (filter, want) in &wanted {
            if self.active.get(filter) != Some(want) {
                steps.push(Step::Subscribe(want.clone()));
                asked.push(filter.clone());
            }
        }
        if let Some(seat) = newcomer.and_then(|id| self.seats.iter().find(|seat| seat.id == id)) {
            let filter = &seat.subscription.filter;
            if !asked.contains(filter) && !filter.starts_with("$share/") {
                asked.push(filter.clone());
                steps.push(Step::Subscribe(
                    wanted
                        .get(filter)
                        .cloned()
                        .unwrap_or_else(|| Wanted { subscription: seat.subscription.clone(), id: seat.filter_id }),
                ));
                if !wanted.contains_key(filter) {
                    steps.push(Step::Unsubscribe(filter.clone()));
                }
            }
        }
        for filter in self.active.keys().filter(|filter| !wanted.contains_key(*filter)) {
            steps.push(Step::Unsubscribe(filter.clone()));
        }
        self.asked += 1;
        for seat in &mut self.seats {
            let is_newcomer = newcomer.is_none_or(|id| id == seat.id);
            if is_newcomer && asked.contains(&seat.subscription.filter) {
                seat.asked = self.asked;
            }
        }
        self.active = wanted;
        steps
    }

    /// Forgets that the broker was asked for a filter: it refused.
    pub(super) fn refused(&mut self, filter: &str) {
        self.active.remove(filter);
    }

    /// What the broker should be asked for: each filter once, with the most that any subscriber wants; where messages
    /// are not tagged, without filters that another one covers, so that no message comes twice.
    fn wanted(&self) -> HashMap<String, Wanted> {
        let mut merged: HashMap<String, Wanted> = HashMap::new();
        for seat in &self.seats {
            let own = &seat.subscription;
            merged
                .entry(own.filter.clone())
                .and_modify(|want| {
                    let all = &mut want.subscription;
                    all.qos = all.qos.max(own.qos);
                    all.no_local &= own.no_local;
                    all.retain_as_published |= own.retain_as_published;
                    all.retain_handling = all.retain_handling.min(own.retain_handling);
                })
                .or_insert_with(|| Wanted { subscription: own.clone(), id: seat.filter_id });
        }
        if self.identified {
            return merged;
        }
        let narrow: Vec<(String, String, Qos)> = merged
            .keys()
            .filter_map(|filter| {
                let wide = merged.keys().find(|other| *other != filter && covers(other, filter))?;
                Some((filter.clone(), wide.clone(), merged.get(filter)?.subscription.qos))
            })
            .collect();
        for (_, wide, qos) in &narrow {
            if let Some(want) = merged.get_mut(wide) {
                want.subscription.qos = want.subscription.qos.max(*qos);
            }
        }
        for (filter, ..) in &narrow {
            merged.remove(filter);
        }
        merged
    }

    /// The subscribers that a message goes to.
    pub(super) fn takers(&self, topic: &str, retain: bool, ids: &[u32]) -> Takers {
        let mut takers: Takers = self
            .seats
            .iter()
            .enumerate()
            .filter(|(_, seat)| {
                if ids.is_empty() { matches(&seat.subscription.filter, topic) } else { ids.contains(&seat.filter_id) }
            })
            .map(|(number, _)| number)
            .collect();
        if retain && takers.len() > 1 {
            self.keep_latest(&mut takers);
        }
        takers
    }

    /// Retained messages come because somebody subscribed: those who had subscribed before have them already.
    fn keep_latest(&self, takers: &mut Takers) {
        let asked = |number: &usize| self.seats.get(*number).map_or(0, |seat| seat.asked);
        let live = takers.iter().any(|n| self.seats.get(*n).is_some_and(|s| s.subscription.retain_as_published));
        let latest = takers.iter().map(asked).max().unwrap_or(0);
        if !live {
            takers.retain(|number| asked(number) == latest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    struct Nobody;
    impl Subscriber for Nobody {
        fn deliver(&self, batch: &mut Vec<Incoming>) -> usize {
            batch.drain(..).count()
        }
    }

    fn registry(filters: &[&str]) -> Registry {
        let mut registry = Registry::default();
        for (id, filter) in filters.iter().enumerate() {
            registry.add(id as u64, Subscription::new(*filter, Qos::AtLeastOnce), Arc::new(Nobody));
        }
        registry
    }

    fn filters(steps: &[Step]) -> Vec<String> {
        let mut texts: Vec<_> = steps
            .iter()
            .map(|step| match step {
                Step::Subscribe(want) => format!("+{}", want.subscription.filter),
                Step::Unsubscribe(filter) => format!("-{filter}"),
            })
            .collect();
        texts.sort();
        texts
    }

    #[test]
    fn a_covered_filter_is_not_asked_for_so_that_nothing_comes_twice() {
        let mut registry = registry(&["a/#", "a/b", "c"]);
        registry.start(false, false);
        assert_eq!(filters(&registry.steps(None)), ["+a/#", "+c"]);
        assert_eq!(registry.takers("a/b", false, &[]).as_slice(), [0, 1]);
    }

    #[test]
    fn tagged_messages_go_to_the_subscription_that_brought_them() {
        let mut registry = registry(&["a/#", "a/b"]);
        registry.start(false, true);
        assert_eq!(filters(&registry.steps(None)), ["+a/#", "+a/b"]);
        assert_eq!(registry.takers("a/b", false, &[2]).as_slice(), [1]);
    }

    #[test]
    fn a_newcomer_gets_the_retained_messages_and_the_others_do_not_get_them_again() {
        let mut registry = registry(&["a/#"]);
        registry.start(false, false);
        registry.steps(None);
        registry.add(9, Subscription::new("a/b", Qos::AtMostOnce), Arc::new(Nobody));
        assert_eq!(filters(&registry.steps(Some(9))), ["+a/b", "-a/b"]);
        assert_eq!(registry.takers("a/b", true, &[]).as_slice(), [1]);
        assert_eq!(registry.takers("a/b", false, &[]).as_slice(), [0, 1]);
    }

    #[test]
    fn what_nobody_wants_any_more_is_given_up_and_what_it_covered_asked_for() {
        let mut registry = registry(&["a/#", "a/b"]);
        registry.start(false, false);
        registry.steps(None);
        registry.remove(0);
        assert_eq!(filters(&registry.steps(None)), ["+a/b", "-a/#"]);
    }

    #[test]
    fn the_highest_guarantee_wins_for_one_filter() {
        let mut registry = registry(&["a"]);
        registry.add(5, Subscription::new("a", Qos::ExactlyOnce), Arc::new(Nobody));
        let steps = registry.steps(None);
        assert_eq!(steps.len(), 1);
        assert!(matches!(&steps[0], Step::Subscribe(want) if want.subscription.qos == Qos::ExactlyOnce));
    }
}
