//! The MQTT client under the MQTT nodes: one thread and one connection per broker, shared by all nodes that name it.
//!
//! Messages cross the thread's boundary in batches, in both directions. Incoming messages of QoS 1 and 2 are acknowledged
//! only when whoever took them says so, in the order in which they came; outgoing ones are kept until the broker has
//! acknowledged them, over reconnects and lost sessions. There are no node types here and nothing of flows: this is the
//! only place that names the MQTT library.

mod acks;
mod backoff;
mod connection;
mod core;
mod driver;
mod instant;
mod intake;
mod ledger;
mod link;
mod local;
mod matching;
mod message;
mod outbox;
mod registry;
mod settings;
mod shared;
mod stream;
mod tls;
mod v4;
mod v5;

#[cfg(test)]
pub(super) mod tests;

pub use acks::{Ack, AckOutcome};
pub use connection::{Connection, ConnectionState, PublishFull, SubscriptionGuard, Surroundings};
pub use matching::{is_valid_filter, is_valid_topic};
pub use message::{Incoming, Outgoing, Properties, PublishOutcome, Qos};
pub use registry::{RetainHandling, Subscriber, Subscription};
pub use settings::{ConnectionSettings, Error, OnFailed, Protocol, Will};
pub use tls::{TlsFiles, tls_config};
