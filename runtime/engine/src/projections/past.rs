//! An entry as it was: its events folded again, up to a moment.

use std::sync::Arc;

use tidewire_log::{EventLog, LogError};
use tidewire_model::Value;
use tidewire_model::position::Position;
use tidewire_model::query::Query;
use tidewire_node_api::handles::{At, Entry, ProjectionSpec};

use super::fold::{guarded, open, shown};

/// Events read at a time: bounds the memory that a question takes, however long the history is.
const PAGE: usize = 1_000;

/// The last position that had been recorded at a moment.
pub(super) async fn position_at(log: &dyn EventLog, at: At) -> Result<Position, LogError> {
    match at {
        At::Position(position) => Ok(position.min(log.head())),
        At::Time(time) => Ok(log.position_at_time(time.saturating_add(1)).await?.previous()),
    }
}

/// The entry of a key after the event at `until` had taken effect.
pub(super) async fn entry_at(
    log: &Arc<dyn EventLog>,
    spec: &ProjectionSpec,
    key: &str,
    until: Position,
) -> Result<Option<Entry>, LogError> {
    let filter = spec.reducer.narrow(key).unwrap_or_else(|| spec.filter.clone());
    let mut cell = open(&spec.reducer, Value::Undefined);
    let (mut position, mut time) = (Position::ZERO, 0);
    let mut from = Position::FIRST;
    while from <= until {
        let page = log.read(Query::forwards(filter.clone(), from, PAGE)).await?;
        for event in page.events.iter().take_while(|event| event.position <= until) {
            if !spec.filter.matches(event) {
                continue;
            }
            let mut apply = |found: &str, input: Value| {
                if found == key {
                    let existed = cell.exists();
                    cell.apply(input, event)?;
                    if existed || cell.exists() {
                        (position, time) = (event.position, event.time);
                    }
                }
                Ok(())
            };
            // What is parked when it happens has no effect in the past either.
            let _ = guarded(|| spec.reducer.each(event, &mut apply));
        }
        let Some(next) = page.next else { break };
        from = next;
        tokio::task::yield_now().await;
    }
    if !cell.exists() {
        return Ok(None);
    }
    Ok(Some(Entry { key: key.to_owned(), value: shown(&*cell), position, time }))
}
