//! `inject` starts a flow: by its button, at intervals, or by a schedule.

mod props;
mod schedule;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::{Map, Message, Problem};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, Signal, lenient,
};

use props::{Prop, Props};
use schedule::Schedule;

/// Starts a flow: by its button, at intervals, or by a schedule.
///
/// The message has the properties listed here, set in order; `payload` is the time by default. **Repeat** sends every
/// so many seconds; **Schedule** is a cron pattern with five fields (minute, hour, day of month, month, day of week)
/// or six (seconds first), in the time zone of the machine, and counts only when **Repeat** is empty.
///
/// A message sent to the node, or the body of `POST /inject/:id`, may bring its own list of properties as
/// `__user_inject_props__`, for that one time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct InjectConfig {
    /// Properties of the message, set in this order.
    #[schemars(extend("x-widget" = "props"))]
    props: Option<Vec<Prop>>,
    /// Seconds between two messages; empty for none.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::number_schema")]
    repeat: String,
    /// When to send, as a cron pattern such as `0 8 * * 1-5` (at eight on weekdays).
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    crontab: String,
    /// Also send once after the start.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    once: bool,
    /// Seconds after the start before the first message.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    once_delay: f64,
    /// Topic, where the list of properties names it without a value.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    topic: String,
    /// Payload, where the list of properties names it without a value.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "payloadType",
        "x-types" = ["date", "str", "num", "bool", "json", "bin", "env"]))]
    payload: Json,
    /// Type of the payload.
    payload_type: Option<String>,
}

impl Default for InjectConfig {
    fn default() -> Self {
        InjectConfig {
            props: Some(vec![Prop::named("payload", None), Prop::named("topic", Some("str"))]),
            repeat: String::new(),
            crontab: String::new(),
            once: false,
            once_delay: 0.1,
            topic: String::new(),
            payload: Json::String(String::new()),
            payload_type: Some("date".to_owned()),
        }
    }
}

pub(crate) struct Inject {
    props: Props,
    schedule: Schedule,
    once_after_ms: Option<i64>,
    /// When the next message was due, so that intervals do not drift.
    due_ms: i64,
}

/// Property of a message that replaces the configured list for one time.
const OVERRIDE: &str = "__user_inject_props__";
const ONCE: u64 = 1;
const NEXT: u64 = 2;

impl NodeType for Inject {
    type Config = InjectConfig;

    const META: Meta = Meta {
        icon: "inject",
        inputs: 0,
        button: true,
        keywords: &["button", "start", "trigger", "timer", "schedule", "cron", "interval"],
        ..Meta::new("inject", "Inject", Category::Common, Role::In, Kind::Source)
    };

    fn check(config: &InjectConfig) -> Vec<Problem> {
        Inject::compile(config).err().unwrap_or_default()
    }

    fn build(config: InjectConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Inject::compile(&config).map_err(BuildError)
    }
}

impl Inject {
    fn compile(config: &InjectConfig) -> Result<Inject, Vec<Problem>> {
        let legacy = props::Legacy {
            topic: Json::String(config.topic.clone()),
            payload: config.payload.clone(),
            payload_type: config.payload_type.clone(),
        };
        let props = Props::compile(config.props.as_deref(), &legacy);
        let schedule = Schedule::parse(&config.repeat, &config.crontab);
        let once_after_ms = config.once.then(|| (config.once_delay.max(0.0) * 1000.0) as i64);
        match (props, schedule) {
            (Ok(props), Ok(schedule)) => Ok(Inject { props, schedule, once_after_ms, due_ms: 0 }),
            (props, schedule) => Err(props.err().into_iter().flatten().chain(schedule.err()).collect()),
        }
    }

    /// Sets the properties on `message` and sends it.
    fn fire(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let given = match message.get(OVERRIDE) {
            Some(value) => {
                let given = value.as_array().map(Props::from_message);
                message.body_mut().remove(OVERRIDE);
                given
            }
            None => None,
        };
        let result = match given {
            Some(Ok(mut props)) => {
                props.start(ctx);
                props.apply(&mut message, ctx.now_ms())
            }
            Some(Err(text)) => Err(text),
            None => self.props.apply(&mut message, ctx.now_ms()),
        };
        match result {
            Ok(()) => {
                ctx.emit(0, message);
                Ok(())
            }
            Err(text) => Err(NodeError::new(text).on(message)),
        }
    }

    fn fire_new(&mut self, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let message = Message::new(ctx.next_id(), Map::with_capacity(4));
        self.fire(message, ctx)
    }

    fn plan(&mut self, from_ms: i64, ctx: &Ctx<'_>) {
        if let Some(at) = self.schedule.after(from_ms, ctx.now_ms()) {
            self.due_ms = at;
            ctx.set_timer(NEXT, at);
        }
    }
}

impl Node for Inject {
    fn start(&mut self, _state: Option<tidewire_node_api::State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.props.start(ctx);
        match self.once_after_ms {
            Some(delay) => ctx.set_timer(ONCE, ctx.now_ms() + delay),
            None => self.plan(ctx.now_ms(), ctx),
        }
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.fire(message, ctx)
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Trigger(body) => match body.as_object() {
                Some(body) if body.contains_key(OVERRIDE) => {
                    let message = Message::new(ctx.next_id(), body.clone());
                    self.fire(message, ctx)
                }
                _ => self.fire_new(ctx),
            },
            Signal::Timer(ONCE) => {
                self.plan(ctx.now_ms(), ctx);
                self.fire_new(ctx)
            }
            Signal::Timer(NEXT) => {
                self.plan(self.due_ms, ctx);
                self.fire_new(ctx)
            }
            _ => Ok(()),
        }
    }
}

impl props::Legacy {
    /// Payload type of flows from before there was one.
    fn kind(&self) -> &str {
        match &self.payload_type {
            Some(kind) if !kind.is_empty() => kind,
            _ if matches!(&self.payload, Json::Null) || self.payload == Json::String(String::new()) => "date",
            _ => "str",
        }
    }
}

#[cfg(test)]
mod tests;
