//! `notifier` sends notifications over a channel, with a durable outbox behind it.

mod calendar;
mod channel;
mod config;
mod delivery;
mod ntfy;
mod pushbullet;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;
use serde_json::{Value as Json, json};
use tidewire_model::position::Position;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, Signal, State, Status, StopReason,
};

use super::cut;
use crate::shared::outbox::{
    Cause, History, Life, News, Outbox, Recorded, Report, TIMER_KEYS, entry_id, event_number, event_text,
};
use crate::shared::template::Template;
use channel::{Channel, Notice, Target, redacted, scrubbed};
use config::NotifierConfig;
use delivery::Answered;

const CATEGORY: &str = "notification";

/// Timer for the next thing to do.
const PUMP: u64 = 10;

/// Most keys that are remembered to hold repetitions back.
const KEYS_MAX: usize = 10_000;

/// See [`NotifierConfig`].
pub(crate) struct Notifier {
    config: NotifierConfig,
    channel: &'static Channel,
    texts: Texts,
    outbox: Outbox,
    /// Entries without outcome, oldest first.
    open: BTreeMap<Position, Entry>,
    /// One at a time, so that order is kept and a refusal holds back the rest.
    sending: bool,
    /// The token that was refused.
    refused: Option<String>,
    /// The channel may not be used before this time.
    pause_until: i64,
    /// When the vendor's allowance would be full again, for [`channel::Pace`].
    pace_at: i64,
    /// Start of the month that is counted, and how many were sent in it.
    month: (i64, u32),
    /// When a notification with a key was taken last.
    keys: HashMap<String, i64>,
    /// What the last attempt ended in, for the status.
    last: Last,
}

struct Texts {
    title: Template,
    message: Template,
    click: Template,
    body: Template,
    key: Template,
}

/// A notification on its way.
#[derive(Debug, Clone)]
struct Entry {
    id: CompactString,
    notice: Notice,
    /// Holds others of its kind back.
    key: String,
    cause: Cause,
    attempt: u32,
    expires_at: i64,
    /// Whether it is on record that the configuration is incomplete.
    noted: bool,
    message: Option<Message>,
}

enum Last {
    Nothing,
    Sent,
    Deferred(String),
    Failed(String),
}

impl NodeType for Notifier {
    type Config = NotifierConfig;

    const META: Meta = Meta {
        icon: "bell",
        outputs: &["sent", "failed"],
        keywords: &["notification", "push", "alert", "alarm", "ntfy", "pushbullet", "webhook", "phone", "message"],
        ..Meta::new("notifier", "Notifier", Category::Actions, Role::Out, Kind::Effect)
    };

    fn check(config: &NotifierConfig) -> Vec<Problem> {
        let mut problems = config.problems();
        problems.extend(Texts::compile(config).err().into_iter().flatten());
        problems
    }

    fn build(config: NotifierConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Notifier {
            channel: Channel::of(config.channel),
            texts: Texts::compile(&config).map_err(BuildError)?,
            outbox: match config.key.trim() {
                "" => Outbox::new(CATEGORY),
                _ => Outbox::new(CATEGORY).recalling((config.key_window * 1000.0) as i64),
            },
            open: BTreeMap::new(),
            sending: false,
            refused: None,
            pause_until: 0,
            pace_at: 0,
            month: (0, 0),
            keys: HashMap::new(),
            last: Last::Nothing,
            config,
        })
    }
}

impl Texts {
    fn compile(config: &NotifierConfig) -> Result<Texts, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut compile =
            |text: &str, at: &str| Template::parse(text, at).map_err(|problem| problems.push(problem)).ok();
        let texts = (
            compile(&config.title, "/title"),
            compile(&config.message, "/message"),
            compile(&config.click, "/click"),
            compile(&config.body, "/body"),
            compile(&config.key, "/key"),
        );
        match texts {
            (Some(title), Some(message), Some(click), Some(body), Some(key)) => {
                Ok(Texts { title, message, click, body, key })
            }
            _ => Err(problems),
        }
    }
}

impl Node for Notifier {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.outbox.start::<Entry>(ctx);
        self.count_month(ctx);
        self.show(ctx);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if ctx.withholds(&message) {
            ctx.drop_message();
            return Ok(());
        }
        self.request(message, ctx)
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Timer(key) if TIMER_KEYS.contains(&key) => self.outbox.timer::<Entry>(key, ctx),
            Signal::Timer(PUMP) => self.pump(ctx),
            Signal::Own(own) => match own.downcast::<Report<Entry>>() {
                Ok(report) => self.report(*report, ctx),
                Err(own) => match own.downcast::<Answered>() {
                    Ok(answered) => self.answered(*answered, ctx),
                    Err(own) => self.counted(own.downcast::<delivery::MonthCount>().ok(), ctx),
                },
            },
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        ctx.cancel_timer(PUMP);
        None
    }

    fn concurrency(&self) -> usize {
        self.outbox.room()
    }
}

impl Notifier {
    /// Where notices go, with the token as it is now.
    fn target(&self, ctx: &Ctx<'_>) -> Target {
        let token = ctx.credential("token").map(|token| token.trim().to_owned()).unwrap_or_default();
        Target { token, ..self.config.target() }
    }

    /// Takes a wish: renders it and puts it on disk.
    fn request(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let notice = match self.notice(&message) {
            Ok(notice) => notice,
            Err(error) => return Err(error.on(message)),
        };
        let key = self.texts.key.render(&message).unwrap_or_default();
        if self.is_held_back(&key, ctx.now_ms()) {
            ctx.drop_message();
            return Ok(());
        }
        let given = message.get("notification").and_then(|value| value.get("id")).and_then(Value::as_str);
        let id = entry_id(&message, &[&notice.title, &notice.message, &notice.body], given, ctx);
        let notice = Notice { id: id.to_string(), ..notice };
        let expires_at = ctx.now_ms().saturating_add((self.config.ttl * 1000.0) as i64);
        let data = self.request_data(&notice, &key, expires_at, ctx);
        let recorded = match Recorded::new((CATEGORY, &id), ("requested", 0), &data, &Cause::of_message(&message), ctx)
        {
            Ok(recorded) => recorded,
            Err(error) => return Err(error.on(message)),
        };
        let cause = Cause::of_request(recorded.id, Cause::of_message(&message).correlation);
        let asked = Some(message.clone());
        let entry = Entry { id: id.clone(), notice, key, cause, attempt: 0, expires_at, noted: false, message: asked };
        self.outbox.request((&id, entry), recorded.append, message, ctx);
        Ok(())
    }

    fn notice(&self, message: &Message) -> Result<Notice, NodeError> {
        Ok(Notice {
            id: String::new(),
            title: self.texts.title.render(message)?,
            message: self.texts.message.render(message)?,
            click: self.texts.click.render(message)?,
            body: self.texts.body.render(message)?,
        })
    }

    /// Whether a notification with this key was taken a short while ago; notes that one is taken now otherwise.
    fn is_held_back(&mut self, key: &str, now: i64) -> bool {
        if key.is_empty() {
            return false;
        }
        let window = (self.config.key_window * 1000.0) as i64;
        if self.keys.get(key).is_some_and(|taken| now - taken < window) {
            return true;
        }
        if self.keys.len() >= KEYS_MAX {
            self.keys.retain(|_, taken| now - *taken < window);
        }
        self.keys.insert(key.to_owned(), now);
        false
    }

    /// What it would send, and where, without secrets.
    fn request_data(&self, notice: &Notice, key: &str, expires_at: i64, ctx: &Ctx<'_>) -> Json {
        let target = self.target(ctx);
        let request = (self.channel.request)(&target, notice);
        let mut data = json!({
            "id": notice.id,
            "channel": self.channel.name,
            "title": notice.title,
            "message": notice.message,
            "to": redacted(&request.url),
            "expiresAt": expires_at,
        });
        let optional = [
            ("topic", target.topic.trim()),
            ("device", target.device.trim()),
            ("click", &notice.click),
            ("body", &notice.body),
            ("key", key),
        ];
        if let Some(data) = data.as_object_mut() {
            for (name, text) in optional.into_iter().filter(|(_, text)| !text.is_empty()) {
                data.insert(name.to_owned(), scrubbed(text, &[&target.token]).into());
            }
        }
        data
    }

    fn report(&mut self, report: Report<Entry>, ctx: &mut Ctx<'_>) {
        match self.outbox.take(report, ctx) {
            News::Ready(history) => self.take_up(&history, ctx),
            News::Open(position, entry) => {
                self.open.insert(position, *entry);
            }
            News::Refused(entry) => {
                // It holds nothing back, least of all itself.
                self.keys.remove(&entry.key);
                self.outbox.forget(&entry.id, ctx);
            }
            News::Known | News::Quiet => {}
        }
        self.pump(ctx);
    }

    /// Takes over what an earlier run left without outcome.
    fn take_up(&mut self, history: &History, ctx: &Ctx<'_>) {
        let me = ctx.facts().id.as_str();
        for event in history.recent.iter().filter(|event| event.node_id.as_deref() == Some(me)) {
            if let Ok(data) = event.data_json()
                && let Some(key) = event_text(&data, "key")
            {
                self.keys.insert(key.to_owned(), event.time);
            }
        }
        for life in history.open.iter().filter(|life| life.concerns(me)) {
            let Some((position, mut entry, deferred)) = Entry::of_life(life) else { continue };
            entry.message = self.outbox.asked(&entry.id);
            if let Some(deferred) = deferred {
                let since = event_number(&deferred, "retryAt").unwrap_or(0);
                if !matches!(event_text(&deferred, "class"), Some("auth" | "unconfigured")) {
                    self.pause_until = self.pause_until.max(since);
                }
            }
            self.open.insert(position, entry);
        }
    }
}

impl Entry {
    /// The entry that events tell of, its place, and the data of its last deferral.
    fn of_life(life: &Life) -> Option<(Position, Entry, Option<Json>)> {
        let (event, data) = life.requested()?;
        let text = |key: &str| event_text(&data, key).unwrap_or_default().to_owned();
        let notice = Notice {
            id: life.id.to_string(),
            title: text("title"),
            message: text("message"),
            click: text("click"),
            body: text("body"),
        };
        let deferred = life.last("deferred").map(|(_, data)| data);
        let entry = Entry {
            id: life.id.clone(),
            notice,
            key: text("key"),
            cause: Cause::of_request(event.id.clone(), event.correlation_id.clone()),
            attempt: deferred
                .as_ref()
                .and_then(|data| event_number(data, "attempt"))
                .unwrap_or(0)
                .try_into()
                .unwrap_or(0),
            expires_at: event_number(&data, "expiresAt").unwrap_or(event.time + 86_400_000),
            noted: deferred.as_ref().is_some_and(|data| event_text(data, "class") == Some("unconfigured")),
            message: None,
        };
        Some((event.position, entry, deferred))
    }
}

impl Notifier {
    /// Shows how things stand.
    fn show(&self, ctx: &Ctx<'_>) {
        let target = self.target(ctx);
        let waiting = match self.open.len() {
            0 => String::new(),
            count => format!(" · {count} waiting"),
        };
        let status = if let Some(missing) = (self.channel.missing)(&target) {
            Status::waiting(format!("needs {missing}{waiting}"))
        } else {
            match &self.last {
                Last::Failed(text) => Status::error(cut(text, 80)),
                Last::Deferred(text) if !self.open.is_empty() => Status::waiting(format!("{}{waiting}", cut(text, 80))),
                Last::Sent => Status::ok(format!("sent{}{waiting}", self.quota(ctx.now_ms()))),
                _ => Status::text(format!("ready{}{waiting}", self.quota(ctx.now_ms()))),
            }
        };
        ctx.status(status);
    }

    /// ` · n of 500 this month`, where there is such a limit.
    fn quota(&self, now: i64) -> String {
        match self.channel.monthly {
            Some(limit) if self.month.0 == calendar::month_start(now) => {
                format!(" · {} of {limit} this month", self.month.1)
            }
            _ => String::new(),
        }
    }
}
