//! The lock that keeps a second process out of a log's folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::LogError;

/// Locks the folder of a log until the file is closed.
///
/// # Errors
/// When another process has it.
pub(crate) fn lock(folder: &Path) -> Result<File, LogError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(LogError::io("open the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(LogError::Io { operation: "lock", path, source }),
    }
}
