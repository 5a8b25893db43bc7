//! Large payloads in files of their own, named by what they hold.
//!
//! A file is whole and on disk before the event that refers to it is queued, and the same content is stored once. What
//! no event refers to any more is collected by mark and sweep. It knows neither the journal nor what the bytes mean.

mod putting;

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tidewire_model::event::{Body, ContentRef, StoredBody};

use crate::LogError;
use crate::digest::sha256_of;
use crate::hex::array_from_hex;
pub(crate) use putting::PutError;
use putting::Slots;

/// What is larger goes into a file of its own.
pub(crate) const INLINE_MAX: usize = 4096;
/// The contents used last stay in memory up to this.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
/// So many files are remembered as being on disk.
const KNOWN_MAX: usize = 8192;

/// The content files of a log.
pub(crate) struct ContentStore {
    folder: PathBuf,
    state: Mutex<State>,
    cache: Mutex<Cache>,
    temporary: AtomicU64,
    slots: Slots,
    orphaned: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Files that are whole and on disk.
    known: HashSet<ContentRef>,
    folders: HashSet<PathBuf>,
    /// Files that are being written.
    writing: HashSet<PathBuf>,
    /// What was put since the collection under way began.
    put: Option<HashSet<ContentRef>>,
}

#[derive(Default)]
struct Cache {
    entries: VecDeque<(ContentRef, Bytes)>,
    bytes: usize,
}

impl Cache {
    fn get(&self, content: ContentRef) -> Option<Bytes> {
        self.entries.iter().find(|(known, _)| *known == content).map(|(_, bytes)| bytes.clone())
    }

    fn put(&mut self, content: ContentRef, bytes: &Bytes) {
        if bytes.len() > CACHE_BYTES / 2 || self.get(content).is_some() {
            return;
        }
        self.bytes += bytes.len();
        // A copy, so that it does not keep what it is a slice of.
        self.entries.push_back((content, Bytes::copy_from_slice(bytes)));
        while self.bytes > CACHE_BYTES
            && let Some((_, gone)) = self.entries.pop_front()
        {
            self.bytes -= gone.len();
        }
    }
}

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many files are left.
    pub kept: u64,
}

impl ContentStore {
    /// The content files beside a journal. Makes nothing before it is needed.
    pub(crate) fn new(log_folder: &Path) -> Self {
        Self {
            folder: log_folder.join("content"),
            state: Mutex::default(),
            cache: Mutex::default(),
            temporary: AtomicU64::new(0),
            slots: Slots::default(),
            orphaned: AtomicU64::new(0),
        }
    }

    /// Notes that bytes lie there which no event will ever refer to.
    pub(crate) fn note_orphans(&self, bytes: u64) {
        self.orphaned.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many such bytes there are, as far as is known.
    pub(crate) fn orphaned(&self) -> u64 {
        self.orphaned.load(Ordering::Relaxed)
    }

    /// The bytes with a name.
    ///
    /// # Errors
    /// A text that says what is wrong with the file.
    pub(crate) fn get(&self, content: ContentRef) -> Result<Bytes, String> {
        if let Some(bytes) = self.cache.lock().get(content) {
            return Ok(bytes);
        }
        let path = path_of(&self.folder, content);
        let bytes = Bytes::from(fs::read(&path).map_err(|error| unreadable(&path, &error))?);
        if ContentRef::of(&bytes) != content {
            return Err(damaged(&path));
        }
        self.cache.lock().put(content, &bytes);
        Ok(bytes)
    }

    /// Whether some bytes would be found without the disk.
    pub(crate) fn at_hand(&self, content: ContentRef) -> bool {
        self.cache.lock().get(content).is_some()
    }

    /// Whether there ever was a content file.
    pub(crate) fn is_used(&self) -> bool {
        self.folder.exists()
    }

    /// Begins a collection: what is put from now on stays.
    pub(crate) fn begin_sweep(&self) {
        self.orphaned.store(0, Ordering::Relaxed);
        self.state.lock().put.get_or_insert_default();
    }

    /// Ends a collection without removing anything.
    pub(crate) fn give_up_sweep(&self) {
        self.state.lock().put = None;
    }

    /// Removes what is neither referred to nor put since the collection began.
    pub(crate) fn sweep(&self, referred: &HashSet<ContentRef>) -> Result<Swept, LogError> {
        let swept = self.remove(list(&self.folder)?, referred);
        self.give_up_sweep();
        swept
    }

    fn remove(&self, listed: Vec<Listed>, referred: &HashSet<ContentRef>) -> Result<Swept, LogError> {
        let mut swept = Swept::default();
        for file in listed {
            let mut state = self.state.lock();
            let stays = match file.content {
                Some(content) => {
                    referred.contains(&content) || state.put.as_ref().is_some_and(|put| put.contains(&content))
                }
                // Anything that is not being written now was left by a crash.
                None => state.writing.contains(&file.path),
            };
            if stays {
                swept.kept += 1;
                continue;
            }
            // Under the lock: who puts the same content now writes it anew.
            let removed = fs::remove_file(&file.path);
            if let Some(content) = file.content {
                state.known.remove(&content);
            }
            match removed {
                Ok(()) => {
                    swept.files += 1;
                    swept.bytes += file.len;
                }
                // It was being written when it was listed, and has its own name by now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(LogError::io("remove the content file", &file.path)(error)),
            }
        }
        Ok(swept)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("its content file {} is missing; restore it from a backup", path.display()),
        _ => format!("its content file {} cannot be read: {error}", path.display()),
    }
}

fn damaged(path: &Path) -> String {
    format!("its content file {} is damaged; restore it from a backup", path.display())
}

/// Where the bytes with a name lie in a content folder.
fn path_of(folder: &Path, content: ContentRef) -> PathBuf {
    let name = content.to_string();
    folder.join(name.get(..2).unwrap_or_default()).join(name)
}

struct Listed {
    path: PathBuf,
    /// `None`: it is no finished content file.
    content: Option<ContentRef>,
    len: u64,
}

fn list(folder: &Path) -> Result<Vec<Listed>, LogError> {
    let mut listed = Vec::new();
    for inner in entries(folder)? {
        for path in entries(&inner)? {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let content = array_from_hex(name).map(|hash| ContentRef { hash, len: metadata.len() });
            listed.push(Listed { content, len: metadata.len(), path });
        }
    }
    Ok(listed)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(LogError::io("list the content folder", folder)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(LogError::io("list the content folder", folder)(error)),
    }
}

/// The content files that the body of an event refers to, as it lies in the journal.
pub fn references(body: &Body) -> impl Iterator<Item = ContentRef> + use<> {
    let stored = match body {
        Body::Stored(stored) => **stored,
        _ => StoredBody::default(),
    };
    stored.content()
}

/// Where a content file lies, relative to the folder of its log.
#[must_use]
pub fn relative_path(content: ContentRef) -> PathBuf {
    path_of(Path::new("content"), content)
}

/// Checks the content file with a name in the folder of a log; answers what is wrong with it.
#[must_use]
pub fn check(log_folder: &Path, content: ContentRef) -> Option<String> {
    let path = log_folder.join(relative_path(content));
    let found = File::open(&path).and_then(sha256_of).map(|(hash, len)| ContentRef { hash, len });
    match found {
        Ok(found) => (found != content).then(|| damaged(&path)),
        Err(error) => Some(unreadable(&path, &error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    impl ContentStore {
        fn put(&self, bytes: &Bytes) -> Result<ContentRef, PutError> {
            self.put_all(std::slice::from_ref(bytes)).remove(0)
        }
    }

    fn bytes(n: u8) -> Bytes {
        Bytes::from(vec![n; 10_000])
    }

    #[test]
    fn the_same_content_is_one_file_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let content = store.put(&bytes(1)).unwrap();
        assert_eq!(store.put(&bytes(1)).unwrap(), content);
        assert_eq!(list(&folder.path().join("content")).unwrap().len(), 1);
        let path = folder.path().join(relative_path(content));
        assert_eq!(check(folder.path(), content), None);
        fs::write(&path, vec![2; 10_000]).unwrap();
        let store = ContentStore::new(folder.path());
        assert!(store.get(content).unwrap_err().contains("is damaged"));
        assert!(check(folder.path(), content).unwrap().contains("is damaged"));
        store.put(&bytes(1)).unwrap();
        assert_eq!(store.get(content).unwrap(), bytes(1), "putting it again mends it");
        fs::remove_file(&path).unwrap();
        let store = ContentStore::new(folder.path());
        assert!(store.get(content).unwrap_err().contains("is missing"));
    }

    #[test]
    fn a_collection_takes_what_nobody_refers_to_and_nothing_that_is_put_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let [kept, gone, again] = [1, 2, 3].map(|n| store.put(&bytes(n)).unwrap());
        fs::write(folder.path().join(relative_path(gone)).with_extension("77.tmp"), "left by a crash").unwrap();
        store.begin_sweep();
        assert_eq!(store.put(&bytes(3)).unwrap(), again);
        let new = store.put(&bytes(4)).unwrap();
        let swept = store.sweep(&HashSet::from([kept])).unwrap();
        assert_eq!((swept.files, swept.kept), (2, 3));
        let store_again = ContentStore::new(folder.path());
        for content in [kept, again, new] {
            store_again.get(content).unwrap();
        }
        assert!(store_again.get(gone).is_err());
        store.put(&bytes(2)).unwrap();
        ContentStore::new(folder.path()).get(gone).unwrap();
    }

    #[test]
    fn a_collection_goes_on_where_a_file_got_its_name_after_it_was_listed() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let [kept, gone] = [1, 2].map(|n| store.put(&bytes(n)).unwrap());
        let path = folder.path().join(relative_path(kept));
        let temporary = path.with_extension("77.tmp");
        fs::rename(&path, &temporary).unwrap();
        let mut listed = list(&folder.path().join("content")).unwrap();
        listed.sort_unstable_by_key(|file| file.content.is_some());
        fs::rename(&temporary, &path).unwrap();
        let swept = store.remove(listed, &HashSet::from([kept])).unwrap();
        assert_eq!((swept.files, swept.kept), (1, 0), "{swept:?}");
        store.get(kept).unwrap();
        assert!(!folder.path().join(relative_path(gone)).exists());
    }
}
