//! What can go wrong while reading and keeping the log. Refused appends have their own type in the model.

use std::io;
use std::path::PathBuf;

/// The machine failed, or what it holds is damaged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file operation failed.
    #[error("{operation} {path}", path = path.display())]
    Io {
        /// What was tried, such as `open the journal segment`.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error(
        "the event log in {path} is in use by another process; stop that one or choose another data folder",
        path = path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Files of an earlier or later version of the program.
    #[error(
        "{path} is in journal format {format}, but this version reads and writes format 2 only; start with another data \
         folder, or with the version that wrote this one",
        path = path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u8,
    },
    /// Bytes on disk are not what was written.
    #[error("the event log is damaged: {0}")]
    Damaged(String),
    /// The indexed store failed; it is rebuilt from the journal at the next start.
    #[error("the indexed store failed: {0}; it is rebuilt from the journal at the next start")]
    Store(String),
    /// No room for the indexed store.
    #[error("the disk that holds the event log is full; free some space, it then goes on by itself")]
    Full,
    /// A projection is kept under another version of its definition.
    #[error("projection '{name}' is stored as version '{stored}', not '{given}'; drop it and rebuild it")]
    ProjectionVersion {
        /// Which projection.
        name: String,
        /// The version in the store.
        stored: String,
        /// The version that was given.
        given: String,
    },
    /// A snapshot of a read model cannot be read or written.
    #[error("the snapshot of the read model '{name}' cannot be used: {reason}")]
    Snapshot {
        /// Of which read model.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A name or key that the store cannot keep.
    #[error("{0}")]
    Name(String),
    /// Events cannot be dropped now.
    #[error("nothing was dropped: {0}")]
    Retention(String),
    /// Somebody stopped it.
    #[error("it was cancelled")]
    Cancelled,
    /// The log was closed.
    #[error("the event log is closed")]
    Closed,
}

impl LogError {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }

    /// Whether the same call may work later without change.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// The error and its causes in one line, for people.
    #[must_use]
    pub fn full_text(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}
