//! What the engine offers to a node: implemented by the engine, and by the test bench.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::{Message, NodeId, Value};

use crate::broker::LocalBroker;
use crate::context::Context;
use crate::delivery::Batch;
use crate::error::NodeError;
use crate::handles::{Http, Log, Projections};
use crate::node::Signal;
use crate::status::Status;
use crate::token::Token;

/// Who a node is.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    pub id: NodeId,
    pub type_name: CompactString,
    /// The name the user gave, possibly empty.
    pub name: CompactString,
    /// Id of its flow, or of its subflow instance; `global` for nodes that stand on none.
    pub flow: NodeId,
    /// Id in the subflow's definition, for a node within an instance.
    pub alias: Option<NodeId>,
}

/// Level of a node's log line, with Node-RED's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Error = 20,
    Warn = 30,
    Info = 40,
    Debug = 50,
    Trace = 60,
}

/// One line for the debug panel.
#[derive(Debug, Clone)]
pub struct DebugEntry {
    pub topic: Value,
    /// Path of the value within the message (`payload`); empty for the whole message.
    pub property: String,
    pub value: Value,
    /// `_msgid` of the message it came with.
    pub msgid: Value,
}

/// The node's own way into its inbox, for connections and background work. Messages fed here reach
/// [`crate::Node::receive`], in order.
pub trait Feed: Send + Sync {
    /// Takes deliveries from the front as far as there is room, and returns how many it took.
    fn feed(&self, deliveries: &mut Batch) -> usize;

    /// Free places in the inbox.
    fn room(&self) -> usize;

    /// Resolves when the inbox has room again.
    fn wait_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Sends a signal, ahead of messages. Never refused: use it for what is rare.
    fn signal(&self, signal: Signal);
}

/// A node's records, from elsewhere than its own task: for what ends when somebody else is done with it.
pub trait Keep: Send + Sync {
    /// See [`crate::Ctx::keep`].
    fn keep(&self, key: &str, value: Option<Bytes>, token: Option<Token>);
}

/// Handles to the world. In a replay the engine puts recorders here.
#[derive(Clone)]
pub struct Services {
    pub log: Arc<dyn Log>,
    pub projections: Arc<dyn Projections>,
    pub http: Arc<dyn Http>,
    /// The MQTT broker of this process, if it has one.
    pub broker: Option<Arc<dyn LocalBroker>>,
}

/// The engine as one node sees it.
pub trait Host: Send + Sync {
    fn facts(&self) -> &NodeFacts;

    /// Milliseconds since 1970, from the injected clock.
    fn now_ms(&self) -> i64;

    /// A number never given before in this process; the base of `_msgid`.
    fn next_id(&self) -> u64;

    /// A random number, from the injected source.
    fn random(&self) -> u64;

    fn status(&self, status: Status);

    /// Offers an error to the catch nodes that cover the node, and shows it where none takes it. The branch goes on
    /// there, or has failed.
    fn report(&self, error: NodeError, token: Option<Token>);

    /// The engine wants to know which message is worked on: complete nodes cover this node, or it has crashed before.
    fn wants_message(&self) -> bool {
        false
    }

    /// Tells the complete nodes that the work on a message has ended.
    fn completed(&self, message: Message) {
        let _ = message;
    }

    /// See [`crate::Ctx::deliver`].
    ///
    /// # Errors
    /// No such node, or no room there; the token has ended as failed.
    fn deliver(&self, to: &NodeId, message: Message, token: Option<Token>) -> Result<(), NodeError>;

    /// See [`crate::Ctx::find_entry`].
    ///
    /// # Errors
    /// None or several, as text.
    fn find_entry(&self, id_or_name: &str) -> Result<NodeId, String>;

    fn context(&self) -> Arc<dyn Context>;

    /// See [`crate::Ctx::keep`].
    fn keep(&self, key: &str, value: Option<Bytes>, token: Option<Token>);

    /// See [`crate::Ctx::keeper`].
    fn keeper(&self) -> Arc<dyn Keep>;

    /// See [`crate::Ctx::kept`].
    fn kept(&self) -> Vec<(CompactString, Bytes)>;

    /// See [`crate::Ctx::setting`].
    fn setting(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    fn log(&self, level: Level, text: String);

    fn debug(&self, entry: DebugEntry);

    /// Sends [`Signal::Timer`] with `key` at `at_ms`; a timer with the same key is replaced.
    fn set_timer(&self, key: u64, at_ms: i64);

    fn cancel_timer(&self, key: u64);

    fn feed(&self) -> Arc<dyn Feed>;

    /// What the config node `id` offers.
    fn resource(&self, id: &str) -> Option<Arc<dyn Any + Send + Sync>>;

    /// Value of an environment variable as the node sees it.
    fn env(&self, name: &str) -> Option<Value>;

    /// A stored secret of this node, such as `password`.
    fn credential(&self, key: &str) -> Option<String>;

    /// Number of the flow revision in force.
    fn revision(&self) -> u64;

    fn services(&self) -> &Services;

    /// The handles only take down what is to be done: nothing acts.
    fn only_records(&self) -> bool {
        false
    }
}
