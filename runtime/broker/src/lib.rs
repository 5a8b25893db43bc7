//! The embedded MQTT broker: MQTT 3.1.1 and 5 on one port, behind one small interface.
//!
//! It knows nothing of flows, events or users: who may connect is asked of an [`Authenticator`]. The protocol comes from
//! the `mqtt5` library; the listener, the sockets and the thread are ours, so that it neither starves the graph nor is
//! starved by it, writes are coalesced, and what the library adds to messages does not reach subscribers.

mod auth;
mod connection;
mod error;
mod framing;
mod server;
mod settings;
mod stream;

pub use auth::{Anonymous, Authenticator, Login, Verdict};
pub use error::Error;
pub use server::{Broker, Stats};
pub use settings::{BrokerSettings, Limits};
