//! Small tables in private files: in memory for reading, on disk before a change counts.

use std::collections::BTreeMap;
use std::path::Path;

use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use tidewire_log::private_file::{PrivateFile, PrivateFileError};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Contents<T> {
    version: u32,
    items: BTreeMap<String, T>,
}

/// Records by key.
pub struct Table<T> {
    file: PrivateFile,
    items: RwLock<BTreeMap<String, T>>,
}

impl<T: Clone + Serialize + DeserializeOwned> Table<T> {
    /// # Errors
    /// When the file is there and cannot be used.
    pub fn open(dir: &Path, name: &str) -> Result<Self, PrivateFileError> {
        let file = PrivateFile::new(dir.join(name));
        let items = match file.read()? {
            None => BTreeMap::new(),
            Some(bytes) => {
                let contents: Contents<T> = serde_json::from_slice(&bytes).map_err(|error| file.damaged(error))?;
                if contents.version != VERSION {
                    return Err(file.damaged(format!("version {} is not known", contents.version)));
                }
                contents.items
            }
        };
        Ok(Table { file, items: RwLock::new(items) })
    }

    pub fn get(&self, key: &str) -> Option<T> {
        self.items.read().get(key).cloned()
    }

    pub fn len(&self) -> usize {
        self.items.read().len()
    }

    pub fn list(&self) -> Vec<T> {
        self.items.read().values().cloned().collect()
    }

    /// Changes a record in memory only; it reaches the disk with the next [`Table::change`].
    pub fn touch(&self, key: &str, change: impl FnOnce(&mut T)) {
        if let Some(item) = self.items.write().get_mut(key) {
            change(item);
        }
    }

    /// Changes the table; what `change` refuses, or what cannot be written, leaves it as it was.
    ///
    /// # Errors
    /// That of `change`, or that the file could not be written.
    pub fn change<R, E: From<PrivateFileError>>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut items = self.items.write();
        let mut next = items.clone();
        let result = change(&mut next)?;
        let contents = Contents { version: VERSION, items: next };
        let bytes = serde_json::to_vec_pretty(&contents).map_err(|error| self.file.damaged(error))?;
        self.file.write(&bytes)?;
        *items = contents.items;
        Ok(result)
    }
}
