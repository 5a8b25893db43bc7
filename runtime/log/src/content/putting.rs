//! Storing payloads: those of one append, and of several at a time, are written and synced side by side, and each folder
//! once for all of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tidewire_model::event::ContentRef;

use super::{ContentStore, KNOWN_MAX, path_of};
use crate::folders::sync_dir;
use crate::journal::is_full;

/// So many files are written or synced at a time, for all appends together.
const WIDTH: usize = 16;

/// Why a payload was not stored.
#[derive(Debug, Clone)]
pub(crate) enum PutError {
    /// There is no room for it.
    Full,
    /// Something else, in words.
    Failed(String),
}

impl From<io::Error> for PutError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Failed(error.to_string()) }
    }
}

/// Lets so many through at a time.
pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Default for Slots {
    fn default() -> Self {
        Self { free: Mutex::new(WIDTH), freed: Condvar::new() }
    }
}

impl Slots {
    fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut free = self.free.lock();
        while *free == 0 {
            self.freed.wait(&mut free);
        }
        *free -= 1;
        drop(free);
        let done = work();
        *self.free.lock() += 1;
        self.freed.notify_one();
        done
    }
}

impl ContentStore {
    /// Makes payloads durable under their names, each for itself.
    pub(crate) fn put_all(&self, payloads: &[Bytes]) -> Vec<Result<ContentRef, PutError>> {
        let names: Vec<ContentRef> = payloads.iter().map(|bytes| ContentRef::of(bytes)).collect();
        let new = self.not_known(&names, payloads);
        let stored = self.store(&new);
        {
            let mut state = self.state.lock();
            let whole = || stored.iter().filter(|(_, stored)| stored.is_ok()).map(|(name, _)| *name);
            if state.known.len() + whole().count() > KNOWN_MAX {
                state.known.clear();
            }
            state.known.extend(whole());
        }
        let mut cache = self.cache.lock();
        let answer = |(name, bytes): (&ContentRef, &Bytes)| match stored.get(name) {
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(())) => {
                cache.put(*name, bytes);
                Ok(*name)
            }
            None => Ok(*name),
        };
        names.iter().zip(payloads).map(answer).collect()
    }

    /// What is not known to be on disk, each once.
    fn not_known<'a>(&self, names: &[ContentRef], payloads: &'a [Bytes]) -> Vec<(ContentRef, &'a Bytes)> {
        let (mut state, mut seen) = (self.state.lock(), HashSet::new());
        // Before looking whether they are there: from here on a collection leaves them alone.
        if let Some(put) = &mut state.put {
            put.extend(names.iter().copied());
        }
        let new = |(name, _): &(&ContentRef, &Bytes)| !state.known.contains(*name) && seen.insert(**name);
        names.iter().zip(payloads).filter(new).map(|(name, bytes)| (*name, bytes)).collect()
    }

    fn store(&self, new: &[(ContentRef, &Bytes)]) -> BTreeMap<ContentRef, Result<(), PutError>> {
        let mut stored: BTreeMap<_, _> = match self.make_folders(new) {
            Ok(()) => {
                let written = side_by_side(new, |(name, bytes)| self.slots.with(|| self.write(*name, bytes)));
                new.iter().map(|(name, _)| *name).zip(written).collect()
            }
            Err(error) => new.iter().map(|(name, _)| (*name, Err(error.clone()))).collect(),
        };
        let written = stored.iter().filter(|(_, written)| written.is_ok());
        let folders: BTreeSet<_> = written.map(|(name, _)| self.folder_of(*name)).collect();
        let folders: Vec<_> = folders.into_iter().collect();
        let synced = side_by_side(&folders, |folder| self.slots.with(|| sync_dir(folder).map_err(PutError::from)));
        for (folder, synced) in folders.iter().zip(synced) {
            let Err(error) = synced else { continue };
            for (name, stored) in stored.iter_mut().filter(|(name, _)| self.folder_of(**name) == *folder) {
                self.note_orphans(name.len);
                *stored = Err(error.clone());
            }
        }
        stored
    }

    fn write(&self, name: ContentRef, bytes: &[u8]) -> Result<(), PutError> {
        let path = path_of(&self.folder, name);
        // A file of an earlier run is whole, but it may have been damaged since.
        if fs::metadata(&path).is_ok_and(|file| file.len() == name.len)
            && fs::read(&path).is_ok_and(|stored| stored == bytes)
        {
            return Ok(());
        }
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{number}.tmp"));
        self.state.lock().writing.insert(temporary.clone());
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        });
        if written.is_err() {
            // It takes room that is missed elsewhere; a collection removes it otherwise.
            drop(fs::remove_file(&temporary));
        }
        self.state.lock().writing.remove(&temporary);
        Ok(written?)
    }

    fn folder_of(&self, name: ContentRef) -> PathBuf {
        let path = path_of(&self.folder, name);
        path.parent().map_or_else(|| self.folder.clone(), Path::to_owned)
    }

    /// Makes the folders of files, and brings their names to the disk.
    fn make_folders(&self, new: &[(ContentRef, &Bytes)]) -> Result<(), PutError> {
        let wanted: BTreeSet<_> = new.iter().map(|(name, _)| self.folder_of(*name)).collect();
        let missing: Vec<_> = {
            let known = &self.state.lock().folders;
            wanted.into_iter().filter(|folder| !known.contains(folder)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        missing.iter().try_for_each(fs::create_dir_all)?;
        let above = self.folder.parent().unwrap_or(&self.folder);
        let first = self.state.lock().folders.is_empty();
        if first {
            sync_dir(above)?;
        }
        sync_dir(&self.folder)?;
        self.state.lock().folders.extend(missing);
        Ok(())
    }
}

/// Does something to each of some items, several at a time. Answers in their order.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let take = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let one = work(item);
            done.lock().push((index, one));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..items.len().min(WIDTH) {
            // Where there is no thread to be had, the others do its part.
            drop(std::thread::Builder::new().spawn_scoped(scope, take));
        }
        take();
    });
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, one)| one).collect()
}
