//! Streams that hold personal data: which ones, and how one of them is erased.
//!
//! The log itself remembers both: a key whose id stands under `erased-key/` must not exist any more, wherever a copy of
//! it turns up. What read models made of the data is not known here; whoever keeps them goes through
//! [`unfinished_erasures`] and says when they are clean.

use std::collections::HashSet;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion, StateChange};
use tidewire_model::event::{EventId, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

use crate::shared::Shared;
use crate::store::Store;
use crate::{Commit, EventLog, LogError, lists};

/// The stream of what the log says of itself.
const LOG_STREAM: &str = "$log";
/// The state that holds the patterns of personal streams.
const PATTERNS: &str = "personal/streams";
/// Before the id of each erased key; the value is its stream.
const ERASED: &str = "erased-key/";
/// Before the id of each erased key whose traces in read models may still be there; the value is its stream.
const TRACES: &str = "erasing-key/";
/// The most patterns, and the longest.
const PATTERNS_MAX: usize = 1_000;

/// Why personal data was not erased or marked.
#[derive(Debug, thiserror::Error)]
pub enum PersonalError {
    /// Nothing in the stream is encrypted.
    #[error(
        "nothing in the stream '{0}' is encrypted, so it cannot be erased; mark it as personal before events are appended"
    )]
    NotPersonal(StreamName),
    /// A pattern that cannot be used.
    #[error("'{0}' is no pattern of streams; use 1 to 512 printable bytes, with * for any run of characters")]
    Pattern(String),
    /// Too many patterns.
    #[error("there are {0} patterns of personal streams, {PATTERNS_MAX} are allowed; use * to say more with one")]
    Patterns(usize),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log did not take it down.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The keys could not be read or destroyed. What is taken down already is done at the next start.
    #[error("{0}")]
    Keys(String),
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The stream whose data is gone.
    pub stream: StreamName,
    /// The key that was destroyed.
    pub key_id: CompactString,
    /// Where that is taken down; zero when it had happened before.
    pub position: Position,
    /// How many events of the stream were stored before it was personal: they are not encrypted and stay.
    pub in_clear: u64,
}

/// Says which streams hold personal data from now on; what is in the log already stays as it is.
///
/// # Errors
/// Nothing has changed then.
pub async fn set_personal(log: &dyn EventLog, patterns: Vec<CompactString>, actor: &str) -> Result<(), PersonalError> {
    let usable = |pattern: &CompactString| {
        !pattern.is_empty() && pattern.len() <= StreamName::MAX_LEN && !pattern.chars().any(char::is_control)
    };
    if patterns.len() > PATTERNS_MAX {
        return Err(PersonalError::Patterns(patterns.len()));
    }
    if let Some(bad) = patterns.iter().find(|pattern| !usable(pattern)) {
        return Err(PersonalError::Pattern(bad.chars().take(40).flat_map(char::escape_debug).collect()));
    }
    log.ready().await?;
    let bodies = log.bodies();
    let _one_at_a_time = bodies.changing.lock().await;
    let before = log.state(PATTERNS.into()).await?.map(|stored| read_patterns(&stored)).unwrap_or_default();
    let text = serde_json::to_vec(&patterns).unwrap_or_default();
    let data = serde_json::json!({ "streams": patterns, "before": before });
    // What is appended while this is written is encrypted already.
    let both = before.iter().chain(&patterns).cloned().collect();
    bodies.settle(both);
    let commit = Commit {
        requests: vec![own_event("tidewire.log.personal-changed", &data, actor, None)],
        state: vec![StateChange { key: PATTERNS.into(), value: Some(text.into()) }],
    };
    match log.commit(commit).await {
        Ok(_) => {
            bodies.settle(patterns);
            Ok(())
        }
        Err(error) => {
            bodies.settle(before);
            Err(error.into())
        }
    }
}

pub(crate) fn own_event(event_type: &str, data: &serde_json::Value, actor: &str, id: Option<EventId>) -> AppendRequest {
    let event = NewEvent { id, actor: Some(actor.into()), ..NewEvent::json(event_type, data) };
    let stream = StreamName::reserved(LOG_STREAM).expect("a constant that is a stream's name");
    AppendRequest { stream, expected: ExpectedVersion::Any, events: vec![event.with_source("/log")] }
}

/// Destroys the key of a stream, so that nothing that was appended to it so far can be read any more. Repeating it is
/// harmless; interrupted, it goes on when the log is opened the next time. What is appended later gets a new key.
///
/// # Errors
/// When the stream has nothing that is encrypted, or when log or keys cannot be read or written.
pub async fn erase(log: &dyn EventLog, stream: &StreamName, actor: &str) -> Result<Erasure, PersonalError> {
    log.ready().await?;
    let bodies = log.bodies();
    let _one_at_a_time = bodies.changing.lock().await;
    let Some(key_id) = bodies.keys.id_of(stream).map_err(PersonalError::Keys)? else {
        let erased = log.states(ERASED.into()).await?;
        let before = erased.iter().filter_map(|(key, value)| read_tombstone(key, value)).find(|(_, of)| of == stream);
        let (key_id, _) = before.ok_or_else(|| PersonalError::NotPersonal(stream.clone()))?;
        let in_clear = count_in_clear(log, stream).await?;
        return Ok(Erasure { stream: stream.clone(), key_id, position: Position::ZERO, in_clear });
    };
    bodies.keys.withhold(&key_id);
    let data = serde_json::json!({ "stream": stream, "keyId": key_id });
    let id = EventId::from(format!("erased-{key_id}"));
    let commit = Commit {
        requests: vec![own_event("tidewire.subject.erased", &data, actor, Some(id))],
        state: vec![tombstone(&key_id, stream), mark(TRACES, &key_id, stream)],
    };
    let position = match log.commit(commit).await {
        Ok(appended) => appended.first().map_or(Position::ZERO, |appended| appended.first_position),
        Err(error) => {
            // Where it is not known whether it was stored, the next start knows.
            bodies.keys.spare(&key_id);
            return Err(error.into());
        }
    };
    bodies.keys.erase(&key_id, stream).map_err(PersonalError::Keys)?;
    tracing::info!(%stream, %key_id, actor, "personal data erased");
    let in_clear = count_in_clear(log, stream).await?;
    Ok(Erasure { stream: stream.clone(), key_id, position, in_clear })
}

/// Remembers that a key is erased, whoever brings it back.
pub(crate) fn tombstone(key_id: &str, stream: &StreamName) -> StateChange {
    mark(ERASED, key_id, stream)
}

fn mark(prefix: &str, key_id: &str, stream: &StreamName) -> StateChange {
    StateChange {
        key: compact_str::format_compact!("{prefix}{key_id}"),
        value: Some(Bytes::copy_from_slice(stream.as_str().as_bytes())),
    }
}

async fn count_in_clear(log: &dyn EventLog, stream: &StreamName) -> Result<u64, LogError> {
    let (mut count, mut next) = (0, Some(Position::FIRST));
    while let Some(from) = next {
        let page = log.read(Query::forwards(Filter::stream(stream.as_str()), from, Query::MAX_LIMIT)).await?;
        count += page.events.iter().filter(|event| event.key_id.is_none()).count() as u64;
        next = page.next;
    }
    Ok(count)
}

/// Erased streams whose traces in read models may still be there, with the keys that were destroyed.
///
/// # Errors
/// When the log cannot be read.
pub async fn unfinished_erasures(log: &dyn EventLog) -> Result<Vec<(CompactString, StreamName)>, LogError> {
    let stored = log.states(TRACES.into()).await?;
    let erasing = stored.iter().filter_map(|(key, value)| {
        let stream = StreamName::reserved(std::str::from_utf8(value).ok()?).ok()?;
        Some((CompactString::from(key.strip_prefix(TRACES)?), stream))
    });
    Ok(erasing.collect())
}

/// Notes that no read model holds anything of an erased stream any more.
///
/// # Errors
/// When the log does not take it down; it is gone through again at the next start.
pub async fn finish_erasure(log: &dyn EventLog, key_id: &str) -> Result<(), AppendError> {
    let change = StateChange { key: compact_str::format_compact!("{TRACES}{key_id}"), value: None };
    log.commit(Commit { requests: Vec::new(), state: vec![change] }).await.map(drop)
}

/// The ids of all keys that were ever erased: no backup may bring them back.
///
/// # Errors
/// When the log cannot be read.
pub async fn erased_keys(log: &dyn EventLog) -> Result<HashSet<CompactString>, LogError> {
    let stored = log.states(ERASED.into()).await?;
    Ok(stored.iter().filter_map(|(key, _)| key.strip_prefix(ERASED).map(CompactString::from)).collect())
}

/// The patterns in their state.
fn read_patterns(stored: &[u8]) -> Vec<CompactString> {
    serde_json::from_slice(stored).unwrap_or_default()
}

/// The key and stream that a tombstone is of.
fn read_tombstone(key: &str, value: &[u8]) -> Option<(CompactString, StreamName)> {
    let id = key.strip_prefix(ERASED)?;
    let stream = StreamName::reserved(std::str::from_utf8(value).ok()?).ok()?;
    Some((id.into(), stream))
}

/// Takes over what the log remembers. Erased keys that are there, because a crash came in between or because a backup
/// was put back, are destroyed.
pub(crate) fn settle(shared: &Shared, store: &Store) -> Result<(), LogError> {
    let tombstones = lists::states(shared, store, ERASED)?;
    for (id, stream) in tombstones.iter().filter_map(|(key, value)| read_tombstone(key, value)) {
        if let Err(reason) = shared.bodies.keys.erase(&id, &stream) {
            tracing::error!(reason, "an erased key could not be destroyed");
            shared.notice(format!("an erased key could not be destroyed: {reason}"));
        }
    }
    let stored = lists::states(shared, store, PATTERNS)?;
    shared.bodies.settle(stored.first().map(|(_, value)| read_patterns(value)).unwrap_or_default());
    Ok(())
}
