//! `complete` sends on the messages that other nodes are done with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::Message;
use tidewire_model::flow::{Listens, Scope, What};
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};

use super::scope;

/// Sends on the messages that other nodes are done with.
///
/// Useful after nodes without an output: a message comes out when the node has sent, stored or shown it.
/// `msg.complete.source` says which node it was. Switch nodes do not tell when they are done.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct CompleteConfig {
    /// Nodes whose work is followed.
    #[schemars(schema_with = "scope::ids_schema")]
    scope: Json,
}

impl Default for CompleteConfig {
    fn default() -> Self {
        CompleteConfig { scope: Json::Array(Vec::new()) }
    }
}

pub(crate) struct Complete;

impl NodeType for Complete {
    type Config = CompleteConfig;

    const META: Meta = Meta {
        icon: "check",
        inputs: 0,
        keywords: &["done", "finished", "after", "sent"],
        ..Meta::new("complete", "Complete", Category::Common, Role::System, Kind::Pure)
    };

    const CONNECTS: bool = true;

    fn listens(config: &CompleteConfig) -> Option<Listens> {
        // Nothing chosen is nothing, unlike with catch and status.
        let scope = match scope::of(&config.scope) {
            Scope::Nodes(ids) => Scope::Nodes(ids),
            Scope::Flow | Scope::Group => Scope::Nodes(Vec::new()),
        };
        Some(Listens { what: What::Completions, scope, uncaught: false })
    }

    fn build(_config: CompleteConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Complete)
    }
}

impl Node for Complete {
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
    fn what_it_hears_goes_out_as_it_is() {
        let done = Message::with_payload(1, 7);
        let _ = Bench::of::<Complete>(json!({"scope": ["a"]})).receive(done).emits([7]);
    }

    #[test]
    fn it_hears_chosen_nodes_only_and_none_it_is_wired_to() {
        let of = |config: Json| Complete::listens(&serde_json::from_value(config).unwrap()).unwrap().scope;
        assert_eq!(of(json!({})), Scope::Nodes(Vec::new()));
        assert_eq!(of(json!({"scope": null})), Scope::Nodes(Vec::new()));
        let listener = json!({"scope": ["a", "b"], "wires": [["b"]]});
        assert_eq!(scope::heard::<Complete>(What::Completions, listener), ["a"]);
    }
}
