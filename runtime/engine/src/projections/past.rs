//! An entry as it was: its events folded again, up to a moment.

use std::sync::Arc;

use tidewire_log::{EventLog, LogError};
use tidewire_model::Value;
use tidewire_model::position::Position;
use tidewire_model::query::Query;
use tidewire_node_api::handles::{At, Entry, ProjectionSpec};

use super::fold::guarded;

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
    let mut state = Value::Undefined;
    let (mut position, mut time) = (Position::ZERO, 0);
    let mut from = Position::FIRST;
    while from <= until {
        let page = log.read(Query::forwards(filter.clone(), from, PAGE)).await?;
        for event in page.events.iter().take_while(|event| event.position <= until) {
            if !spec.filter.matches(event) || guarded(|| spec.reducer.key(event)).ok().flatten().as_deref() != Some(key)
            {
                continue;
            }
            let before = (!state.is_undefined()).then_some(&state);
            // What is parked when it happens has no effect in the past either.
            let Ok(Ok(after)) = guarded(|| spec.reducer.apply(before, event)) else { continue };
            if after.is_undefined() && state.is_undefined() {
                continue;
            }
            state = after;
            (position, time) = (event.position, event.time);
        }
        let Some(next) = page.next else { break };
        from = next;
        tokio::task::yield_now().await;
    }
    if state.is_undefined() {
        return Ok(None);
    }
    let value = guarded(|| spec.reducer.present(&state)).unwrap_or_else(Value::from);
    Ok(Some(Entry { key: key.to_owned(), value, position, time }))
}
