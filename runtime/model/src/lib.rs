//! Pure data of Tidewire: values, messages, flow documents, events and commands.
//!
//! Invariant: nothing in this crate does I/O, reads a clock or draws a random number. That makes replay exact.

pub mod append;
pub mod event;
pub mod position;
pub mod query;
