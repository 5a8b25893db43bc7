//! The alarms of a rule: one state machine for each key, each with a record that outlives the process.
//!
//! A change of state is told to the nodes behind first and kept once they have dealt with it; the message that caused it
//! counts as dealt with when that is durable. So after a crash the message comes again, or the timer fires again, and
//! nothing is left untold. A change whose telling was cut off is taken back.

mod record;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidewire_model::{Message, Value};
use tidewire_node_api::{AckSink, Ctx, Feed, Outcome, Signal, Token};

pub(super) use record::Restored;
use record::Stored;

/// Most alarms that are not normal at a time.
const ALARMS_MAX: usize = 10_000;

/// Pause before an alarm whose telling was cut off is told again.
const AGAIN_MS: i64 = 1_000;

/// Durations of a rule.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timing {
    pub(super) hold_ms: i64,
    pub(super) cooldown_ms: i64,
}

/// What is told of an alarm.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Episode {
    pub(super) key: String,
    /// Since when the condition has held.
    pub(super) since_ms: i64,
    pub(super) value: Value,
    /// How long it has held.
    pub(super) duration_ms: i64,
}

/// What a message or a timer changed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) fired: bool,
    pub(super) episode: Episode,
    /// For [`Alarms::tell`].
    before: Option<Alarm>,
}

#[derive(Debug, Clone)]
enum Phase {
    /// Kept only because of the cooldown.
    Normal,
    /// The condition holds, but not long enough, or too soon after the last alarm.
    Pending {
        since_ms: i64,
        due_ms: i64,
        value: Value,
        message: Message,
    },
    Firing {
        since_ms: i64,
    },
}

#[derive(Debug, Clone)]
struct Alarm {
    phase: Phase,
    fired_ms: Option<i64>,
    /// Its timer.
    id: u64,
}

/// A change that is being told.
struct Telling {
    key: String,
    before: Option<Alarm>,
    /// The branches of the messages that caused it.
    tokens: Vec<Token>,
}

/// What became of a telling, as [`Signal::Own`].
pub(super) struct Told {
    number: u64,
    outcome: Outcome,
}

/// Hears what becomes of tellings.
struct Ears(Arc<dyn Feed>);

impl AckSink for Ears {
    fn complete(&self, number: u64, outcome: Outcome) {
        self.0.signal(Signal::Own(Box::new(Told { number, outcome })));
    }
}

/// All alarms that are not simply normal.
#[derive(Default)]
pub(super) struct Alarms {
    timing: Timing,
    alarms: HashMap<String, Alarm>,
    keys: HashMap<u64, String>,
    next_id: u64,
    firing: usize,
    pending: usize,
    telling: BTreeMap<u64, Telling>,
}

impl Alarms {
    pub(super) fn new(timing: Timing) -> Alarms {
        Alarms { timing, ..Alarms::default() }
    }

    pub(super) fn is_firing(&self, key: &str) -> bool {
        self.alarms.get(key).is_some_and(|alarm| matches!(alarm.phase, Phase::Firing { .. }))
    }

    /// How many fire, and how many are pending.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.firing, self.pending)
    }

    /// Takes what a message says: whether the alarm's condition holds.
    ///
    /// # Errors
    /// There are too many alarms.
    pub(super) fn update(
        &mut self,
        key: &str,
        met: bool,
        value: Value,
        message: &Message,
        now_ms: i64,
        ctx: &Ctx<'_>,
    ) -> Result<Option<Change>, String> {
        let before = self.alarms.get(key).cloned();
        let alarm = self.alarms.get_mut(key);
        match (alarm.map(|alarm| &mut alarm.phase), met) {
            (None | Some(Phase::Normal), false) | (Some(Phase::Firing { .. }), true) => Ok(None),
            (None | Some(Phase::Normal), true) => self.begin(key, value, message, now_ms, ctx),
            (Some(Phase::Pending { value: last, message: latest, .. }), true) => {
                *last = value;
                *latest = message.clone();
                Ok(None)
            }
            (Some(Phase::Pending { .. }), false) => {
                self.calm(key, now_ms, ctx);
                self.keep(key, ctx.split_token(), ctx);
                Ok(None)
            }
            (Some(Phase::Firing { since_ms }), false) => {
                let since_ms = *since_ms;
                self.calm(key, now_ms, ctx);
                let duration_ms = now_ms - since_ms;
                let episode = Episode { key: key.to_owned(), since_ms, value, duration_ms };
                Ok(Some(Change { fired: false, episode, before }))
            }
        }
    }

    /// The condition begins to hold.
    fn begin(
        &mut self,
        key: &str,
        value: Value,
        message: &Message,
        now_ms: i64,
        ctx: &Ctx<'_>,
    ) -> Result<Option<Change>, String> {
        if self.alarms.len() >= ALARMS_MAX && !self.alarms.contains_key(key) {
            self.forget_cooled(now_ms, ctx);
            if self.alarms.len() >= ALARMS_MAX {
                return Err(format!("more than {ALARMS_MAX} alarms at a time; use a key with fewer values"));
            }
        }
        let before = self.alarms.get(key).cloned();
        let fired_ms = before.as_ref().and_then(|alarm| alarm.fired_ms);
        let cooled_ms = fired_ms.map_or(now_ms, |fired| fired + self.timing.cooldown_ms);
        let due_ms = (now_ms + self.timing.hold_ms).max(cooled_ms);
        if due_ms <= now_ms {
            self.put(key, Phase::Firing { since_ms: now_ms }, Some(now_ms));
            let episode = Episode { key: key.to_owned(), since_ms: now_ms, value, duration_ms: 0 };
            return Ok(Some(Change { fired: true, episode, before }));
        }
        let phase = Phase::Pending { since_ms: now_ms, due_ms, value, message: message.clone() };
        let id = self.put(key, phase, fired_ms);
        ctx.set_timer(id, due_ms);
        self.keep(key, ctx.split_token(), ctx);
        Ok(None)
    }

    fn put(&mut self, key: &str, phase: Phase, fired_ms: Option<i64>) -> u64 {
        self.count(&phase, 1);
        let id = match self.alarms.get(key) {
            Some(alarm) => alarm.id,
            None => {
                self.next_id += 1;
                self.next_id
            }
        };
        self.insert(key, Alarm { phase, fired_ms, id });
        id
    }

    fn insert(&mut self, key: &str, alarm: Alarm) {
        self.keys.insert(alarm.id, key.to_owned());
        if let Some(old) = self.alarms.insert(key.to_owned(), alarm) {
            self.count(&old.phase, -1);
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(alarm) = self.alarms.remove(key) {
            self.keys.remove(&alarm.id);
            self.count(&alarm.phase, -1);
        }
    }

    fn count(&mut self, phase: &Phase, by: isize) {
        match phase {
            Phase::Normal => {}
            Phase::Pending { .. } => self.pending = self.pending.saturating_add_signed(by),
            Phase::Firing { .. } => self.firing = self.firing.saturating_add_signed(by),
        }
    }

    /// Back to normal; remembered only while the cooldown lasts.
    fn calm(&mut self, key: &str, now_ms: i64, ctx: &Ctx<'_>) {
        let Some(alarm) = self.alarms.get(key) else { return };
        ctx.cancel_timer(alarm.id);
        if alarm.fired_ms.is_some_and(|fired| fired + self.timing.cooldown_ms > now_ms) {
            let fired_ms = alarm.fired_ms;
            self.put(key, Phase::Normal, fired_ms);
        } else {
            self.remove(key);
        }
    }

    fn forget_cooled(&mut self, now_ms: i64, ctx: &Ctx<'_>) {
        let cooldown_ms = self.timing.cooldown_ms;
        let over = |alarm: &Alarm| alarm.fired_ms.is_none_or(|fired| fired + cooldown_ms <= now_ms);
        let normal = |alarm: &Alarm| matches!(alarm.phase, Phase::Normal);
        let cooled = self.alarms.iter().filter(|(_, alarm)| normal(alarm) && over(alarm));
        let cooled: Vec<String> = cooled.map(|(key, _)| key.clone()).collect();
        for key in cooled {
            self.remove(&key);
            self.keep(&key, None, ctx);
        }
    }

    /// The time of a pending alarm has come: it fires, with the last message that it got.
    pub(super) fn due(&mut self, id: u64, ctx: &Ctx<'_>) -> Option<(Change, Message)> {
        let now_ms = ctx.now_ms();
        let key = self.keys.get(&id)?.clone();
        let before = self.alarms.get(&key)?.clone();
        let Phase::Pending { since_ms, due_ms, value, message } = before.phase.clone() else { return None };
        if due_ms > now_ms {
            ctx.set_timer(id, due_ms);
            return None;
        }
        self.put(&key, Phase::Firing { since_ms }, Some(now_ms));
        let episode = Episode { key, since_ms, value, duration_ms: now_ms - since_ms };
        Some((Change { fired: true, episode, before: Some(before) }, message))
    }
}

/// How changes become durable.
impl Alarms {
    /// A token for the message that tells of a change. The state is kept, and `cause` ends, when that message is dealt
    /// with.
    pub(super) fn tell(&mut self, change: &Change, cause: Option<Token>, ctx: &Ctx<'_>) -> Token {
        // Unique in the process: what an earlier instance told may end now.
        let number = ctx.next_id();
        let (key, before) = (change.episode.key.clone(), change.before.clone());
        self.telling.insert(number, Telling { key, before, tokens: cause.into_iter().collect() });
        Token::new(Arc::new(Ears(ctx.feed())), number)
    }

    /// A telling has ended.
    pub(super) fn told(&mut self, told: &Told, ctx: &Ctx<'_>) {
        let Some(Telling { key, before, tokens }) = self.telling.remove(&told.number) else { return };
        let well = told.outcome < Outcome::Lost;
        // What is kept is the state as it is, so that must have been told too.
        let other = self.telling.values_mut().find(|other| other.key == key);
        match other {
            Some(other) if well => other.tokens.extend(tokens),
            // Only the latest change can be taken back; what came after it stands for itself.
            Some(_) => end(tokens, Outcome::Lost),
            None if well => self.keep_all(&key, tokens, ctx),
            None => {
                self.take_back(&key, before, ctx);
                self.keep(&key, None, ctx);
                end(tokens, Outcome::Lost);
            }
        }
    }

    fn take_back(&mut self, key: &str, before: Option<Alarm>, ctx: &Ctx<'_>) {
        let Some(before) = before else { return self.remove(key) };
        if matches!(before.phase, Phase::Pending { .. }) {
            ctx.set_timer(before.id, ctx.now_ms() + AGAIN_MS);
        }
        self.count(&before.phase, 1);
        self.insert(key, before);
    }

    /// Keeps the alarm of a key as it is now.
    fn keep(&self, key: &str, token: Option<Token>, ctx: &Ctx<'_>) {
        let record = self.alarms.get(key).map(|alarm| Stored::of(key, alarm).to_bytes());
        ctx.keep(&record::name(key), record, token);
    }

    fn keep_all(&self, key: &str, mut tokens: Vec<Token>, ctx: &Ctx<'_>) {
        self.keep(key, tokens.pop(), ctx);
        for token in tokens {
            self.keep(key, Some(token), ctx);
        }
    }

    /// The node is replaced: what is being told is in the inboxes behind already, so it counts as told.
    pub(super) fn settle(&mut self, ctx: &Ctx<'_>) {
        for telling in std::mem::take(&mut self.telling).into_values() {
            self.keep_all(&telling.key, telling.tokens, ctx);
        }
    }
}

fn end(tokens: Vec<Token>, outcome: Outcome) {
    for token in tokens {
        token.finish(outcome);
    }
}
