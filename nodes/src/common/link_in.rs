//! `link in` is where messages of link nodes come in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::flow::Link;
use tidewire_model::{Message, NodeId};
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};

use super::scope;

/// Where messages come in that link out and link call nodes send, from any flow.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LinkInConfig {
    /// Link out nodes that send to it. Either end may name the other.
    #[serde(deserialize_with = "scope::ids")]
    #[schemars(schema_with = "scope::ids_schema", extend("x-node-types" = ["link out"]))]
    links: Vec<NodeId>,
}

pub(crate) struct LinkIn;

impl NodeType for LinkIn {
    type Config = LinkInConfig;

    const META: Meta = Meta {
        icon: "link",
        inputs: 0,
        keywords: &["link", "jump", "label", "entry", "subroutine"],
        ..Meta::new("link in", "Link in", Category::Common, Role::System, Kind::Pure)
    };

    const CONNECTS: bool = true;

    fn link(config: &LinkInConfig) -> Option<Link> {
        Some(Link::In(config.links.clone()))
    }

    fn build(_config: LinkInConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(LinkIn)
    }
}

impl Node for LinkIn {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.emit(0, message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;
    use tidewire_node_api::bench::Bench;

    #[test]
    fn messages_of_links_and_of_calls_come_out_as_they_are() {
        let call = Message::with_payload(1, 2);
        let _ = Bench::of::<LinkIn>(json!({"links": ["out"]})).send(1).receive(call).emits([1, 2]);
    }

    #[test]
    fn it_names_the_ends_that_send_to_it() {
        let link = |config| LinkIn::link(&serde_json::from_value(config).unwrap());
        assert_eq!(link(json!({"links": ["out"]})), Some(Link::In(vec!["out".into()])));
        assert_eq!(link(json!({})), Some(Link::In(Vec::new())));
    }
}
