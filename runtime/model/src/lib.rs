//! Pure data of Tidewire: values, messages, flow documents, events and commands.
//!
//! Invariant: nothing in this crate does I/O, reads a clock or draws a random number. That makes replay exact.

pub mod append;
pub mod event;
pub mod flow;
pub mod id;
pub mod message;
pub mod position;
pub mod problem;
pub mod query;
pub mod retention;
pub mod usage;
pub mod value;

pub use id::NodeId;
pub use message::Message;
pub use problem::{Problem, Severity};
pub use value::{Map, Value};
