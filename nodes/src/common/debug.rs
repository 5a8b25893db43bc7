//! `debug` shows messages: in the debug panel, in the log, or under itself.

mod status;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::value::Path;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, DebugEntry, Kind, Level, Meta, Node, NodeError, NodeType, Role, Signal, State,
    lenient,
};

use crate::shared::typed_input::{comes_later, config_text, message_path};
use status::{StatusLine, StatusSource};

/// Shows messages in the debug panel, in the log, or under itself.
///
/// It shows one property of each message (`payload` by default) or the whole message. Its button switches the debug
/// panel output on and off; the log and the status below the node are not affected by it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct DebugConfig {
    /// Show messages in the debug panel.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    active: bool,
    /// Send to the debug panel at all.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    tosidebar: bool,
    /// Also write to the log.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    console: bool,
    /// Also show a short form under the node.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    tostatus: bool,
    /// What to show: a property of the message, `true` for the whole message, `false` for its payload.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "targetType", "x-types" = ["msg", "full"]))]
    complete: Json,
    /// `msg` for a property, `full` for the whole message.
    target_type: Option<String>,
    /// Property shown under the node, with the status type `msg`.
    #[schemars(extend("x-widget" = "msg-path"))]
    status_val: String,
    /// What stands under the node: `auto` (the value shown), `counter` (how many messages), `msg` (a property).
    status_type: String,
}

impl Default for DebugConfig {
    fn default() -> Self {
        DebugConfig {
            active: true,
            tosidebar: true,
            console: false,
            tostatus: false,
            complete: Json::String("false".to_owned()),
            target_type: None,
            status_val: String::new(),
            status_type: "auto".to_owned(),
        }
    }
}

pub(crate) struct Debug {
    active: bool,
    to_panel: bool,
    to_log: bool,
    status: Option<StatusLine>,
    /// None: the whole message.
    path: Option<Path>,
    property: String,
}

impl NodeType for Debug {
    type Config = DebugConfig;

    const META: Meta = Meta {
        icon: "debug",
        outputs: &[],
        button: true,
        keywords: &["show", "print", "log", "inspect", "watch"],
        ..Meta::new("debug", "Debug", Category::Common, Role::Out, Kind::Pure)
    };

    fn check(config: &DebugConfig) -> Vec<Problem> {
        Debug::compile(config).err().unwrap_or_default()
    }

    fn build(config: DebugConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Debug::compile(&config).map_err(BuildError)
    }
}

impl Debug {
    fn compile(config: &DebugConfig) -> Result<Debug, Vec<Problem>> {
        let mut problems: Vec<Problem> = Vec::new();
        let complete = config_text(&config.complete).into_owned();
        let property = match (config.target_type.as_deref(), complete.as_str()) {
            (Some("jsonata"), _) => {
                problems.push(comes_later("jsonata", "/complete"));
                None
            }
            (Some("full"), _) | (_, "true") => None,
            (_, "false" | "") => Some("payload".to_owned()),
            (_, path) => Some(path.strip_prefix("msg.").unwrap_or(path).to_owned()),
        };
        let path = property
            .as_deref()
            .and_then(|text| message_path(text, "/complete").map_err(|problem| problems.push(problem)).ok());
        let status = config.tostatus.then(|| match config.status_type.as_str() {
            "counter" => Ok(StatusSource::Counter),
            "msg" => message_path(&config.status_val, "/statusVal").map(StatusSource::Property),
            "jsonata" => Err(comes_later("jsonata", "/statusVal")),
            _ => Ok(StatusSource::Shown),
        });
        let status = match status.transpose() {
            Ok(source) => source.map(StatusLine::new),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Debug {
            active: config.active,
            to_panel: config.tosidebar,
            to_log: config.console,
            status,
            path,
            property: property.unwrap_or_default(),
        })
    }

    fn shown(&self, message: &Message) -> Value {
        match &self.path {
            None => message.to_value(),
            Some(path) => message.get_path(path).cloned().unwrap_or_default(),
        }
    }
}

impl Node for Debug {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Some(status) = &mut self.status {
            status.start(ctx);
        }
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if is_own_status(&message, ctx) {
            ctx.drop_message();
            return Ok(());
        }
        let to_panel = self.active && self.to_panel;
        if !to_panel && !self.to_log && self.status.is_none() {
            return Ok(());
        }
        let value = self.shown(&message);
        if let Some(status) = &mut self.status {
            status.message(&message, &value, ctx);
        }
        if self.to_log {
            ctx.log(Level::Info, log_text(&value));
        }
        if to_panel {
            ctx.debug(DebugEntry {
                topic: message.get("topic").cloned().unwrap_or_default(),
                property: self.property.clone(),
                value,
                msgid: message.msgid().clone(),
            });
        }
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Enable(on) => self.active = on,
            Signal::Trigger(_) => self.active = !self.active,
            Signal::Timer(_) => {
                if let Some(status) = &mut self.status {
                    status.flush(ctx);
                }
            }
            Signal::Own(_) => {}
        }
        Ok(())
    }
}

/// A status node may feed this node with its own status, which would never end.
fn is_own_status(message: &Message, ctx: &Ctx<'_>) -> bool {
    let Some(status) = message.get("status") else { return false };
    let source = status.get("source").and_then(|source| source.get("id")).and_then(Value::as_str);
    source == Some(ctx.facts().id.as_str())
}

fn log_text(value: &Value) -> String {
    match value.resolved() {
        Value::String(text) if text.contains('\n') => format!("\n{text}"),
        Value::Object(_) | Value::Array(_) => format!("\n{}", value.to_json()),
        Value::Undefined => "undefined".to_owned(),
        Value::Null => "null".to_owned(),
        other => other.to_text().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use serde_json::json;
    use tidewire_node_api::bench::Bench;

    #[test]
    fn it_shows_the_payload_a_property_or_everything() {
        let show = |config| {
            let bench = Bench::of::<Debug>(config).send_json(json!({"topic": "t", "payload": {"a": 1}}));
            let entry = bench.seen().debug.remove(0);
            (entry.property, entry.value.to_json())
        };
        assert_eq!(show(json!({})), ("payload".to_owned(), r#"{"a":1}"#.to_owned()));
        assert_eq!(
            show(json!({"complete": "payload.a", "targetType": "msg"})),
            ("payload.a".to_owned(), "1".to_owned())
        );
        let (property, value) = show(json!({"complete": "true", "targetType": "full"}));
        assert_eq!((property.as_str(), value.contains("\"_msgid\":")), ("", true));
    }

    #[test]
    fn the_switch_mutes_the_panel_but_not_the_log() {
        let bench = Bench::of::<Debug>(json!({"console": "true"})).signal(Signal::Enable(false)).send("a\nb");
        let seen = bench.seen();
        assert!(seen.debug.is_empty());
        assert_eq!(seen.logs, [(Level::Info, "\na\nb".to_owned())]);
        let bench = bench.signal(Signal::Enable(true)).send(1);
        assert_eq!(bench.seen().debug.len(), 1);
    }

    #[test]
    fn the_status_is_short_and_sent_only_when_it_changes() {
        let bench = Bench::of::<Debug>(json!({"tostatus": true, "active": false}));
        let bench = bench.send("x".repeat(40)).send("x".repeat(40)).send(5);
        let texts: Vec<String> = bench.seen().statuses.into_iter().map(|status| status.text).collect();
        assert_eq!(texts, [format!("{}...", "x".repeat(32)), "5".to_owned()]);
        let bench = bench.send(Value::from(json!({"fill": "red", "shape": "dot", "text": "hot"})));
        assert_eq!(bench.seen().statuses[0].fill, Some(tidewire_node_api::Fill::Red));
    }

    #[test]
    fn the_counter_is_held_back_while_messages_pour_in() {
        let counts = |bench: &Bench| bench.seen().statuses.into_iter().map(|s| s.text).collect::<Vec<_>>();
        let bench = Bench::of::<Debug>(json!({"tostatus": true, "statusType": "counter"})).send(1).send(1).send(1);
        assert_eq!(counts(&bench), ["0", "1"]);
        assert_eq!(counts(&bench.after_ms(100)), ["3"]);
    }

    #[test]
    fn its_own_status_is_not_shown() {
        let bench = Bench::of::<Debug>(json!({})).send_json(json!({"status": {"source": {"id": "bench"}}}));
        assert!(bench.seen().debug.is_empty());
    }

    #[test]
    fn expressions_are_refused_in_words() {
        let text = Bench::try_of::<Debug>(json!({"complete": "$x", "targetType": "jsonata"})).err().unwrap();
        assert!(text.contains("not supported yet"), "{text}");
    }
}
