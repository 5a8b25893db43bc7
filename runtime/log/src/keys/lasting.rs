//! Which names of keys are known to be on the disk: a process that was killed may have made some that are not, and what
//! is encrypted from now on must not be lost with them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::folders::sync_dir;
use crate::private_file::PrivateFile;

/// What has not changed for so long was brought to the disk by the system.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Folders whose names are on the disk.
#[derive(Default)]
pub(super) struct Lasting {
    known: HashSet<PathBuf>,
    looked: bool,
}

impl Lasting {
    /// Brings the names that lead to a key's file to the disk.
    pub(super) fn ensure(&mut self, keys: &Path, file: &PrivateFile) -> Result<(), String> {
        if !std::mem::replace(&mut self.looked, true) {
            self.look(keys);
        }
        for folder in folders(keys, file) {
            if !self.known.contains(folder) {
                sync_dir(folder).map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
                self.known.insert(folder.to_owned());
            }
        }
        Ok(())
    }

    /// Writes a new file; where that fails, nothing counts as being on the disk.
    pub(super) fn write(&mut self, keys: &Path, file: &PrivateFile, bytes: &[u8]) -> Result<(), String> {
        let mut changed = Vec::new();
        for folder in folders(keys, file) {
            changed.push(folder.to_owned());
            self.known.remove(folder);
            if folder.exists() {
                break;
            }
        }
        file.write(bytes).map_err(|error| error.to_string())?;
        self.known.extend(changed);
        Ok(())
    }

    fn look(&mut self, keys: &Path) {
        let data = keys.join("data");
        let inner = fs::read_dir(&data).into_iter().flatten().flatten().map(|entry| entry.path());
        let all = inner.chain(keys.parent().map(Path::to_owned)).chain([keys.to_owned(), data.clone()]);
        self.known.extend(all.filter(|folder| is_old(folder)));
    }
}

/// The folders above a file, up to the one that the keys are in.
fn folders<'a>(keys: &'a Path, file: &'a PrivateFile) -> impl Iterator<Item = &'a Path> {
    let top = keys.parent().unwrap_or(keys);
    file.path().ancestors().skip(1).take_while(move |folder| folder.starts_with(top))
}

fn is_old(folder: &Path) -> bool {
    let changed = fs::metadata(folder).and_then(|data| data.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > OLD))
}
