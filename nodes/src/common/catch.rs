//! `catch` sends on the messages that other nodes failed on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::Message;
use tidewire_model::flow::{Listens, What};
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, lenient};

use super::scope;

/// Sends on the messages that other nodes failed on.
///
/// A node that cannot deal with a message reports an error. Each catch node of the same flow that covers the node gets
/// the message, with `msg.error` telling what went wrong (`message`) and where (`source`). An error that nobody catches
/// is shown at the node and kept with the dead letters.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct CatchConfig {
    /// Nodes whose errors are caught.
    #[schemars(schema_with = "scope::schema")]
    scope: Json,
    /// Only errors that no other catch node takes.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    uncaught: bool,
}

pub(crate) struct Catch;

impl NodeType for Catch {
    type Config = CatchConfig;

    const META: Meta = Meta {
        icon: "warn",
        inputs: 0,
        keywords: &["error", "exception", "failure", "dead letter"],
        ..Meta::new("catch", "Catch", Category::Common, Role::System, Kind::Pure)
    };

    const CONNECTS: bool = true;

    fn listens(config: &CatchConfig) -> Option<Listens> {
        Some(Listens { what: What::Errors, scope: scope::of(&config.scope), uncaught: config.uncaught })
    }

    fn build(_config: CatchConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Catch)
    }
}

impl Node for Catch {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.emit(0, message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidewire_model::flow::Scope;
    use tidewire_node_api::bench::Bench;

    #[test]
    fn what_it_hears_goes_out_as_it_is() {
        let failed = Message::with_payload(1, 7);
        let _ = Bench::of::<Catch>(json!({"scope": null})).receive(failed).emits([7]);
    }

    #[test]
    fn it_says_whom_it_covers() {
        let config = CatchConfig { scope: json!(["a"]), uncaught: true };
        let listens = Listens { what: What::Errors, scope: Scope::Nodes(vec!["a".into()]), uncaught: true };
        assert_eq!(Catch::listens(&config), Some(listens));
        assert_eq!(Catch::listens(&CatchConfig::default()).map(|listens| listens.scope), Some(Scope::Flow));
    }
}
