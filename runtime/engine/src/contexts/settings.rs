//! Which context stores there are.

/// What becomes of a store's values at a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// They stay.
    Durable,
    /// They are gone.
    Memory,
}

/// The stores, which one stands for all that are not named or not known, and how much each may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSettings {
    stores: Vec<(String, StoreKind)>,
    default: String,
    bytes_max: usize,
}

/// Largest sum of the values of one store unless somebody says otherwise.
const BYTES_MAX: usize = 128 * 1024 * 1024;

/// Name of the default store, or of what says which one it is.
const DEFAULT: &str = "default";

impl Default for ContextSettings {
    fn default() -> Self {
        ContextSettings {
            stores: vec![(DEFAULT.to_owned(), StoreKind::Durable), ("memory".to_owned(), StoreKind::Memory)],
            default: DEFAULT.to_owned(),
            bytes_max: BYTES_MAX,
        }
    }
}

impl ContextSettings {
    /// From names and kinds (`durable`, `memory`, or Node-RED's `localfilesystem`). `default` may name another store
    /// instead of a kind; without it the first store is the default one. None at all: the usual ones.
    ///
    /// # Errors
    /// What is wrong, in Node-RED's words where it has some.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut settings = ContextSettings { stores: Vec::new(), default: String::new(), bytes_max: BYTES_MAX };
        let mut alias = None;
        for (name, kind) in pairs {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || name == "_" || name.len() > 64 || !name.chars().all(legal) {
                return Err(format!("Invalid context store name: '{name}'"));
            }
            if settings.stores.iter().any(|(other, _)| other == name) {
                return Err(format!("context store '{name}' is there twice"));
            }
            let kind = match kind {
                "durable" | "localfilesystem" => StoreKind::Durable,
                "memory" => StoreKind::Memory,
                other if name == DEFAULT => {
                    alias = Some(other);
                    continue;
                }
                other => return Err(format!("context store '{name}' is '{other}'; use durable or memory")),
            };
            settings.stores.push((name.to_owned(), kind));
        }
        let named = |name: &str| settings.stores.iter().any(|(other, _)| other == name);
        settings.default = match (alias, settings.stores.first()) {
            (Some(alias), _) if !named(alias) => return Err(format!("Default context store unknown: '{alias}'")),
            (Some(alias), _) => alias.to_owned(),
            (None, None) => return Ok(ContextSettings::default()),
            (None, Some(_)) if named(DEFAULT) => DEFAULT.to_owned(),
            (None, Some((first, _))) => first.clone(),
        };
        Ok(settings)
    }

    /// The same stores, each of which may hold this many bytes of memory.
    #[must_use]
    pub fn with_bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Largest sum of the values of one store, in bytes of memory.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub fn stores(&self) -> &[(String, StoreKind)] {
        &self.stores
    }

    pub fn default_store(&self) -> &str {
        &self.default
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_default_store_is_named_so_or_said_to_be_or_the_first() {
        let default = |pairs: &[(&'static str, &'static str)]| {
            ContextSettings::of(pairs.iter().copied()).map(|settings| settings.default_store().to_owned())
        };
        assert_eq!(default(&[("a", "memory"), ("default", "durable")]).unwrap(), "default");
        assert_eq!(default(&[("a", "memory"), ("b", "localfilesystem"), ("default", "b")]).unwrap(), "b");
        assert_eq!(default(&[("a", "memory"), ("b", "durable")]).unwrap(), "a");
        assert_eq!(ContextSettings::of([]).unwrap(), ContextSettings::default());
        assert_eq!(default(&[("default", "b"), ("a", "memory")]).unwrap_err(), "Default context store unknown: 'b'");
        assert_eq!(default(&[("a-b", "memory")]).unwrap_err(), "Invalid context store name: 'a-b'");
        assert!(default(&[("a", "redis")]).unwrap_err().contains("durable or memory"));
    }
}
