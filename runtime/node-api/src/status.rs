//! A node's short live state, as shown under it.

use serde::{Deserialize, Serialize};

/// Colour of the mark, in Node-RED's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    Red,
    Green,
    Yellow,
    Blue,
    Grey,
}

/// Shape of the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    Dot,
    Ring,
}

/// A status; the default one is empty and clears what was shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    #[serde(default)]
    pub text: String,
}

impl Status {
    pub fn new(fill: Fill, shape: Shape, text: impl Into<String>) -> Self {
        Status { fill: Some(fill), shape: Some(shape), text: text.into() }
    }

    /// Only text.
    pub fn text(text: impl Into<String>) -> Self {
        Status { fill: None, shape: None, text: text.into() }
    }

    /// A green dot: connected, active.
    pub fn ok(text: impl Into<String>) -> Self {
        Status::new(Fill::Green, Shape::Dot, text)
    }

    /// A yellow ring: waiting, trying.
    pub fn waiting(text: impl Into<String>) -> Self {
        Status::new(Fill::Yellow, Shape::Ring, text)
    }

    /// A red ring: something needs attention.
    pub fn error(text: impl Into<String>) -> Self {
        Status::new(Fill::Red, Shape::Ring, text)
    }
}
