//! `comment` is a note on the canvas; it does nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::Message;
use tidewire_node_api::{BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};

/// A note on the canvas.
///
/// Its name is the headline; the text below is shown in the info panel. It has no behaviour.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct CommentConfig {
    /// The note, in Markdown.
    #[schemars(extend("x-widget" = "markdown"))]
    info: String,
}

pub(crate) struct Comment;

impl NodeType for Comment {
    type Config = CommentConfig;

    const META: Meta = Meta {
        icon: "comment",
        inputs: 0,
        outputs: &[],
        keywords: &["note", "text", "documentation"],
        ..Meta::new("comment", "Comment", Category::Common, Role::System, Kind::Pure)
    };

    fn build(_config: CommentConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Comment)
    }
}

impl Node for Comment {
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
    fn a_message_sent_to_it_ends_there() {
        let mut bench = Bench::of::<Comment>(json!({"info": "why"})).send(1);
        assert!(bench.take().is_empty());
    }
}
