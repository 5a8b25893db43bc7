//! The data folder: what lies where, and the lock that keeps a second server out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use tidewire_log::private_file::make_private_dir;

/// The settings with which the server ran last, in its data folder.
pub const SETTINGS: &str = "settings.toml";

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("cannot write to the data folder {}: {source}; make it writable or choose another one with --data-dir", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("another Tidewire{} uses the data folder {}; stop it, or choose another folder with --data-dir", pid_words(.pid), path.display())]
    InUse { path: PathBuf, pid: Option<u32> },
}

fn pid_words(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Where things lie in a data folder.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DataDir(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Keys of streams with personal data: apart from the log, so that a copy of that tells nothing.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Over this socket other commands talk to a running server.
    pub fn socket(&self) -> PathBuf {
        self.0.join("tidewire.sock")
    }

    /// Makes the folder and locks it.
    ///
    /// # Errors
    /// When it cannot be written or another process has it.
    pub fn lock(&self) -> Result<DataDirLock, DataDirError> {
        let unwritable = |source| DataDirError::Unwritable { path: self.0.clone(), source };
        make_private_dir(&self.0).map_err(unwritable)?;
        let path = self.0.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(unwritable)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(DataDirError::InUse { path: self.0.clone(), pid });
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(unwritable)?;
        Ok(DataDirLock { _file: file })
    }

    /// Whether a server holds the folder now.
    pub fn is_locked(&self) -> bool {
        let Ok(file) = OpenOptions::new().read(true).write(true).open(self.0.join("lock")) else { return false };
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    }

    /// Makes the socket private once it is there: the folder already is.
    ///
    /// # Errors
    /// As the file system has it.
    pub fn protect_socket(&self) -> io::Result<()> {
        std::fs::set_permissions(self.socket(), std::fs::Permissions::from_mode(0o600))
    }
}

/// The lock on a data folder; gone when dropped, also when the process is killed.
pub struct DataDirLock {
    _file: File,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_server_is_told_who_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::new(dir.path().join("data"));
        assert!(!data.is_locked());
        let lock = data.lock().unwrap();
        assert!(data.is_locked());
        let text = data.lock().err().unwrap().to_string();
        assert!(text.contains(&std::process::id().to_string()) && text.contains("--data-dir"), "{text}");
        drop(lock);
        data.lock().unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_how_to_mend_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let text = DataDir::new(dir.path().join("file/data")).lock().err().unwrap().to_string();
        assert!(text.contains("--data-dir"), "{text}");
    }
}
