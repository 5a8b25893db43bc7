//! The folders of the store: which one counts, what is left over in them, and putting one aside.

use std::fs::{self, File};
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::LogError;
use crate::folders::sync_folder;

/// How the name of what was put aside begins.
const QUARANTINE: &str = "quarantine-";

/// The number of the folder of projections that counts.
pub(super) fn current_number(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("current")).unwrap_or_default();
    text.trim().parse().unwrap_or(1)
}

/// Makes another number the one that counts.
pub(super) fn set_current_number(folder: &Path, number: u64) -> std::result::Result<(), LogError> {
    let (mark, written) = (folder.join("current"), folder.join("current.new"));
    let write = || -> Result<()> {
        fs::write(&written, number.to_string())?;
        File::open(&written)?.sync_all()?;
        fs::rename(&written, &mark)
    };
    write().map_err(LogError::io("write", &mark))?;
    sync_folder(folder)
}

/// Removes what an interrupted renewal left behind.
pub(super) fn remove_other_numbers(folder: &Path, number: u64) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let other = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
        if other.is_some_and(|other| other != number) {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// Removes projections that were put aside: they hold what others must not hold any more.
pub(super) fn remove_quarantined(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(QUARANTINE) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Removes snapshots that were not finished: they keep a database from opening.
pub(super) fn remove_unfinished_snapshots(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Puts a store that is of no use aside and answers where it went.
pub(crate) fn quarantine(folder: &Path) -> std::result::Result<PathBuf, LogError> {
    let name = format!("{QUARANTINE}{}", crate::plan::wall_clock());
    let aside = folder.with_file_name(name);
    fs::rename(folder, &aside).map_err(LogError::io("put the damaged store aside as", &aside))?;
    Ok(aside)
}
