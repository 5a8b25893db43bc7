//! `junction` joins and splits wires.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::Message;
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};

/// A point where wires meet.
///
/// Every message that comes in goes out as it is.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct JunctionConfig {}

pub(crate) struct Junction;

impl NodeType for Junction {
    type Config = JunctionConfig;

    const META: Meta = Meta {
        icon: "junction",
        keywords: &["wire", "join", "split"],
        ..Meta::new("junction", "Junction", Category::Common, Role::System, Kind::Pure)
    };

    fn build(_config: JunctionConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Junction)
    }
}

impl Node for Junction {
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
    fn messages_pass_as_they_are() {
        let _ = Bench::of::<Junction>(json!({}))
            .send_json(json!({"topic": "a", "payload": 1}))
            .emits_messages([(0, json!({"topic": "a", "payload": 1}))]);
    }
}
