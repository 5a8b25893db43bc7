//! Scripts and templates: rhai with limits, and mustache.
//!
//! Nothing here reaches the world: no files, no network, no clock, no randomness.

pub mod condition;
mod convert;
mod engine;
pub mod script;
pub mod template;
mod text;
mod tree;

pub use condition::compile_condition;
pub use script::{Script, ScriptError};
pub use template::{Escape, Template};
