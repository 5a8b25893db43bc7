//! Folders and names in them that are still there after a power cut.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::LogError;

/// Brings the names in a folder to the disk.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// As [`sync_dir`].
pub(crate) fn sync_folder(folder: &Path) -> Result<(), LogError> {
    sync_dir(folder).map_err(LogError::io("sync the folder", folder))
}

/// Lets a folder be made, with those above it that are missing; what is new is on the disk when this returns.
pub(crate) fn make_lasting_dir(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let new: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    make(path)?;
    new.iter().filter_map(|folder| folder.parent()).try_for_each(sync_dir)
}
