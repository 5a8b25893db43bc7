//! Looks at what is left of a log.

use std::collections::BTreeMap;
use std::path::Path;

use tidewire_log::backup::{Progress, is_backup, verify_backup};
use tidewire_log::{EventLog, JournalLog};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

use crate::files::copy_log;
use crate::life::History;
use crate::writer;

/// Opens a copy of the log and compares it with what was said. Answers how many events there are.
///
/// # Errors
/// What is missing or wrong.
pub fn check(folder: impl AsRef<Path>, history: &History) -> Result<u64, String> {
    let copy = tempfile::tempdir().unwrap();
    copy_log(folder.as_ref(), copy.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let events = runtime.block_on(check_log(copy.path(), history))?;
    let verified = tidewire_log::verify(copy.path()).map_err(|error| error.full_text())?;
    if verified.problems.is_empty() { Ok(events) } else { Err(format!("verify finds {:?}", verified.problems)) }
}

/// Looks at a backup that was under way, if one was: what is complete is whole.
///
/// # Errors
/// What is missing or wrong.
pub fn check_backup(backup: &Path, history: &History) -> Result<(), String> {
    if history.backed_up == 0 && !is_backup(backup) {
        return Ok(());
    }
    let checked = verify_backup(backup, &Progress::default()).map_err(|error| format!("the backup: {error}"))?;
    let position = checked.end.position.get();
    if !checked.problems.is_empty() || position < history.backed_up {
        return Err(format!(
            "the backup ends at {position}, {} was promised: {:?}",
            history.backed_up, checked.problems
        ));
    }
    Ok(())
}

async fn check_log(folder: &Path, history: &History) -> Result<u64, String> {
    let text = |error: tidewire_log::LogError| error.full_text();
    let log = JournalLog::open_with(folder, writer::options()).map_err(text)?;
    log.ready().await.map_err(text)?;
    let health = log.health();
    if let Some(reason) = health.read_only {
        return Err(format!("the log is read-only: {reason}"));
    }
    // The positions of the events of each commit.
    let mut found: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    let mut position = 0;
    let mut next = Some(Position::FIRST);
    while let Some(from) = next {
        let page = log.read(Query::forwards(Filter::default(), from, 10_000)).await.map_err(text)?;
        for event in &page.events {
            position += 1;
            if event.position.get() != position {
                return Err(format!("position {} where {position} belongs: a gap", event.position));
            }
            let data = event.data_json().map_err(|error| format!("the data at {position}: {error}"))?;
            let number = |name: &str| data[name].as_u64().ok_or(format!("no {name} at {position}"));
            found.entry(number("c")?).or_default().push((number("i")?, position));
        }
        next = page.next;
    }
    if position < history.seen {
        return Err(format!("{} events are missing that a subscriber saw", history.seen - position));
    }
    let missing: Vec<_> =
        history.acks.iter().filter(|(c, first)| found.get(c).is_none_or(|at| at[0].1 != **first)).collect();
    if let Some((c, first)) = missing.first() {
        let count = missing.len();
        return Err(format!("{count} acknowledged commits are missing, the first is {c} at {first}; head {position}"));
    }
    for (c, events) in &found {
        let whole = (0..writer::events(*c)).map(|i| (i, events[0].1 + i));
        if !whole.eq(events.iter().copied()) || !history.begun.contains(c) {
            return Err(format!("commit {c} is not whole, or nobody wrote it: {events:?}"));
        }
    }
    let states = log.states("commit/".into()).await.map_err(text)?;
    let stated = |(key, value): &(compact_str::CompactString, bytes::Bytes)| {
        let c = u64::from_le_bytes(value[..].try_into().unwrap());
        assert_eq!(*key, format!("commit/{c}"));
        c
    };
    let mut stated: Vec<u64> = states.iter().map(stated).collect();
    stated.sort_unstable();
    if !stated.iter().eq(found.keys()) {
        return Err(format!("the state tells of {} commits, the events of {}", stated.len(), found.len()));
    }
    log.close().await;
    Ok(position)
}
