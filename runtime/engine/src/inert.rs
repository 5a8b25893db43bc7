//! Nodes that no list of node types has: what stands in for a node that cannot run, and the ends of subflow instances.

use std::sync::{Arc, Weak};

use tidewire_model::{Message, NodeId, Value};
use tidewire_node_api::{Ctx, Node, NodeError, Signal, Status};

use crate::host::show_status;
use crate::shared::Shared;

/// The entry of a subflow's instance: passes on what it gets. Complete nodes do not hear of it.
pub struct Instance;

impl Node for Instance {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.never_completes();
        ctx.emit(0, message);
        Ok(())
    }
}

/// The status output of a subflow: what arrives becomes the status of the instance.
pub struct InstanceStatus {
    shared: Weak<Shared>,
    instance: NodeId,
}

/// Characters of a status made from a value that is no text.
const STATUS_CHARS: usize = 32;

impl InstanceStatus {
    pub fn new(shared: &Arc<Shared>, instance: NodeId) -> Self {
        InstanceStatus { shared: Arc::downgrade(shared), instance }
    }
}

impl Node for InstanceStatus {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.never_completes();
        let Some(shared) = self.shared.upgrade() else { return Ok(()) };
        if let Some(slot) = shared.slot(self.instance.as_str()) {
            show_status(&shared, &slot, status_of(&message));
        }
        Ok(())
    }
}

/// A status as Node-RED reads it from a message: text, an object with text, fill or shape, or else `msg.status`.
fn status_of(message: &Message) -> Status {
    let value = match message.get("payload") {
        None | Some(Value::Undefined) => message.get("status").cloned().unwrap_or_default(),
        Some(payload) => payload.clone(),
    };
    match value.as_object() {
        Some(map) if map.is_empty() || ["text", "fill", "shape"].iter().any(|key| map.get(key).is_some()) => {
            serde_json::from_value(tidewire_model::value::to_json_value(&value)).unwrap_or_default()
        }
        None if value.is_undefined() => Status::default(),
        _ => Status::text(match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_json().chars().take(STATUS_CHARS).collect(),
        }),
    }
}

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
    /// The user wants its messages dropped.
    pub drops: bool,
}

impl Node for Broken {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if self.drops {
            ctx.drop_message();
            return Ok(());
        }
        Err(NodeError::new(format!("the node is not running: {}", self.text)).on(message))
    }

    fn signal(&mut self, _signal: Signal, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        Err(NodeError::new(format!("the node is not running: {}", self.text)))
    }
}
