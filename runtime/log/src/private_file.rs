//! Files that only their owner may read: written whole or not at all, never replaced by defaults.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::folders::{make_lasting_dir, sync_dir};

/// A private file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// A file operation failed.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{} may be read by other users (mode {mode:o}); run `chmod 600 {}` and start again", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not what was written.
    #[error("{} is damaged: {reason}; restore it from a backup (it is not replaced by an empty one)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// One file with mode 0600 in a folder with mode 0700.
#[derive(Debug, Clone)]
pub struct PrivateFile {
    path: PathBuf,
}

impl PrivateFile {
    /// The file at a path, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        PrivateFile { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn fail(&self, operation: &'static str) -> impl Fn(io::Error) -> PrivateFileError {
        let path = self.path.clone();
        move |source| PrivateFileError::Io { operation, path: path.clone(), source }
    }

    /// The contents; `None` when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, or when others may read it.
    pub fn read(&self) -> Result<Option<Vec<u8>>, PrivateFileError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fail("read")(error)),
        };
        let mode = file.metadata().map_err(self.fail("read"))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PrivateFileError::TooOpen { path: self.path.clone(), mode });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(self.fail("read"))?;
        Ok(Some(bytes))
    }

    /// Replaces the contents in one step; they are on disk when this returns.
    ///
    /// # Errors
    /// The old contents are still there.
    pub fn write(&self, bytes: &[u8]) -> Result<(), PrivateFileError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        make_lasting_dir(folder, make_private_dir).map_err(self.fail("make the folder of"))?;
        let fresh = self.path.with_extension("new");
        // A leftover of a crash; its name is ours alone.
        let _ = fs::remove_file(&fresh);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(self.fail("write"))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(self.fail("write"))?;
        fs::rename(&fresh, &self.path).map_err(self.fail("replace"))?;
        sync_dir(folder).map_err(self.fail("write"))
    }

    /// Whether its destruction was begun and not finished: no text has a zero.
    #[must_use]
    pub fn is_half_destroyed(&self) -> bool {
        fs::read(&self.path).is_ok_and(|bytes| bytes.contains(&0))
    }

    /// Overwrites the contents, then removes the file; it is gone from the disk when this returns. No file is fine.
    ///
    /// # Errors
    /// What is there may have been overwritten.
    pub fn destroy(&self) -> Result<(), PrivateFileError> {
        let mut file = match OpenOptions::new().write(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.fail("destroy")(error)),
        };
        let len = file.metadata().map_err(self.fail("destroy"))?.len();
        let zeroes = vec![0; usize::try_from(len).unwrap_or_default()];
        file.write_all(&zeroes).and_then(|()| file.sync_all()).map_err(self.fail("destroy"))?;
        fs::remove_file(&self.path).map_err(self.fail("destroy"))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        sync_dir(folder).map_err(self.fail("destroy"))
    }

    /// For contents that do not parse.
    #[must_use]
    pub fn damaged(&self, reason: impl ToString) -> PrivateFileError {
        PrivateFileError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }
}

/// Makes a folder, and those above it, that only the owner may enter.
///
/// # Errors
/// As the file system has it.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_written_is_read_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let file = PrivateFile::new(dir.path().join("auth/users.json"));
        assert!(file.read().unwrap().is_none());
        file.write(b"one").unwrap();
        file.write(b"two").unwrap();
        assert_eq!(file.read().unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = PrivateFile::new(dir.path().join("key"));
        file.write(b"secret").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file.read().unwrap_err().to_string().contains("chmod 600"));
    }
}
