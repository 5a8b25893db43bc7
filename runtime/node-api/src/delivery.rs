//! What the engine hands to nodes and takes from them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use tidewire_model::Message;

use crate::error::NodeError;
use crate::token::{Outcome, Token};

/// How a delivery came into the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Over a wire, or from a person or program that sends to the node.
    Wire,
    /// From the node's own connection to the world.
    Source,
}

/// A message on its way into a node, with the token of its source.
#[derive(Debug)]
pub struct Delivery {
    pub message: Message,
    pub token: Option<Token>,
    pub origin: Origin,
    /// Number of the wire it came over, for the engine; 0 for none.
    pub wire: u32,
}

impl Delivery {
    /// A delivery over a wire.
    pub fn new(message: Message, token: Option<Token>) -> Self {
        Delivery { message, token, origin: Origin::Wire, wire: 0 }
    }

    /// A delivery from the node's own source.
    pub fn from_source(message: Message, token: Option<Token>) -> Self {
        Delivery { message, token, origin: Origin::Source, wire: 0 }
    }
}

/// Deliveries of one activation, oldest first.
pub type Batch = VecDeque<Delivery>;

/// What asynchronous work of a node ends in.
#[derive(Debug)]
pub enum Emission {
    /// Send this message on.
    Emit { port: usize, message: Message, token: Option<Token> },
    /// This branch ends here, well or dropped on purpose.
    End { token: Option<Token>, outcome: Outcome },
    /// Not now: the message comes again after a pause, before all that came after it. The node is given nothing else
    /// meanwhile, so what is behind it waits too.
    Retry { message: Message, token: Option<Token> },
    /// Report this; the branch failed.
    Error { error: NodeError, token: Option<Token> },
    /// Work on a message that was put off with [`crate::Ctx::defer`] ends; see [`crate::Ctx::finish`].
    Finish { deferred: Deferred, outcome: Outcome },
}

/// A message whose work outlasts the call that brought it: what is needed to end it well.
#[derive(Debug, Default)]
pub struct Deferred {
    /// Its branch. Whoever takes it out ends it.
    pub token: Option<Token>,
    /// The message, if a complete node wants to hear of its end.
    pub completion: Option<Message>,
}

/// Asynchronous work of a node. It owns the tokens of the messages it works on.
pub type Work = Pin<Box<dyn Future<Output = Vec<Emission>> + Send>>;

/// Messages a node wants to send, per output port.
#[derive(Debug, Default)]
pub struct Outputs {
    ports: Vec<Vec<Delivery>>,
    pending: usize,
}

impl Outputs {
    /// Adds a message for a port. Ports that a node uses come into being.
    pub fn push(&mut self, port: usize, message: Message, token: Option<Token>) {
        if self.ports.len() <= port {
            self.ports.resize_with(port + 1, Vec::new);
        }
        if let Some(queue) = self.ports.get_mut(port) {
            queue.push(Delivery::new(message, token));
            self.pending += 1;
        }
    }

    /// Number of messages not yet taken.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// The queues, port by port; whoever empties them says so with [`Outputs::emptied`].
    pub fn ports_mut(&mut self) -> &mut [Vec<Delivery>] {
        &mut self.ports
    }

    /// All queues have been emptied.
    pub fn emptied(&mut self) {
        self.pending = 0;
    }
}
