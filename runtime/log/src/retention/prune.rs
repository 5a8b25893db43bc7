//! Takes out of the store what an archive no longer has.
//!
//! The archive comes first: after a crash between the two, the next start prunes what was left. Events go before the
//! entries of indexes that lead to them; readers pass over those.

use std::collections::HashSet;
use std::ops::Bound;
use std::path::Path;

use tidewire_model::event::StreamName;

use crate::LogError;
use crate::block::{Waiting, block_key, put_block, read_frames, remove_block};
use crate::index;
use crate::indexer::put_head;
use crate::journal::archive::{archive_name, read_archive_head};
use crate::journal::reading::SegmentReader;
use crate::journal::segment::{self, SegmentHead};
use crate::journal::summary::{StoredHead, Summary};
use crate::live::Head;
use crate::shared::Shared;
use crate::store::{Batch, Space, Store};

/// So many changes go into one step, so that readers do not wait.
const STEP: usize = 64;

fn mark_key(number: u64) -> Vec<u8> {
    [b"g", &number.to_be_bytes()[..]].concat()
}

/// The generation of an archive that the store is in step with.
fn marked(store: &Store, number: u64) -> Result<u64, LogError> {
    let stored = store.get(Space::Log, &mark_key(number))?;
    Ok(stored.and_then(|bytes| bytes.first_chunk().copied()).map_or(0, u64::from_le_bytes))
}

/// Brings the store in step with all archives. `from` is the first commit that it took from them just now.
pub(crate) fn reconcile(shared: &Shared, store: &Store, folder: &Path, from: u64) -> Result<(), LogError> {
    for segment in segment::list(folder)? {
        let path = folder.join(archive_name(segment.number));
        let Ok(head) = read_archive_head(&path) else { continue };
        if head.generation == marked(store, segment.number)? {
            continue;
        }
        // What was replayed from the archive is in step already.
        prune(shared, store, folder, &segment, segment.first_commit < from)?;
    }
    Ok(())
}

/// Takes out of the store what the archive of a segment no longer has, and remembers that.
pub(crate) fn prune(
    shared: &Shared,
    store: &Store,
    folder: &Path,
    segment: &SegmentHead,
    remove: bool,
) -> Result<(), LogError> {
    let (head, summary) = Summary::of(&folder.join(archive_name(segment.number)))?;
    {
        let mut live = shared.live.write();
        live.compacted = live.compacted.max(head.last_position);
    }
    if remove {
        let kept = kept_positions(folder, segment)?;
        let range = (segment.first_position, head.last_position);
        prune_blocks(store, &kept, range)?;
        index::forget(store, range, |position| kept.contains(&position))?;
        shared.live.write().forget(|position| (range.0..=range.1).contains(&position) && !kept.contains(&position));
    }
    let mut batch = Batch::default();
    for stored in &summary.heads {
        keep_head(shared, &mut batch, stored);
        if batch.len() >= STEP {
            store.apply(Space::Log, std::mem::take(&mut batch))?;
        }
    }
    batch.put(&mark_key(segment.number), &head.generation.to_le_bytes());
    store.apply(Space::Log, batch)?;
    shared.store_changed();
    Ok(())
}

/// A stream's version never goes back, even when its last event is gone.
fn keep_head(shared: &Shared, batch: &mut Batch, stored: &StoredHead) {
    let Ok(stream) = StreamName::reserved(stored.stream.as_str()) else { return };
    let head = Head { version: stored.version, position: stored.position, recorded_time: stored.recorded_time };
    let mut live = shared.live.write();
    let known = live.heads.entry(stream).or_default();
    if known.position < head.position {
        *known = head;
    }
    put_head(batch, &stored.stream, *known);
}

fn kept_positions(folder: &Path, segment: &SegmentHead) -> Result<HashSet<u64>, LogError> {
    let mut reader = SegmentReader::open_archive(folder, segment)?;
    let mut kept = HashSet::new();
    let damaged = |reason: String| LogError::Damaged(format!("{reason} in {}", archive_name(segment.number)));
    while let Some(entry) = reader.next_entry().map_err(damaged)? {
        let record = entry.into_record().map_err(damaged)?;
        kept.extend(record.events.iter().map(|event| event.position.get()));
    }
    Ok(kept)
}

fn prune_blocks(store: &Store, kept: &HashSet<u64>, (first, last): (u64, u64)) -> Result<(), LogError> {
    let (low, high) = (block_key(0), block_key(first));
    let before = store.range(Space::Log, Bound::Included(&low), Bound::Included(&high)).next_back().transpose()?;
    let low = before.map_or(low.to_vec(), |(key, _)| key.to_vec());
    let mut batch = Batch::default();
    for item in store.range(Space::Log, Bound::Included(&low), Bound::Included(&block_key(last))) {
        let (key, value) = item?;
        let begin = key.last_chunk().copied().map_or(0, u64::from_be_bytes);
        let frames = read_frames(store, begin, &value)?;
        let stays =
            |waiting: &&Waiting| !(first..=last).contains(&waiting.position) || kept.contains(&waiting.position);
        let left: Vec<Waiting> = frames.iter().filter(stays).cloned().collect();
        if left.len() == frames.len() {
            continue;
        }
        remove_block(&mut batch, begin, &value);
        put_block(&mut batch, &left);
        if batch.len() >= STEP {
            store.apply(Space::Log, std::mem::take(&mut batch))?;
        }
    }
    store.apply(Space::Log, batch)
}
