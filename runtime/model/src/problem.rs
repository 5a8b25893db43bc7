//! Findings in a user's input: where, what, and how to mend it.

use serde::{Deserialize, Serialize};

/// How much a [`Problem`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The node cannot run until it is mended; everything else runs.
    Error,
    /// The node runs, perhaps not as meant.
    Warning,
}

/// A finding in input. `path` is a JSON pointer into the node's configuration (empty: the node as a whole).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// Id of the node concerned; empty when the document as a whole is meant.
    pub node: String,
    /// JSON pointer to the property.
    pub path: String,
    /// What is wrong and how to mend it, for a person.
    pub text: String,
    pub severity: Severity,
}

impl Problem {
    /// An error at `path`; the node id is filled in by whoever knows it.
    pub fn error(path: impl Into<String>, text: impl Into<String>) -> Self {
        Problem { node: String::new(), path: path.into(), text: text.into(), severity: Severity::Error }
    }

    /// A warning at `path`.
    pub fn warning(path: impl Into<String>, text: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(path, text) }
    }

    /// The same finding, said of `node`.
    pub fn of(mut self, node: impl Into<String>) -> Self {
        self.node = node.into();
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.node.is_empty(), self.path.is_empty()) {
            (true, true) => write!(f, "{}", self.text),
            (true, false) => write!(f, "{}: {}", self.path, self.text),
            (false, true) => write!(f, "{}: {}", self.node, self.text),
            (false, false) => write!(f, "{}{}: {}", self.node, self.path, self.text),
        }
    }
}
