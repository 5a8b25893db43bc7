//! Environment variables as nodes see them: those of the process, and others in their place where a test says so.

use std::collections::HashMap;

use parking_lot::RwLock;

/// See the module.
#[derive(Default)]
pub struct Environment(RwLock<HashMap<String, Option<String>>>);

impl Environment {
    pub fn get(&self, name: &str) -> Option<String> {
        let instead = self.0.read().get(name).cloned();
        instead.unwrap_or_else(|| std::env::var(name).ok())
    }

    /// Gives a variable another value, or takes it away.
    pub fn set(&self, name: String, value: Option<String>) {
        self.0.write().insert(name, value);
    }
}
