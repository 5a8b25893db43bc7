//! MQTT as action nodes use it: publish and be told, listen, see whether the broker is there.
//!
//! A narrow view of the MQTT client, so that tests can stand in for a broker.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use tidewire_node_api::Ctx;

/// A message to publish.
pub(crate) struct Post {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    /// At least once, instead of at most once.
    pub(crate) assured: bool,
    pub(crate) retain: bool,
    /// MQTT 5: seconds after which nobody may get it any more.
    pub(crate) expiry_s: Option<u32>,
    /// MQTT 5: id of the command it carries, which a device may send back.
    pub(crate) command: Option<String>,
    /// Told what became of it.
    pub(crate) done: Option<Box<dyn FnOnce(Posted) + Send>>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Posted {
    /// The broker has it. `heard` is false when the broker says that nobody listens on the topic.
    Delivered { heard: bool },
    /// The broker does not take it.
    Refused(String),
    /// It was given up with the connection.
    Dropped,
}

/// A message that came in.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    /// Known state, not news.
    pub(crate) retain: bool,
    /// MQTT 5: correlation data, if it is text.
    pub(crate) command: Option<String>,
}

/// Told of incoming messages.
pub(crate) type Listener = Box<dyn Fn(Heard) + Send + Sync>;

/// See the module.
pub(crate) trait Wire: Send + Sync {
    fn is_connected(&self) -> bool;

    fn post(&self, post: Post);

    /// Listens until the guard is dropped.
    fn listen(&self, filter: &str, listener: Listener) -> Box<dyn Any + Send>;
}

/// The connection of the broker node `id`, if it runs.
pub(crate) fn wire(ctx: &Ctx<'_>, id: &str) -> Option<Arc<dyn Wire>> {
    #[cfg(test)]
    if let Some(test) = ctx.resource::<super::testing::TestWire>(id) {
        return Some(test);
    }
    let _ = (ctx, id);
    None
}

/// A topic that can be published to.
pub(crate) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= 65_535 && !topic.contains(['+', '#', '\0'])
}
