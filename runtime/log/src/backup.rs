//! Copies of a log that can be restored: made while it runs, only what is new each time, checked by hash.
//!
//! A backup is a folder with the log's files and a manifest, which is written last: without one it is incomplete. The
//! journal's files are copied up to what was confirmed when the backup began; the indexed store is left out, as it is
//! rebuilt from the journal. Keys of personal streams are never part of it.

mod copy;
mod manifest;
mod progress;
mod restore;
mod source;
mod verify;

use std::io;
use std::path::PathBuf;

use tidewire_model::position::Position;

use crate::LogError;

pub(crate) use copy::{Contents, back_up};
pub use copy::{Report, back_up_folder};
pub use progress::Progress;
pub use restore::{At, Restored, restore};
pub use verify::{Checked, is_backup, verify_backup};

/// Why there is no backup, or why it was not restored. What was begun is gone again.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file operation failed.
    #[error("could not {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, such as `read`.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody said so.
    #[error("cancelled; nothing was changed")]
    Cancelled,
    /// Files lie there that are not ours.
    #[error("{path} is not empty; name a new or empty folder", path = path.display())]
    NotEmpty {
        /// Where.
        path: PathBuf,
    },
    /// The folder holds a backup of another log.
    #[error("{path} holds a backup of another log; name a folder of its own", path = path.display())]
    OtherLog {
        /// Where.
        path: PathBuf,
    },
    /// There is no manifest.
    #[error(
        "{path} is no complete backup, it has no manifest: a backup into it was not finished, or it is another folder; \
         back up into it again",
        path = path.display()
    )]
    Incomplete {
        /// Where.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error("the backup is damaged: {0}; use another one, or back up into it again")]
    Damaged(String),
    /// The log itself is damaged.
    #[error("the log cannot be backed up as it is: {0}")]
    Source(String),
    /// There is nothing at the place or time that was asked for.
    #[error("the backup cannot be restored as of then: {0}")]
    At(String),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl BackupError {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}

/// What goes into a backup beside the log, and what does not.
#[derive(Debug, Clone, Default)]
pub struct Others {
    /// Files, with their places in the data folder; those that are not there are skipped.
    pub files: Vec<(String, PathBuf)>,
    /// What is left out on purpose. The manifest names it.
    pub left_out: Vec<LeftOut>,
}

impl Others {
    /// The files and folders of a backup's folder that these are in.
    fn roots(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|(name, _)| name.split('/').next())
    }
}

/// Something that a backup does not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// What it is.
    pub what: String,
    /// Why it is not there, and what to do about it.
    pub why: String,
}

/// Where a backup ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    /// The last commit in it.
    pub commit: u64,
    /// The last position in it.
    pub position: Position,
}
