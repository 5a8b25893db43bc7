//! What a read model has of events that are dropped: their ids, in a snapshot that is written before they go.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidewire_log::snapshots::{keep, list};
use tidewire_log::{EventLog, JournalLog, LogError};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

use crate::writer::DROPPED;

const NAME: &str = "tally";

/// Writes down the ids of everything that may be dropped by now.
pub async fn take(log: &Arc<JournalLog>) -> Result<(), String> {
    take_it(log).await.map_err(|error| error.full_text())
}

async fn take_it(log: &Arc<JournalLog>) -> Result<(), LogError> {
    let head = log.head();
    let (position, mut ids) = newest(log).await?;
    let mut next = Some(position.next());
    while let Some(from) = next.filter(|from| *from <= head) {
        let page = log.read(Query::forwards(Filter::types([DROPPED]), from, 10_000)).await?;
        ids.extend(page.events.iter().filter(|event| event.position <= head).map(|event| event.id.to_string()));
        next = page.next;
    }
    let files = log.snapshots();
    let write = move || {
        let mut writer = files.begin(NAME, "1", head)?;
        ids.iter().try_for_each(|id| writer.put(id, b"1"))?;
        Ok::<_, LogError>(writer)
    };
    keep(&**log, tokio::task::spawn_blocking(write).await.unwrap()?).await.map(drop)
}

/// What the newest one holds, and where it stands.
pub async fn newest(log: &JournalLog) -> Result<(Position, BTreeSet<String>), LogError> {
    let mut ids = BTreeSet::new();
    let Some(newest) = list(log, Some(NAME)).await?.pop() else { return Ok((Position::ZERO, ids)) };
    log.snapshots().read(&newest, &mut |id, _| {
        ids.insert(id.to_owned());
        Ok(())
    })?;
    Ok((newest.position, ids))
}
