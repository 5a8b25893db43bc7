//! `status` sends a message whenever the status of another node changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::Message;
use tidewire_model::flow::{Listens, What};
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};

use super::scope;

/// Sends a message whenever the status of another node changes.
///
/// `msg.status` holds its `text`, `fill` and `shape`, and `source` says which node it is.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StatusConfig {
    /// Nodes whose status is followed.
    #[schemars(schema_with = "scope::schema")]
    scope: Json,
}

pub(crate) struct Status;

impl NodeType for Status {
    type Config = StatusConfig;

    const META: Meta = Meta {
        icon: "info",
        inputs: 0,
        keywords: &["state", "connected", "watch", "monitor"],
        ..Meta::new("status", "Status", Category::Common, Role::System, Kind::Pure)
    };

    const CONNECTS: bool = true;

    fn listens(config: &StatusConfig) -> Option<Listens> {
        Some(Listens { what: What::Statuses, scope: scope::of(&config.scope), uncaught: false })
    }

    fn build(_config: StatusConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Status)
    }
}

impl Node for Status {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.emit(0, message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidewire_node_api::bench::Bench;

    #[test]
    fn what_it_hears_goes_out_as_it_is() {
        let told = Message::with_payload(1, "connected");
        let _ = Bench::of::<Status>(json!({"scope": ["a"]})).receive(told).emits(["connected"]);
    }

    #[test]
    fn a_node_it_is_wired_to_is_left_out() {
        let listener = json!({"scope": ["a", "b"], "wires": [["b"]]});
        assert_eq!(scope::heard::<Status>(What::Statuses, listener), ["a"]);
    }
}
