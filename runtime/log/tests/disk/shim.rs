//! A folder on a disk whose power can be cut.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use crate::dice::Dice;

/// What is left after a cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Left {
    /// Exactly what was synced.
    Synced,
    /// And some sectors of what was not, and some changes of names.
    SyncedAndSome,
}

/// What a disk can write at once.
const SECTOR: usize = 512;

/// A folder, and what of it was synced.
pub struct Disk {
    place: tempfile::TempDir,
}

impl Disk {
    /// An empty folder.
    pub fn new() -> Self {
        Self::copy_of(None)
    }

    /// A copy of a folder, all of it synced.
    pub fn copy_of(folder: Option<&Path>) -> Self {
        let disk = Self { place: tempfile::tempdir().unwrap() };
        fs::create_dir_all(disk.folder()).unwrap();
        if let Some(folder) = folder {
            crate::files::copy_log(folder, &disk.folder());
        }
        disk.everything_is_synced();
        disk
    }

    /// The folder of the log.
    pub fn folder(&self) -> PathBuf {
        self.root().join("log")
    }

    /// Where the log is backed up to.
    pub fn backup(&self) -> PathBuf {
        self.root().join("backup")
    }

    /// All that the power cut hits.
    fn root(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    fn shadow(&self) -> PathBuf {
        self.place.path().join("shadow")
    }

    /// Puts the shim before a command.
    pub fn mount(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library()).env("DISK_ROOT", self.root()).env("DISK_SHADOW", self.shadow());
        command.env("DISK_HIT", self.hit()).env("DISK_FULL", self.full());
    }

    /// The file that says that a call has failed.
    pub fn hit(&self) -> PathBuf {
        self.place.path().join("hit")
    }

    /// The file that makes the disk full.
    pub fn full(&self) -> PathBuf {
        self.place.path().join("full")
    }

    fn everything_is_synced(&self) {
        if self.shadow().exists() {
            fs::remove_dir_all(self.shadow()).unwrap();
        }
        fs::create_dir(self.shadow()).unwrap();
        self.remember(&self.root());
    }

    fn remember(&self, path: &Path) {
        let shadow = self.shadow().join(identity(path));
        if !path.is_dir() {
            fs::copy(path, shadow).unwrap();
            return;
        }
        let mut names = String::new();
        for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
            let kind = if entry.path().is_dir() { 'd' } else { 'f' };
            names += &format!("{} {kind} {}\n", identity(&entry.path()), entry.file_name().to_str().unwrap());
            self.remember(&entry.path());
        }
        fs::write(shadow, names).unwrap();
    }

    /// Takes the power away. Nobody may be at work in the folder.
    pub fn cut(&mut self, left: Left, dice: &mut Dice) {
        let mut actual = HashMap::new();
        find(&self.root(), &mut actual);
        let rebuilt = self.place.path().join("rebuilt");
        let mut cut = Cut { shadow: self.shadow(), actual, dice: (left == Left::SyncedAndSome).then_some(dice) };
        cut.rebuild_folder(&identity(&self.root()), &rebuilt);
        fs::remove_dir_all(self.root()).unwrap();
        fs::rename(rebuilt, self.root()).unwrap();
        self.everything_is_synced();
    }
}

/// As disk.c makes it. A number alone would be given to another file later.
fn identity(path: &Path) -> String {
    let data = fs::symlink_metadata(path).unwrap();
    let born = data.created().unwrap().duration_since(UNIX_EPOCH).unwrap();
    format!("{}-{}{:09}", data.ino(), born.as_secs(), born.subsec_nanos())
}

fn find(path: &Path, found: &mut HashMap<String, PathBuf>) {
    found.insert(identity(path), path.to_owned());
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| find(&entry.unwrap().path(), found));
    }
}

struct Cut<'a> {
    shadow: PathBuf,
    /// Where the files that are there now lie.
    actual: HashMap<String, PathBuf>,
    dice: Option<&'a mut Dice>,
}

impl Cut<'_> {
    fn percent(&mut self, percent: u64) -> bool {
        self.dice.as_mut().is_some_and(|dice| dice.percent(percent))
    }

    fn rebuild_folder(&mut self, id: &str, to: &Path) {
        fs::create_dir(to).unwrap();
        let synced = fs::read_to_string(self.shadow.join(id)).unwrap_or_default();
        let mut names: Vec<(String, bool, String)> = synced
            .lines()
            .map(|line| {
                let mut words = line.splitn(3, ' ').map(str::to_owned);
                (words.next().unwrap(), words.next().unwrap() == "d", words.next().unwrap())
            })
            .collect();
        if self.percent(50)
            && let Some(folder) = self.actual.get(id)
        {
            let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
            let entry = |entry: fs::DirEntry| {
                (identity(&entry.path()), entry.path().is_dir(), entry.file_name().to_str().unwrap().to_owned())
            };
            names = entries.map(entry).collect();
        }
        for (id, is_folder, name) in names {
            if is_folder {
                self.rebuild_folder(&id, &to.join(name));
            } else {
                let file = to.join(name);
                fs::write(&file, self.rebuilt_file(&id)).unwrap();
                // Keys are not read when others may read them.
                fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
            }
        }
    }

    fn rebuilt_file(&mut self, id: &str) -> Vec<u8> {
        let mut bytes = fs::read(self.shadow.join(id)).unwrap_or_default();
        let Some(actual) = self.actual.get(id) else { return bytes };
        let actual = fs::read(actual).unwrap();
        if actual == bytes || self.dice.is_none() {
            return bytes;
        }
        let share = *[0, 30, 70, 100].get(self.dice.as_mut().map_or(0, |dice| dice.below(4)) as usize).unwrap();
        if self.percent(50) {
            bytes.resize(actual.len(), 0);
        }
        for (sector, new) in bytes.chunks_mut(SECTOR).zip(actual.chunks(SECTOR)) {
            let len = sector.len().min(new.len());
            if sector[..len] != new[..len] && self.percent(share) {
                sector[..len].copy_from_slice(&new[..len]);
            }
        }
        bytes
    }
}

/// The shim, made once per process.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/disk.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("disk-{}.so", std::process::id()));
        let made =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
        let made = made.expect("a C compiler is needed as `cc`, as the Rust compiler needs it to link");
        assert!(made.success(), "disk.c does not compile");
        library
    })
}
