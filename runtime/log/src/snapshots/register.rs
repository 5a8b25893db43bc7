//! Which snapshots there are, as the log's state says, and when they count.

use std::collections::HashSet;

use bytes::Bytes;
use tidewire_model::append::StateChange;

use super::{REGISTER, SnapshotInfo, SnapshotWriter, stream_of};
use crate::personal::tombstone;
use crate::{Commit, EventLog, LogError};

/// Of so many definitions of one read model the newest snapshot stays: somebody may go back to an earlier one.
const DEFINITIONS_MAX: usize = 3;

fn change(info: &SnapshotInfo, there: bool) -> StateChange {
    let value = there.then(|| serde_json::to_vec(info).map(Bytes::from).unwrap_or_default());
    StateChange { key: compact_str::format_compact!("{REGISTER}{}", info.file), value }
}

/// All snapshots there are of a read model, or of all, in order of position.
///
/// # Errors
/// When the log cannot be read.
pub async fn list(log: &dyn EventLog, name: Option<&str>) -> Result<Vec<SnapshotInfo>, LogError> {
    let stored = log.states(REGISTER.into()).await?;
    let mut infos: Vec<SnapshotInfo> =
        stored.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect();
    infos.retain(|info| name.is_none_or(|name| info.name == name));
    infos.sort_by_key(|info| info.position);
    Ok(infos)
}

/// Those that a new one makes superfluous: earlier ones of its definition, and of definitions that are long gone.
fn superseded(new: &SnapshotInfo, others: Vec<SnapshotInfo>) -> Vec<SnapshotInfo> {
    let (mut gone, mut rest): (Vec<_>, Vec<_>) = others
        .into_iter()
        .filter(|one| one.file != new.file)
        .partition(|one| one.definition == new.definition && one.position <= new.position);
    rest.retain(|one| one.definition != new.definition);
    rest.sort_by_key(|one| std::cmp::Reverse((one.made, one.position)));
    gone.extend(rest.into_iter().skip(DEFINITIONS_MAX - 1));
    gone
}

async fn remove_unknown(log: &dyn EventLog, waits: bool) -> Result<(), LogError> {
    let all = list(log, None).await?;
    let snapshots = log.snapshots();
    let work = move || {
        let known: HashSet<&str> = all.iter().map(|info| info.file.as_str()).collect();
        let alone = if waits { Some(snapshots.removing.lock()) } else { snapshots.removing.try_lock() };
        // A backup under way needs them; the next one to be kept removes them.
        alone.map_or(Ok(()), |alone| snapshots.sweep(&known, &alone))
    };
    crate::blocking(work).await
}

/// Makes a snapshot count, in place of earlier ones of its read model. It is durable when this returns.
///
/// # Errors
/// When it cannot be written or taken down; the earlier ones count then.
pub async fn keep(log: &dyn EventLog, writer: SnapshotWriter) -> Result<SnapshotInfo, LogError> {
    replace(log, writer, false).await
}

/// As [`keep`], and forgets all others of the read model for good, as [`erase`] does.
///
/// # Errors
/// As [`keep`].
pub async fn keep_alone(log: &dyn EventLog, writer: SnapshotWriter) -> Result<SnapshotInfo, LogError> {
    replace(log, writer, true).await
}

async fn replace(log: &dyn EventLog, writer: SnapshotWriter, alone: bool) -> Result<SnapshotInfo, LogError> {
    let place = log.snapshots();
    let kept = async {
        let (info, _unfinished) = crate::blocking(move || writer.finish().map(|done| place.written(done))).await?;
        let others = list(log, Some(&info.name)).await?;
        let gone = if alone { others } else { superseded(&info, others) };
        forget(log, &gone, Some(change(&info, true)), alone).await?;
        Ok(info)
    }
    .await;
    if let Err(error) = remove_unknown(log, alone).await {
        tracing::warn!(error = error.full_text(), "old snapshots were not removed");
    }
    kept
}

/// Forgets all snapshots of a read model for good: their keys are destroyed, so that no copy of them can be read.
///
/// # Errors
/// When the log or the files cannot be written; to be called again then.
pub async fn erase(log: &dyn EventLog, name: &str) -> Result<(), LogError> {
    let gone = list(log, Some(name)).await?;
    forget(log, &gone, None, true).await?;
    remove_unknown(log, true).await
}

/// Takes snapshots out of the log's state and destroys their keys; `for_good` also those that somebody brings back.
async fn forget(
    log: &dyn EventLog,
    gone: &[SnapshotInfo],
    with: Option<StateChange>,
    for_good: bool,
) -> Result<(), LogError> {
    let mut state: Vec<StateChange> = with.into_iter().collect();
    let mut keys = Vec::new();
    for one in gone {
        state.push(change(one, false));
        let Some(id) = &one.key_id else { continue };
        let stream = stream_of(&one.file)?;
        if for_good {
            state.push(tombstone(id, &stream));
        }
        keys.push((id, stream));
    }
    if state.is_empty() {
        return Ok(());
    }
    let taken = log.commit(Commit { requests: Vec::new(), state }).await;
    taken.map_err(|error| LogError::Retention(format!("a snapshot could not be taken down: {error}")))?;
    let bodies = log.bodies();
    for (id, stream) in keys {
        let failed = |reason| LogError::Snapshot { name: stream.to_string(), reason };
        bodies.keys.erase(id, &stream).map_err(failed)?;
    }
    Ok(())
}
