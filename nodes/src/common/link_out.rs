//! `link out` sends messages on to link in nodes, or back to the link call node they are for.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tidewire_model::flow::Link;
use tidewire_model::{Message, NodeId};
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};

use super::{link_source, scope};

/// Sends messages on to link in nodes, on any flow, as if they were wired; or back to the link call node they are for.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LinkOutConfig {
    /// What happens with messages.
    #[schemars(schema_with = "mode_schema")]
    mode: Mode,
    /// Link in nodes to send to. Either end may name the other.
    #[serde(deserialize_with = "scope::ids")]
    #[schemars(
        schema_with = "scope::ids_schema",
        extend("x-node-types" = ["link in"], "x-show-if" = {"mode": "link"})
    )]
    links: Vec<NodeId>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    #[serde(alias = "")]
    Link,
    Return,
}

/// Flow files may hold an empty mode, which the form does not offer.
fn mode_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "const": "link", "description": "Send to the link in nodes below." },
            { "const": "return", "description": "Return to the link call node that the message came from." },
            { "type": "string", "maxLength": 0 }
        ]
    })
}

pub(crate) struct LinkOut {
    mode: Mode,
    /// What Node-RED notes in `msg._event`.
    event: String,
}

impl NodeType for LinkOut {
    type Config = LinkOutConfig;

    const META: Meta = Meta {
        icon: "link",
        outputs: &[],
        keywords: &["link", "jump", "goto", "return", "subroutine"],
        ..Meta::new("link out", "Link out", Category::Common, Role::System, Kind::Pure)
    };

    const CONNECTS: bool = true;

    fn link(config: &LinkOutConfig) -> Option<Link> {
        (config.mode == Mode::Link).then(|| Link::Out(config.links.clone()))
    }

    fn build(config: LinkOutConfig, env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(LinkOut { mode: config.mode, event: format!("node:{}", env.id) })
    }
}

impl Node for LinkOut {
    fn process(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        message.set("_event", self.event.as_str());
        if self.mode == Mode::Link {
            ctx.emit(0, message);
            return Ok(());
        }
        let Some(caller) = link_source::caller(&message) else {
            ctx.warn("Missing return node information");
            ctx.drop_message();
            return Ok(());
        };
        ctx.deliver(&caller, message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use serde_json::json;
    use tidewire_node_api::bench::Bench;

    #[test]
    fn messages_go_on_to_what_is_linked() {
        let config = json!({"mode": "link", "links": ["in"]});
        let link = LinkOut::link(&serde_json::from_value(config.clone()).unwrap());
        assert_eq!(link, Some(Link::Out(vec!["in".into()])));
        let sent = json!({"payload": 1, "_event": "node:bench"});
        let _ = Bench::of::<LinkOut>(config).send_json(json!({"payload": 1})).emits_messages([(0, sent)]);
    }

    #[test]
    fn a_return_goes_to_the_latest_caller() {
        let config = json!({"mode": "return", "links": ["in"]});
        assert_eq!(LinkOut::link(&serde_json::from_value(config.clone()).unwrap()), None);
        let calls = json!([{"id": "01", "node": "outer"}, {"id": "02", "node": "call"}]);
        let bench = Bench::of::<LinkOut>(config).send_json(json!({"payload": 1, "_linkSource": calls}));
        let (to, message) = bench.seen().delivered.remove(0);
        assert_eq!((to, message.payload().as_i64()), ("call".into(), Some(1)));
    }

    #[test]
    fn a_return_without_a_call_is_a_warning() {
        let bench = Bench::of::<LinkOut>(json!({"mode": "return"})).send(1);
        let seen = bench.seen();
        assert!(seen.delivered.is_empty());
        assert_eq!(seen.logs[0].1, "Missing return node information");
    }
}
