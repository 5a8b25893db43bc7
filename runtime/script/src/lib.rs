//! Scripts and templates: rhai with limits, and mustache.
//!
//! Nothing here reaches the world: no files, no network, no clock, no randomness.

mod convert;
mod engine;
pub mod script;
pub mod template;
mod text;
mod tree;

pub use script::{Script, ScriptError};
pub use template::{Escape, Template};
