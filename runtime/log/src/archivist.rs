//! The thread that turns closed segments into archives and watches the room, behind everything else.
//!
//! A segment is left alone until the store has all of it on disk. A failure is told once and tried again later: the
//! segment stays as it is.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::LogError;
use crate::indexer;
use crate::journal::archiving::{archive, tidy};
use crate::journal::segment::{self, SegmentHead};
use crate::shared::Shared;
use crate::store::Store;

/// How often it looks for something to do.
const EVERY: Duration = Duration::from_secs(1);
/// How long it waits after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Room that has to be left beside a new archive.
const RESERVE: u64 = 64 * 1024 * 1024;

/// Starts the thread. It ends when the log is closing.
pub(crate) fn start(shared: &Arc<Shared>, folder: &Path, archives: bool) -> std::io::Result<JoinHandle<()>> {
    let (shared, folder) = (Arc::clone(shared), folder.to_owned());
    std::thread::Builder::new().name("log-archive".to_owned()).spawn(move || run(&shared, &folder, archives))
}

/// Others go first: nobody waits for an archive, but many for what the same core could do meanwhile.
const NICE: i32 = 15;

fn run(shared: &Shared, folder: &Path, archives: bool) {
    // Of this thread alone, on Linux.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "archiving goes on at the usual priority");
    }
    let mut tidied = false;
    loop {
        shared.space.refresh();
        let worked = if !archives {
            Ok(())
        } else {
            let _alone = shared.archives.lock();
            tidy_once(shared, folder, &mut tidied).and_then(|()| archive_closed(shared, folder, shared.store_durable()))
        };
        let pause = match worked {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(error = error.full_text(), "closed journal segment not archived yet");
                AFTER_FAILURE
            }
        };
        if shared.wait_for_closing(pause) {
            return;
        }
    }
}

fn tidy_once(shared: &Shared, folder: &Path, tidied: &mut bool) -> Result<(), LogError> {
    if !std::mem::replace(tidied, true) {
        for notice in tidy(folder, &segment::list(folder)?)? {
            tracing::warn!(notice, "damaged archive removed, its segment is still there");
            shared.notice(notice);
        }
    }
    Ok(())
}

/// Archives every closed segment that the store has, after bringing the store to the disk.
pub(crate) fn archive_now(shared: &Shared, store: &Store, folder: &Path) -> Result<(), LogError> {
    let _alone = shared.archives.lock();
    shared.set_store_durable(indexer::flush(store)?.0);
    archive_closed(shared, folder, shared.store_durable())
}

/// Archives every closed segment, whether the store has all of it or not: it could take the rest from the archive.
pub(crate) fn archive_all(shared: &Shared, store: &Store, folder: &Path) -> Result<(), LogError> {
    let _alone = shared.archives.lock();
    shared.set_store_durable(indexer::flush(store)?.0);
    archive_closed(shared, folder, u64::MAX - 1)
}

/// Archives every closed segment up to a commit.
fn archive_closed(shared: &Shared, folder: &Path, through: u64) -> Result<(), LogError> {
    for (segment, next) in waiting(folder, through)? {
        let bytes = std::fs::metadata(folder.join(segment.file_name())).map_or(0, |metadata| metadata.len());
        if shared.is_closing() || !shared.has_room(RESERVE.min(bytes)) {
            return Ok(());
        }
        if let Some(head) = archive(folder, &segment, next.previous_root, &mut |_| !shared.is_closing())? {
            tracing::info!(segment = segment.number, bytes, archived = head.end, "journal segment archived");
            shared.archived.send_modify(|count| *count += 1);
        }
    }
    Ok(())
}

/// Closed segments that may be archived, each with the one after it.
fn waiting(folder: &Path, through: u64) -> Result<Vec<(SegmentHead, SegmentHead)>, LogError> {
    if through == 0 {
        return Ok(Vec::new());
    }
    let numbers = segment::plain_numbers(folder)?;
    let mut heads = numbers.iter().map(|number| segment::head_of(folder, *number)).collect::<Result<Vec<_>, _>>()?;
    heads.retain(|head| head.first_commit <= through + 1);
    let pairs = heads.windows(2).filter_map(|pair| match pair {
        [segment, next] if next.number == segment.number + 1 && next.first_commit <= through + 1 => {
            Some((segment.clone(), next.clone()))
        }
        _ => None,
    });
    Ok(pairs.collect())
}
