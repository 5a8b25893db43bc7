//! The embedded MQTT broker: MQTT 3.1.1 and 5 on one port, behind one small interface.
//!
//! It knows nothing of flows, events or users: who may connect is asked of an [`Authenticator`]. It runs on a thread of
//! its own, so that it neither starves the graph nor is starved by it. Nodes of the same process reach it without a
//! socket (see [`Broker::local`]), and what a device sends at QoS 1 or 2 is acknowledged only when they are done with it
//! and what the broker itself has to keep is on disk.

mod accept;
mod auth;
mod connection;
mod counters;
mod error;
mod hub;
mod link;
mod message;
mod outbox;
mod outlet;
mod packet;
mod properties;
mod received;
mod server;
mod session;
mod settings;
mod store;
mod topics;
mod tree;
mod window;
mod wire;

pub use auth::{Anonymous, Authenticator, Login, Verdict};
pub use error::Error;
pub use server::{Broker, Stats};
pub use settings::{BrokerSettings, Limits};
