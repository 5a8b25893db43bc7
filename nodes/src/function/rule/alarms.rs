//! The alarms of a rule: one state machine for each key.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tidewire_model::value::to_json_value;
use tidewire_model::{Message, Value};
use tidewire_node_api::Ctx;

/// Most alarms that are not normal at a time.
const ALARMS_MAX: usize = 10_000;

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

/// What a message changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Fired(Episode),
    Cleared(Episode),
}

#[derive(Debug)]
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

#[derive(Debug)]
struct Alarm {
    phase: Phase,
    fired_ms: Option<i64>,
    /// Its timer.
    id: u64,
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
}

/// An alarm as it goes to the successor.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    firing: bool,
    since: Option<i64>,
    fired: Option<i64>,
    /// The last message of a pending alarm.
    message: Option<serde_json::Value>,
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
                self.pending -= 1;
                self.calm(key, now_ms, ctx);
                Ok(None)
            }
            (Some(Phase::Firing { since_ms }), false) => {
                let since_ms = *since_ms;
                self.firing -= 1;
                self.calm(key, now_ms, ctx);
                let duration_ms = now_ms - since_ms;
                Ok(Some(Change::Cleared(Episode { key: key.to_owned(), since_ms, value, duration_ms })))
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
            self.forget_cooled(now_ms);
            if self.alarms.len() >= ALARMS_MAX {
                return Err(format!("more than {ALARMS_MAX} alarms at a time; use a key with fewer values"));
            }
        }
        let fired_ms = self.alarms.get(key).and_then(|alarm| alarm.fired_ms);
        let cooled_ms = fired_ms.map_or(now_ms, |fired| fired + self.timing.cooldown_ms);
        let due_ms = (now_ms + self.timing.hold_ms).max(cooled_ms);
        if due_ms <= now_ms {
            self.firing += 1;
            self.put(key, Phase::Firing { since_ms: now_ms }, Some(now_ms));
            return Ok(Some(Change::Fired(Episode { key: key.to_owned(), since_ms: now_ms, value, duration_ms: 0 })));
        }
        self.pending += 1;
        let phase = Phase::Pending { since_ms: now_ms, due_ms, value, message: message.clone() };
        let id = self.put(key, phase, fired_ms);
        ctx.set_timer(id, due_ms);
        Ok(None)
    }

    fn put(&mut self, key: &str, phase: Phase, fired_ms: Option<i64>) -> u64 {
        if let Some(alarm) = self.alarms.get_mut(key) {
            alarm.phase = phase;
            alarm.fired_ms = fired_ms;
            return alarm.id;
        }
        self.next_id += 1;
        let id = self.next_id;
        self.keys.insert(id, key.to_owned());
        self.alarms.insert(key.to_owned(), Alarm { phase, fired_ms, id });
        id
    }

    /// Back to normal; remembered only while the cooldown lasts.
    fn calm(&mut self, key: &str, now_ms: i64, ctx: &Ctx<'_>) {
        let Some(alarm) = self.alarms.get_mut(key) else { return };
        ctx.cancel_timer(alarm.id);
        alarm.phase = Phase::Normal;
        let cooling = alarm.fired_ms.is_some_and(|fired| fired + self.timing.cooldown_ms > now_ms);
        if !cooling {
            self.keys.remove(&alarm.id);
            self.alarms.remove(key);
        }
    }

    fn forget_cooled(&mut self, now_ms: i64) {
        let cooldown_ms = self.timing.cooldown_ms;
        let keys = &mut self.keys;
        self.alarms.retain(|_, alarm| {
            let over = alarm.fired_ms.is_none_or(|fired| fired + cooldown_ms <= now_ms);
            let keep = !(over && matches!(alarm.phase, Phase::Normal));
            if !keep {
                keys.remove(&alarm.id);
            }
            keep
        });
    }

    /// The time of a pending alarm has come: it fires, with the last message that it got.
    pub(super) fn due(&mut self, id: u64, ctx: &Ctx<'_>) -> Option<(Episode, Message)> {
        let now_ms = ctx.now_ms();
        let key = self.keys.get(&id)?.clone();
        let alarm = self.alarms.get_mut(&key)?;
        let Phase::Pending { since_ms, due_ms, .. } = alarm.phase else { return None };
        if due_ms > now_ms {
            ctx.set_timer(id, due_ms);
            return None;
        }
        let pending = std::mem::replace(&mut alarm.phase, Phase::Firing { since_ms });
        alarm.fired_ms = Some(now_ms);
        self.pending -= 1;
        self.firing += 1;
        let Phase::Pending { value, message, .. } = pending else { return None };
        Some((Episode { key, since_ms, value, duration_ms: now_ms - since_ms }, message))
    }

    /// All alarms, for the successor.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let stored: Vec<Stored> = self
            .alarms
            .iter()
            .map(|(key, alarm)| {
                let (firing, since, message) = match &alarm.phase {
                    Phase::Normal => (false, None, None),
                    Phase::Firing { since_ms } => (true, Some(*since_ms), None),
                    Phase::Pending { since_ms, message, .. } => {
                        (false, Some(*since_ms), Some(to_json_value(&message.to_value())))
                    }
                };
                Stored { key: key.clone(), firing, since, fired: alarm.fired_ms, message }
            })
            .collect();
        // Text, numbers and JSON values always serialise.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Takes over a predecessor's alarms; `judge` gives the value of a pending one if it still is.
    pub(super) fn restore(&mut self, data: &[u8], ctx: &Ctx<'_>, judge: impl Fn(&Message) -> Option<Value>) {
        let Ok(stored) = serde_json::from_slice::<Vec<Stored>>(data) else { return };
        for Stored { key, firing, since, fired, message } in stored {
            match (firing, since, message) {
                (true, Some(since_ms), _) => {
                    self.firing += 1;
                    self.put(&key, Phase::Firing { since_ms }, fired);
                }
                (false, Some(since_ms), Some(message)) => {
                    let body = Value::from(message).with_buffers().as_object().cloned().unwrap_or_default();
                    let message = Message::new(ctx.next_id(), body);
                    let Some(value) = judge(&message) else { continue };
                    let cooled_ms = fired.map_or(since_ms, |fired| fired + self.timing.cooldown_ms);
                    let due_ms = (since_ms + self.timing.hold_ms).max(cooled_ms);
                    self.pending += 1;
                    let id = self.put(&key, Phase::Pending { since_ms, due_ms, value, message }, fired);
                    ctx.set_timer(id, due_ms.max(ctx.now_ms()));
                }
                _ => {
                    self.put(&key, Phase::Normal, fired);
                }
            }
        }
    }
}
