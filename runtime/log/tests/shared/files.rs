//! The files of a log.

use std::fs;
use std::io;
use std::path::Path;

/// Copies a log while it works, as a crash would leave it: its store first, because what that has is always in the
/// journal already; the journal before what it refers to, because that is there earlier.
pub fn copy_log(from: &Path, to: &Path) {
    copy(&from.join("sled"), &to.join("sled"));
    copy_at_once(&from.join("journal"), &to.join("journal"));
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        if name != "sled" && name != "journal" && name != "lock" {
            copy(&from.join(&name), &to.join(&name));
        }
    }
}

/// Copies a folder as it is at one moment: anew, when a file has come or gone meanwhile.
fn copy_at_once(from: &Path, to: &Path) {
    let names = || {
        let entries = fs::read_dir(from).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    loop {
        let before = names();
        copy(from, to);
        if names() == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

/// Copies a file or folder; what goes meanwhile is left out.
fn copy(from: &Path, to: &Path) {
    let gone = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    match fs::metadata(from) {
        Err(error) => gone(error),
        Ok(data) if data.is_dir() => {
            fs::create_dir_all(to).unwrap();
            let entries = fs::read_dir(from).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).for_each(|name| copy(&from.join(&name), &to.join(&name)));
        }
        Ok(_) => drop(fs::copy(from, to).map_err(gone)),
    }
}
