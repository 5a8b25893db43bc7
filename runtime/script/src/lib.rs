//! Scripts and templates: rhai with limits, and mustache.
//!
//! Nothing here reaches the world: no files, no network, no clock, no randomness.

pub mod template;

pub use template::{Escape, Template};
