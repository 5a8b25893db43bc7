//! `global-config` holds environment variables that every flow sees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::Message;
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};

/// Environment variables that every flow sees.
///
/// A node that asks for a variable finds that of its group or flow first, then one from here, then one of the process.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct GlobalConfigConfig {
    /// The variables: a list of `name`, `value` and `type` (str, num, bool, json, env, and so on).
    #[schemars(extend("x-widget" = "json"))]
    env: Vec<Variable>,
    /// Modules of function nodes; kept for Node-RED.
    #[schemars(extend("x-widget" = "json"))]
    modules: serde_json::Map<String, Json>,
}

/// One variable.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Variable {
    name: String,
    value: Json,
    #[serde(rename = "type")]
    kind: String,
}

/// The engine reads the variables from the flow; the node itself has nothing to do.
pub(crate) struct GlobalConfig;

impl NodeType for GlobalConfig {
    type Config = GlobalConfigConfig;

    const META: Meta = Meta {
        icon: "flow",
        inputs: 0,
        outputs: &[],
        keywords: &["environment", "variable", "env", "settings"],
        ..Meta::new("global-config", "Global variables", Category::Config, Role::System, Kind::Config)
    };

    fn build(_config: GlobalConfigConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(GlobalConfig)
    }
}

impl Node for GlobalConfig {
    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.drop_message();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidewire_node_api::bench::Bench;

    #[test]
    fn a_list_as_node_red_writes_it_is_taken() {
        let env = json!([{"name": "SITE", "value": "north", "type": "str"}, {"name": "N", "value": 1, "type": "num"}]);
        let mut bench = Bench::of::<GlobalConfig>(json!({"env": env, "modules": {}})).send(1);
        assert!(bench.take().is_empty());
        assert!(Bench::try_of::<GlobalConfig>(json!({"env": "x"})).is_err());
    }
}
