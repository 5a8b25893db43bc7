//! Configuration of the actuator node, and what a message becomes under it.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{Ctx, NodeError, lenient};

use crate::shared::template::Template;
use crate::shared::typed_input::{Operand, config_text};

/// Gives a command to a device over MQTT, and makes sure that it was carried out.
///
/// Each message becomes one command with an id of its own. Its life is recorded in the event log: requested, sent,
/// delivered (the broker has it), and then confirmed, failed or expired. A command is confirmed when the device says so
/// on the confirmation topic; without an answer in time it is sent again. After its time to live it is never sent: a
/// valve that was to be opened an hour ago stays shut. Commands survive a restart, and a replay never gives one.
///
/// The first output gives messages whose command was confirmed, the second those whose command failed or expired, both
/// with the evidence in `msg.command`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ActuatorConfig {
    /// Connection to the broker that the device is on.
    #[schemars(extend("x-widget" = "config-node", "x-config-type" = "mqtt-broker"))]
    pub(crate) broker: String,
    /// Topic on which the device takes commands. `{{topic}}` and `{{payload.x}}` insert what the message holds.
    #[schemars(extend("x-widget" = "topic"))]
    pub(crate) topic: String,
    /// What is sent. As a template, `{{command}}` inserts the id of the command, for devices that send it back.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "payloadType",
        "x-types" = ["template", "msg", "str", "num", "bool", "json", "bin", "env"]))]
    pub(crate) payload: Json,
    /// Kind of the value above.
    pub(crate) payload_type: String,
    /// Topic on which the device answers; empty when it does not, which makes "the broker has it" the only evidence.
    #[schemars(extend("x-widget" = "topic"))]
    pub(crate) confirm_topic: String,
    /// Answer that confirms the command; empty means what was sent. An object confirms when all its keys are in the
    /// answer with the same values. An answer that holds the command's id as `command` confirms it in any case.
    #[schemars(extend("x-widget" = "text"))]
    pub(crate) confirm_payload: String,
    /// Seconds to wait for the answer.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration"))]
    pub(crate) timeout: f64,
    /// How often it is sent again when no answer comes.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    pub(crate) retries: f64,
    /// Seconds after which the command must not be sent any more.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration"))]
    pub(crate) ttl: f64,
    /// Thing whose commands from dashboards and from the HTTP API are carried out here; empty for none.
    #[schemars(extend("x-widget" = "text"))]
    pub(crate) thing: String,
    /// Property or action of that thing; empty for all.
    #[schemars(extend("x-widget" = "text"))]
    pub(crate) property: String,
}

impl Default for ActuatorConfig {
    fn default() -> Self {
        ActuatorConfig {
            broker: String::new(),
            topic: String::new(),
            payload: Json::String("{{payload}}".to_owned()),
            payload_type: "template".to_owned(),
            confirm_topic: String::new(),
            confirm_payload: String::new(),
            timeout: 10.0,
            retries: 2.0,
            ttl: 60.0,
            thing: String::new(),
            property: String::new(),
        }
    }
}

impl ActuatorConfig {
    /// Rules that the schema cannot say.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut need = |bad: bool, path: &str, text: &str| {
            if bad {
                problems.push(Problem::error(path, text));
            }
        };
        need(self.broker.is_empty(), "/broker", "choose the broker that the device is on");
        need(self.topic.trim().is_empty(), "/topic", "enter the topic on which the device takes commands");
        need(self.topic.contains(['+', '#']), "/topic", "a command goes to one topic; + and # are for listening");
        need(
            self.confirm_topic.contains(['+', '#']),
            "/confirmTopic",
            "enter the one topic on which the device answers",
        );
        need(self.timeout <= 0.0, "/timeout", "the time to wait must be more than 0 seconds");
        need(self.ttl <= 0.0, "/ttl", "the time to live must be more than 0 seconds");
        need(!(0.0..=100.0).contains(&self.retries), "/retries", "use a number from 0 to 100");
        problems
    }
}

/// What makes commands out of messages.
pub(super) struct Texts {
    topic: Template,
    payload: Payload,
    confirm_topic: Template,
    confirm_payload: Template,
}

enum Payload {
    Template(Template),
    Typed(Operand),
}

/// A command as a message asks for it.
pub(super) struct Rendered {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) confirm_topic: String,
    pub(super) confirm_payload: String,
}

impl Texts {
    pub(super) fn compile(config: &ActuatorConfig) -> Result<Texts, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut note = |problem: Problem| problems.push(problem);
        let topic = Template::parse(config.topic.trim(), "/topic").map_err(&mut note).ok();
        let confirm_topic = Template::parse(config.confirm_topic.trim(), "/confirmTopic").map_err(&mut note).ok();
        let confirm_payload = Template::parse(&config.confirm_payload, "/confirmPayload").map_err(&mut note).ok();
        let payload = match config.payload_type.as_str() {
            "template" | "" => Template::parse(&config_text(&config.payload), "/payload").map(Payload::Template),
            kind => Operand::compile(&config.payload, kind, "/payload").map(Payload::Typed),
        };
        match (topic, payload.map_err(&mut note).ok(), confirm_topic, confirm_payload) {
            (Some(topic), Some(payload), Some(confirm_topic), Some(confirm_payload)) => {
                Ok(Texts { topic, payload, confirm_topic, confirm_payload })
            }
            _ => Err(problems),
        }
    }

    pub(super) fn start(&mut self, ctx: &Ctx<'_>) {
        if let Payload::Typed(operand) = &mut self.payload {
            operand.start(ctx);
        }
    }

    /// The answer topic, when it is the same for all commands.
    pub(super) fn constant_confirm_topic(&self) -> Option<&str> {
        self.confirm_topic.constant().filter(|topic| !topic.is_empty())
    }

    /// Renders; `command` is the id, once it is known.
    pub(super) fn render(&self, message: &Message, command: &str, now_ms: i64) -> Result<Rendered, NodeError> {
        let lookup = |key: &str| match key {
            "command" => Some(Value::string(command)),
            key => message.get(key).cloned(),
        };
        let payload = match &self.payload {
            Payload::Template(template) => Bytes::from(template.render_with(&lookup)?),
            Payload::Typed(operand) => match operand.value(message, now_ms).resolved() {
                Value::Bytes(bytes) => bytes.clone(),
                value => Bytes::from(value.to_text().into_owned()),
            },
        };
        let confirm_payload = match self.confirm_payload.constant() {
            Some("") => String::from_utf8_lossy(&payload).into_owned(),
            _ => self.confirm_payload.render_with(&lookup)?,
        };
        Ok(Rendered {
            topic: self.topic.render_with(&lookup)?,
            payload,
            confirm_topic: self.confirm_topic.render_with(&lookup)?,
            confirm_payload,
        })
    }
}
