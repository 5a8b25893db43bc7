//! What several node types share: typed inputs, templates, conditions, JavaScript's conversions, hashes.

pub(crate) mod coerce;
pub(crate) mod condition;
pub(crate) mod context_key;
pub(crate) mod event_filter;
pub(crate) mod event_value;
pub(crate) mod fnv;
pub(crate) mod held;
mod locate;
pub(crate) mod outbox;
pub(crate) mod pattern;
pub(crate) mod template;
pub(crate) mod typed_input;
