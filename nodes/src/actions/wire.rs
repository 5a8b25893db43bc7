//! MQTT as action nodes use it: publish and be told, listen, see whether the broker is there.
//!
//! A narrow view of the MQTT client, so that tests can stand in for a broker. Whoever holds a [`Line`] is told of changes
//! of the connection by signals of its own, which it may take as a reason to look again.

mod broker;

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

/// The way to a broker node, as it is now: a deploy may put another connection in its place.
#[derive(Default)]
pub(crate) struct Line {
    source: Option<Arc<dyn Any + Send + Sync>>,
    wire: Option<Arc<dyn Wire>>,
}

impl Line {
    /// Takes the connection of the broker node `id`. Says whether it is another one than before.
    pub(crate) fn refresh(&mut self, id: &str, ctx: &Ctx<'_>) -> bool {
        let source = ctx.host().resource(id);
        let same = match (&source, &self.source) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (None, None) => true,
            _ => false,
        };
        if same {
            return false;
        }
        self.wire = source.clone().and_then(|source| {
            #[cfg(test)]
            let source = match source.downcast::<super::testing::TestWire>() {
                Ok(test) => return Some(test as Arc<dyn Wire>),
                Err(source) => source,
            };
            broker::wire(source, ctx.feed())
        });
        self.source = source;
        true
    }

    pub(crate) fn wire(&self) -> Option<&Arc<dyn Wire>> {
        self.wire.as_ref()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.is_connected())
    }

    /// Lets go of the connection.
    pub(crate) fn drop_wire(&mut self) {
        *self = Line::default();
    }
}

/// A topic that can be published to.
pub(crate) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= 65_535 && !topic.contains(['+', '#', '\0'])
}
