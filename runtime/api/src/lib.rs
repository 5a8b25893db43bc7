//! What travels over HTTP and WebSocket: the bodies of requests, answers and frames, with their schemas.
//!
//! Types only. Routes, permissions and behaviour are the server's; the schemas here feed its OpenAPI document.

pub mod account;
pub mod backup;
pub mod consumer;
pub mod dead_letter;
pub mod flows;
pub mod live;
pub mod log;
pub mod node;
pub mod personal;
pub mod problem;
pub mod projection;
pub mod schema;
pub mod thing;

pub use problem::ProblemDetails;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Give it back as `cursor` to get the next page; null at the end.
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A list that is complete.
    pub fn whole(items: Vec<T>) -> Self {
        List { items, next: None }
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PageQuery {
    /// How many items at most.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}
