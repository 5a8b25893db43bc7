//! What stands in for a node that cannot run: it takes messages and ends them, so that nothing upstream stops.

use tidewire_model::Message;
use tidewire_node_api::{Ctx, Node, NodeError, Signal};

/// A node of a type that is not known here: its properties are kept in the document, its messages end here.
pub struct Inert;

impl Node for Inert {
    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.drop_message();
        Ok(())
    }
}

/// A node whose configuration does not allow building it. Its messages count as failed: a source that wants an
/// acknowledgement does not get one.
pub struct Broken {
    /// Why it was not built.
    pub text: String,
}

impl Node for Broken {
    fn process(&mut self, message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        Err(NodeError::new(format!("the node is not running: {}", self.text)).on(message))
    }

    fn signal(&mut self, _signal: Signal, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        Err(NodeError::new(format!("the node is not running: {}", self.text)))
    }
}
