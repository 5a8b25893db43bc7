//! What goes wrong in a node.

use tidewire_model::{Message, Problem, Value};

/// An error of a running node: shown at the node, offered to catch nodes with the message it failed on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct NodeError {
    /// For a person: what happened and how to mend it.
    pub text: String,
    /// Stable word for programs; Node-RED's message key where it has one.
    pub code: Option<&'static str>,
    /// The message the node failed on.
    pub message: Option<Message>,
    /// What else `msg.error` carries for catch nodes, such as `cause` or `stack`.
    pub details: Option<Value>,
}

/// Code of an error that ended work which had run too long: the node gets a rest before the next message.
pub const RUNAWAY: &str = "runaway";

impl NodeError {
    pub fn new(text: impl Into<String>) -> Self {
        NodeError { text: text.into(), code: None, message: None, details: None }
    }

    /// The same error, about this message.
    pub fn on(mut self, message: Message) -> Self {
        self.message = Some(message);
        self
    }

    /// The work on the message ran too long.
    pub fn is_runaway(&self) -> bool {
        self.code == Some(RUNAWAY)
    }

    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}

/// Why a node could not be built: all findings at once.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BuildError(pub Vec<Problem>);

impl BuildError {
    /// One finding at a JSON pointer.
    pub fn at(path: impl Into<String>, text: impl Into<String>) -> Self {
        BuildError(vec![Problem::error(path, text)])
    }
}
