//! Carrying out notifications: when the next one is sent, and what its answer leads to.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::Filter;
use tidewire_node_api::handles::{HandleError, Log};
use tidewire_node_api::{Ctx, Emission, NodeError, Signal};

use super::calendar::{end_of, month_start};
use super::channel::{Channel, Verdict, Wait, scrubbed};
use super::{CATEGORY, Entry, Last, Notifier, PUMP};
use crate::actions::cut;
use crate::shared::outbox::{Backoff, Recorded, event_text, outcome_message, walk};

/// Pauses while a channel is out of order.
const BACKOFF: Backoff = Backoff { first_ms: 5_000, longest_ms: 900_000 };

/// How often it is looked for a token that is missing or was refused.
const LOOK_FOR_TOKEN_MS: i64 = 2_000;

/// What became of an attempt; its outcome is on record already.
pub(super) struct Answered {
    position: Position,
    verdict: Verdict,
    /// When the channel may be used again.
    pause_until: i64,
}

/// How many notifications of the channel were sent in the month that began then.
pub(super) struct MonthCount {
    month: i64,
    count: u32,
}

impl Notifier {
    /// Does what can be done now, and sets the timer for what comes later.
    pub(super) fn pump(&mut self, ctx: &mut Ctx<'_>) {
        if !self.outbox.is_ready() {
            return;
        }
        self.give_up_expired(ctx);
        if !self.sending
            && let Some(at) = self.next(ctx)
        {
            let expiry = self.open.values().map(|entry| entry.expires_at).min().unwrap_or(at);
            ctx.set_timer(PUMP, at.min(expiry));
        }
        self.outbox.checkpoint(self.open.keys().next().copied(), ctx);
        self.show(ctx);
    }

    /// Starts the next attempt, or says when to look again.
    fn next(&mut self, ctx: &mut Ctx<'_>) -> Option<i64> {
        let now = ctx.now_ms();
        let position = *self.open.keys().next()?;
        let target = self.target(ctx);
        if let Some(missing) = (self.channel.missing)(&target) {
            self.note_unconfigured(missing, ctx);
            return Some(now + LOOK_FOR_TOKEN_MS);
        }
        if self.refused.as_ref().is_some_and(|refused| *refused == target.token) {
            return Some(now + LOOK_FOR_TOKEN_MS);
        }
        if self.refused.take().is_some() {
            self.pause_until = 0;
        }
        let pace =
            self.channel.pace.map_or(0, |pace| self.pace_at - i64::from(pace.burst.saturating_sub(1)) * pace.every_ms);
        let ready_at = self.pause_until.max(pace);
        if ready_at > now {
            return Some(ready_at);
        }
        if let Some(pace) = self.channel.pace {
            self.pace_at = self.pace_at.max(now) + pace.every_ms;
        }
        self.send(position, &target, ctx);
        None
    }

    /// Sends one notification. The outcome is recorded by the same piece of work, so that it is not lost when the node is
    /// replaced meanwhile.
    fn send(&mut self, position: Position, target: &super::Target, ctx: &mut Ctx<'_>) {
        let Some(entry) = self.open.get_mut(&position) else { return };
        entry.attempt += 1;
        let entry = entry.clone();
        self.sending = true;
        let request = (self.channel.request)(target, &entry.notice);
        let answer = ctx.services().http.send(request);
        let attempt = Attempt {
            now: ctx.now_ms(),
            blind_ms: BACKOFF.pause_ms(entry.attempt, ctx.random()),
            secrets: vec![target.token.clone()],
            channel: self.channel,
        };
        // Made now, while there is a context; the data follows when the answer is there.
        let made = ["sent", "deferred", "failed"]
            .map(|kind| Recorded::new((CATEGORY, &entry.id), (kind, entry.attempt), &Json::Null, &entry.cause, ctx));
        let [Ok(sent), Ok(deferred), Ok(failed)] = made else { return };
        let messages = [&sent, &failed].map(|recorded| {
            outcome_message(entry.message.as_ref(), "notification", &Json::Null, &recorded.id, &entry.cause, ctx)
        });
        let recorder = self.outbox.recorder::<Entry>(ctx);
        ctx.spawn(async move {
            let verdict = attempt.verdict(answer.await);
            let pause_until = attempt.pause_until(&verdict);
            let data = attempt.data(&entry, &verdict, pause_until);
            let [sent_message, failed_message] = messages;
            let (recorded, emission) = match &verdict {
                Verdict::Sent { .. } => (sent, Some((0, sent_message))),
                Verdict::BadRequest(_) => (failed, Some((1, failed_message))),
                _ => (deferred, None),
            };
            recorder.record(recorded.with_data(&data).append).await;
            recorder.feed().signal(Signal::Own(Box::new(Answered { position, verdict, pause_until })));
            let emission = emission.map(|(port, mut message)| {
                message.set("notification", tidewire_model::Value::from(&data));
                if entry.message.is_none() {
                    message.set_payload(tidewire_model::Value::from(&data));
                }
                Emission::Emit { port, message, token: None }
            });
            emission.into_iter().collect()
        });
    }

    /// Goes on after an attempt.
    pub(super) fn answered(&mut self, answered: Answered, ctx: &mut Ctx<'_>) {
        self.sending = false;
        self.pause_until = self.pause_until.max(answered.pause_until);
        match answered.verdict {
            Verdict::Sent { .. } => {
                self.close(answered.position, ctx);
                self.last = Last::Sent;
                let month = month_start(ctx.now_ms());
                self.month = if self.month.0 == month { (month, self.month.1 + 1) } else { (month, 1) };
            }
            Verdict::BadRequest(text) => {
                self.close(answered.position, ctx);
                ctx.error(NodeError::new(format!("{} refused the notification: {text}", self.channel.name)));
                self.last = Last::Failed(text);
            }
            Verdict::Auth(text) => {
                ctx.error(NodeError::new(format!(
                    "{} does not accept the token: {text}; nothing is sent until another one is entered",
                    self.channel.name
                )));
                self.refused = Some(self.target(ctx).token);
                self.last = Last::Failed(format!("token refused: {text}"));
            }
            Verdict::Throttled(text, _) => {
                let used_up =
                    self.channel.monthly.filter(|_| answered.pause_until == end_of(Wait::NextMonth, ctx.now_ms(), 0));
                let quota =
                    used_up.map(|limit| format!("{} of {limit} this month: ", self.month.1)).unwrap_or_default();
                self.last = Last::Deferred(format!("{quota}{text}"));
            }
            Verdict::Transient(text) => self.last = Last::Deferred(format!("trying again: {text}")),
        }
        self.pump(ctx);
    }

    /// An entry has its outcome.
    fn close(&mut self, position: Position, ctx: &Ctx<'_>) -> Option<Entry> {
        let entry = self.open.remove(&position)?;
        self.outbox.forget(&entry.id, ctx);
        Some(entry)
    }

    /// Gives up what was not sent in time.
    fn give_up_expired(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now_ms();
        let first = self.open.keys().next().copied().filter(|_| self.sending);
        let expired: Vec<Position> = self
            .open
            .iter()
            .filter(|(position, entry)| entry.expires_at <= now && Some(**position) != first)
            .map(|(position, _)| *position)
            .collect();
        for position in expired {
            let Some(entry) = self.close(position, ctx) else { continue };
            let reason = match &self.last {
                Last::Failed(text) | Last::Deferred(text) => format!("not sent in time; at last: {text}"),
                _ if entry.noted => "not sent in time: the configuration was incomplete".to_owned(),
                _ => "not sent in time".to_owned(),
            };
            let data = json!({
                "id": entry.id, "channel": self.channel.name, "attempt": entry.attempt, "class": "expired", "reason": reason,
            });
            match Recorded::new((CATEGORY, &entry.id), ("failed", 0), &data, &entry.cause, ctx) {
                Ok(recorded) => {
                    let asked = entry.message.as_ref();
                    let message = outcome_message(asked, "notification", &data, &recorded.id, &entry.cause, ctx);
                    self.outbox.record_and_emit::<Entry>(recorded.append, (1, message), ctx);
                }
                Err(error) => ctx.error(error),
            }
        }
    }

    /// Records, once for each, that nothing can be sent yet.
    fn note_unconfigured(&mut self, missing: &str, ctx: &mut Ctx<'_>) {
        let retry_at = ctx.now_ms() + LOOK_FOR_TOKEN_MS;
        let mut notes = Vec::new();
        for entry in self.open.values_mut().filter(|entry| !entry.noted) {
            entry.noted = true;
            let data = json!({
                "id": entry.id, "channel": self.channel.name, "attempt": entry.attempt, "class": "unconfigured",
                "reason": format!("no {missing} yet"), "retryAt": retry_at,
            });
            notes.extend(Recorded::new((CATEGORY, &entry.id), ("deferred", 0), &data, &entry.cause, ctx));
        }
        for recorded in notes {
            self.outbox.record::<Entry>(recorded.append, ctx);
        }
    }

    /// Counts what was sent this month, where there is a limit.
    pub(super) fn count_month(&self, ctx: &mut Ctx<'_>) {
        if self.channel.monthly.is_none() {
            return;
        }
        let (log, feed) = (Arc::clone(&ctx.services().log), ctx.feed());
        let (month, name) = (month_start(ctx.now_ms()), self.channel.name);
        ctx.spawn(async move {
            // Without the count the vendor still says when it is over.
            let count = count_since(log.as_ref(), month, name).await.unwrap_or(0);
            feed.signal(Signal::Own(Box::new(MonthCount { month, count })));
            Vec::new()
        });
    }

    pub(super) fn counted(&mut self, count: Option<Box<MonthCount>>, ctx: &Ctx<'_>) {
        let Some(found) = count else { return };
        // What was sent while the log was read may be counted twice; the vendor's own count decides.
        let since = if self.month.0 == found.month { self.month.1 } else { 0 };
        self.month = (found.month, found.count.max(since));
        self.show(ctx);
    }
}

async fn count_since(log: &dyn Log, since: i64, channel: &str) -> Result<u32, HandleError> {
    let filter = Filter {
        category: Some(CATEGORY.into()),
        from_time: Some(since),
        ..Filter::types(["tidewire.notification.sent"])
    };
    let mut count = 0;
    let ours = |event: &Event| event.data_json().is_ok_and(|data| event_text(&data, "channel") == Some(channel));
    walk(log, filter, Position::FIRST, |event| count += u32::from(ours(&event))).await?;
    Ok(count)
}

/// One attempt, as far as it is known before the answer.
struct Attempt {
    now: i64,
    blind_ms: i64,
    secrets: Vec<String>,
    channel: &'static Channel,
}

impl Attempt {
    fn verdict(&self, answer: Result<tidewire_node_api::handles::HttpResponse, HandleError>) -> Verdict {
        let verdict = match answer {
            Ok(response) => (self.channel.classify)(&response),
            Err(error) if error.retryable => Verdict::Transient(error.text),
            Err(error) => Verdict::BadRequest(error.text),
        };
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let clean = |text: String| scrubbed(&cut(&text, 400), &secrets);
        match verdict {
            Verdict::BadRequest(text) => Verdict::BadRequest(clean(text)),
            Verdict::Auth(text) => Verdict::Auth(clean(text)),
            Verdict::Throttled(text, wait) => Verdict::Throttled(clean(text), wait),
            Verdict::Transient(text) => Verdict::Transient(clean(text)),
            sent @ Verdict::Sent { .. } => sent,
        }
    }

    /// When the channel may be used again.
    fn pause_until(&self, verdict: &Verdict) -> i64 {
        match verdict {
            Verdict::Sent { pause: Some(wait), .. } | Verdict::Throttled(_, wait) => {
                end_of(*wait, self.now, self.blind_ms)
            }
            Verdict::Transient(_) => self.now + self.blind_ms,
            Verdict::Auth(_) => self.now + LOOK_FOR_TOKEN_MS,
            Verdict::Sent { pause: None, .. } | Verdict::BadRequest(_) => 0,
        }
    }

    fn data(&self, entry: &Entry, verdict: &Verdict, pause_until: i64) -> Json {
        let mut data = json!({ "id": entry.id, "channel": self.channel.name, "attempt": entry.attempt });
        let more = match verdict {
            Verdict::Sent { provider_id, .. } => json!({ "providerId": provider_id }),
            Verdict::BadRequest(text) => json!({ "class": "bad_request", "reason": text }),
            Verdict::Auth(text) => json!({ "class": "auth", "reason": text, "retryAt": pause_until }),
            Verdict::Throttled(text, _) => json!({ "class": "throttled", "reason": text, "retryAt": pause_until }),
            Verdict::Transient(text) => json!({ "class": "transient", "reason": text, "retryAt": pause_until }),
        };
        if let (Some(data), Json::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        data
    }
}
