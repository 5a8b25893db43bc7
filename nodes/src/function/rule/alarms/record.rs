//! Alarms as bytes: a record for each, and all of them for the successor.

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use tidewire_model::{Map, Message, Value};
use tidewire_node_api::Ctx;

use super::{Alarm, Alarms, Phase};

/// What a restored alarm is judged by.
pub(crate) type Judge<'j> = &'j dyn Fn(&Message) -> Option<Value>;

/// Key of an alarm's record.
pub(super) fn name(key: &str) -> CompactString {
    format_compact!("alarm/{key}")
}

/// Where alarms come from when a node starts.
pub(crate) enum Restored {
    /// All alarms of the predecessor.
    State(Bytes),
    /// The records of the last run.
    Records(Vec<(CompactString, Bytes)>),
}

/// An alarm as it is kept.
pub(super) struct Stored {
    key: String,
    alarm: Alarm,
}

impl Stored {
    pub(super) fn of(key: &str, alarm: &Alarm) -> Stored {
        Stored { key: key.to_owned(), alarm: alarm.clone() }
    }

    fn to_value(&self) -> Value {
        let mut map = Map::with_capacity(6);
        map.insert("id", i64::try_from(self.alarm.id).unwrap_or(i64::MAX));
        map.insert("key", self.key.as_str());
        if let Some(fired) = self.alarm.fired_ms {
            map.insert("fired", fired);
        }
        match &self.alarm.phase {
            Phase::Normal => {}
            Phase::Firing { since_ms } => map.insert("firing", *since_ms),
            Phase::Pending { since_ms, message, .. } => {
                map.insert("pending", *since_ms);
                map.insert("message", Value::Bytes(message.to_bytes()));
            }
        }
        Value::object(map)
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        self.to_value().to_bytes()
    }

    fn of_value(value: &Value) -> Option<Stored> {
        let number = |key: &str| value.get(key).and_then(Value::as_i64);
        let phase = match (number("firing"), number("pending")) {
            (Some(since_ms), _) => Phase::Firing { since_ms },
            (None, Some(since_ms)) => {
                let Some(Value::Bytes(bytes)) = value.get("message") else { return None };
                let message = Message::from_bytes(bytes).ok()?;
                // Due time and value depend on the rule as it is now.
                Phase::Pending { since_ms, due_ms: since_ms, value: Value::Undefined, message }
            }
            (None, None) => Phase::Normal,
        };
        let key = value.get("key").and_then(Value::as_str)?.to_owned();
        let id = u64::try_from(number("id")?).ok()?;
        Some(Stored { key, alarm: Alarm { phase, fired_ms: number("fired"), id } })
    }
}

impl Alarms {
    /// All alarms, for the successor.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let stored = self.alarms.iter().map(|(key, alarm)| Stored::of(key, alarm).to_value());
        Value::array(stored.collect::<Vec<_>>()).to_bytes()
    }

    /// Takes over alarms; `judge` gives the value of a pending one if it still is. One that is overdue fires at once.
    pub(crate) fn restore(&mut self, from: Restored, ctx: &Ctx<'_>, judge: Judge<'_>) {
        let mut values = match from {
            Restored::State(bytes) => match Value::from_bytes(&bytes) {
                Ok(Value::Array(values)) => values.to_vec(),
                _ => Vec::new(),
            },
            Restored::Records(records) => {
                records.iter().filter_map(|(_, bytes)| Value::from_bytes(bytes).ok()).collect()
            }
        };
        // In the order they came up, so that those of one moment fire in that order.
        let id = |value: &Value| value.get("id").and_then(Value::as_i64);
        values.sort_by_key(id);
        for Stored { key, mut alarm } in values.iter().filter_map(Stored::of_value) {
            self.next_id = self.next_id.max(alarm.id);
            if let Phase::Pending { since_ms, due_ms, value, message } = &mut alarm.phase {
                let Some(now) = judge(message) else {
                    ctx.keep(&name(&key), None, None);
                    continue;
                };
                let cooled_ms = alarm.fired_ms.map_or(*since_ms, |fired| fired + self.timing.cooldown_ms);
                *due_ms = (*since_ms + self.timing.hold_ms).max(cooled_ms);
                *value = now;
                ctx.set_timer(alarm.id, (*due_ms).max(ctx.now_ms()));
            }
            self.count(&alarm.phase, 1);
            self.insert(&key, alarm);
        }
    }
}
