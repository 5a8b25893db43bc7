//! Looks at what is left of a log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use tidewire_log::backup::{Progress, is_backup, verify_backup};
use tidewire_log::{COMPACTED, CompactOrder, EventLog, JournalLog};
use tidewire_model::event::{Event, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_model::retention::LOG_STREAM;

use crate::files::copy_log;
use crate::life::History;
use crate::people::{self, Plain, Traces};
use crate::{tally, writer};

/// What is larger lies in a file of its own.
const INLINE_MAX: usize = 4096;

/// Opens a copy of the log and compares it with what was said. Answers how many events there are.
///
/// # Errors
/// What is missing or wrong.
pub fn check(folder: impl AsRef<Path>, history: &History) -> Result<u64, String> {
    let copy = tempfile::tempdir().unwrap();
    copy_log(folder.as_ref(), copy.path());
    let left = Plain::of(copy.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let found = runtime.block_on(check_log(copy.path(), history))?;
    let verified = tidewire_log::verify(copy.path()).map_err(|error| error.full_text())?;
    found.people.were_cleared(&left, history)?;
    let plain = Plain::of(copy.path())?;
    if let Some((place, file)) = plain.people.iter().next() {
        return Err(format!("what was cleared can be read: {place:?} in {}", file.display()));
    }
    if let Some(event) = found.in_clear().find(|event| !plain.others.contains(event)) {
        return Err(format!("the control: {event:?} is not encrypted, and is not found"));
    }
    if !verified.problems.is_empty() {
        return Err(format!("verify finds {:?}", verified.problems));
    }
    if verified.dropped != found.missing.len() as u64 {
        let missing = found.missing.len();
        return Err(format!("{missing} events are missing, {} left their hashes in archives", verified.dropped));
    }
    Ok(found.positions)
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

/// What is there, and what is not.
struct Found {
    /// The positions of the events of each commit, by their number in it.
    commits: BTreeMap<u64, BTreeMap<u64, u64>>,
    versions: BTreeMap<StreamName, BTreeSet<u64>>,
    people: Traces,
    /// How many events lie in files of their own for sure, and how many may.
    in_files: RangeInclusive<u64>,
    /// What the log says that it has dropped: the first and last position, and how many events.
    dropped: Vec<(u64, u64, u64)>,
    /// How many events there are.
    positions: u64,
    /// The positions at which there is none.
    missing: BTreeSet<u64>,
}

async fn check_log(folder: &Path, history: &History) -> Result<Found, String> {
    let text = |error: tidewire_log::LogError| error.full_text();
    let log = JournalLog::open_with(folder, writer::options(&Arc::new(history.day.into()))).map_err(text)?;
    log.ready().await.map_err(text)?;
    if let Some(reason) = log.health().read_only {
        return Err(format!("the log is read-only: {reason}"));
    }
    if log.head().get() < history.seen {
        return Err(format!("{} events are missing that a subscriber saw", history.seen - log.head().get()));
    }
    // Records what a pass that was interrupted has dropped.
    log.compact(CompactOrder { dry_run: true, ..CompactOrder::default() }).await.map_err(text)?;
    let mut found = Found {
        commits: BTreeMap::new(),
        versions: BTreeMap::new(),
        people: Traces::default(),
        in_files: 0..=0,
        dropped: Vec::new(),
        positions: 0,
        missing: BTreeSet::new(),
    };
    let mut next = Some(Position::FIRST);
    let mut last = 0;
    while let Some(from) = next {
        let page = log.read(Query::forwards(Filter::default(), from, 10_000)).await.map_err(text)?;
        for event in &page.events {
            found.take(event)?;
            found.missing.extend(last + 1..event.position.get());
            last = event.position.get();
        }
        next = page.next;
    }
    if last != log.head().get() {
        return Err(format!("the last event is {last}, the head {}", log.head()));
    }
    found.newest_are_there(&log).await?;
    found.fits(history)?;
    found.state_fits(&log, history).await?;
    found.people.fit(&log, folder, history).await?;
    found.content_fits(&log).await?;
    found.snapshot_fits(&log, history).await?;
    log.close().await;
    Ok(found)
}

impl Found {
    fn take(&mut self, event: &Event) -> Result<(), String> {
        let position = event.position.get();
        self.positions += 1;
        self.versions.entry(event.stream.clone()).or_default().insert(event.version);
        if event.event_type == COMPACTED {
            let data = event.data_json().map_err(|error| format!("the data at {position}: {error}"))?;
            let number = |name: &str| data[name].as_u64().ok_or(format!("no {name} at {position}"));
            self.dropped.push((number("firstPosition")?, number("lastPosition")?, number("events")?));
        }
        if event.stream.as_str() == LOG_STREAM {
            return Ok(());
        }
        let (c, i) = self.people.take(event)?;
        // Encryption adds a little, and what is erased does not tell its size.
        let (sure, maybe) = (event.data.len() > INLINE_MAX, event.key_id.is_some());
        self.in_files = self.in_files.start() + u64::from(sure)..=self.in_files.end() + u64::from(sure || maybe);
        if self.commits.entry(c).or_default().insert(i, position).is_some() {
            return Err(format!("the event at {position} is there twice"));
        }
        Ok(())
    }

    /// The events that everybody may read.
    fn in_clear(&self) -> impl Iterator<Item = (u64, u64)> {
        let all = self.commits.iter().flat_map(|(c, events)| events.keys().map(|i| (*c, *i)));
        all.filter(|(c, i)| people::stream_of(*c, *i).is_none())
    }

    /// No policy drops the newest events of a stream.
    async fn newest_are_there(&self, log: &JournalLog) -> Result<(), String> {
        let streams = (0..writer::STREAMS).map(|n| StreamName::new(format!("thing-{n}")).unwrap()).collect();
        for head in log.heads(streams).await.map_err(|error| error.full_text())? {
            let found = self.versions.get(&head.stream);
            let mut newest = head.version.saturating_sub(writer::KEPT) + 1..=head.version;
            if let Some(version) = newest.find(|version| found.is_none_or(|found| !found.contains(version))) {
                return Err(format!("version {version} of {} is missing, its head is {}", head.stream, head.version));
            }
        }
        Ok(())
    }

    /// Everything is where it was said to be, or was dropped, which the log has to tell.
    fn fits(&self, history: &History) -> Result<(), String> {
        let recorded: u64 = self.dropped.iter().map(|(.., events)| events).sum();
        let unrecorded = |at: &&u64| !self.dropped.iter().any(|(first, last, _)| (first..=last).contains(at));
        if let Some(at) = self.missing.iter().find(unrecorded) {
            return Err(format!("the event at {at} is missing, and no record tells why: {:?}", self.dropped));
        }
        if recorded != self.missing.len() as u64 {
            let missing = self.missing.len();
            return Err(format!("{missing} events are missing, {recorded} were dropped: {:?}", self.dropped));
        }
        let mut missing = self.missing.clone();
        for c in history.acks.keys().chain(self.commits.keys()).collect::<BTreeSet<_>>() {
            self.commit_fits(*c, history, &mut missing)?;
        }
        // What is left was never acknowledged, and was dropped as a whole.
        let gone = history.begun.iter().filter(|c| !self.commits.contains_key(c) && !history.acks.contains_key(c));
        let gone: u64 =
            gone.filter(|c| goes_whole(**c) && !history.young.contains(c)).map(|c| writer::events(*c)).sum();
        if missing.len() as u64 > gone {
            return Err(format!("acknowledged events may be missing at {missing:?}"));
        }
        Ok(())
    }

    fn commit_fits(&self, c: u64, history: &History, missing: &mut BTreeSet<u64>) -> Result<(), String> {
        let none = BTreeMap::new();
        let events = self.commits.get(&c).unwrap_or(&none);
        if !history.begun.contains(&c) {
            return Err(format!("nobody wrote commit {c}: {events:?}"));
        }
        let begins = events.first_key_value().map(|(i, at)| at - i);
        let Some(first) = history.acks.get(&c).copied().or(begins) else { return Ok(()) };
        for i in 0..writer::events(c) {
            let at = first + i;
            let is_there = events.get(&i) == Some(&at);
            let was_dropped = missing.remove(&at) && writer::may_go(c, i) && !history.young.contains(&c);
            if !is_there && !was_dropped {
                let kind = if history.acks.contains_key(&c) { "acknowledged commit" } else { "commit" };
                return Err(format!("event {i} of {kind} {c} at {first} is missing: {events:?}"));
            }
        }
        if events.len() as u64 > writer::events(c) {
            return Err(format!("commit {c} has more events than it was given: {events:?}"));
        }
        Ok(())
    }

    /// What was acknowledged and is gone was taken down before.
    async fn snapshot_fits(&self, log: &JournalLog, history: &History) -> Result<(), String> {
        let (position, ids) = tally::newest(log).await.map_err(|error| error.full_text())?;
        for (c, first) in &history.acks {
            let mut gone = (0..writer::events(*c)).filter(|i| self.missing.contains(&(first + i)));
            if let Some(i) = gone.find(|i| !ids.contains(&format!("c{c}-{i}"))) {
                return Err(format!("event {i} of commit {c} was dropped, and the snapshot at {position} lacks it"));
            }
        }
        Ok(())
    }

    /// Every content file is referred to once the log was swept.
    async fn content_fits(&self, log: &JournalLog) -> Result<(), String> {
        let swept = async || log.sweep_content().await.map_err(|error| error.full_text());
        let (first, again) = (swept().await?, swept().await?);
        if again.files > 0 || !self.in_files.contains(&again.kept) {
            return Err(format!("of {:?} content files, {first:?}, then {again:?}", self.in_files));
        }
        Ok(())
    }

    async fn state_fits(&self, log: &JournalLog, history: &History) -> Result<(), String> {
        let states = async |prefix: &str| log.states(prefix.into()).await.map_err(|error| error.full_text());
        let value = |value: &[u8]| u64::from_le_bytes(value.try_into().unwrap());
        let stated: BTreeSet<u64> = states("commit/").await?.iter().map(|(_, stored)| value(stored)).collect();
        let known = history.acks.keys().chain(self.commits.keys());
        if let Some(c) = known.into_iter().find(|c| !stated.contains(c)) {
            return Err(format!("the state of commit {c} is missing"));
        }
        let unfounded = |c: &&u64| !history.begun.contains(c) || !self.commits.contains_key(c) && !goes_whole(**c);
        if let Some(c) = stated.iter().find(unfounded) {
            return Err(format!("there is the state of commit {c}, and not its events"));
        }
        for (key, stored) in states("latest/").await? {
            let last = value(&stored);
            let at = |c: u64| history.acks.get(&c).or_else(|| self.commits.get(&c)?.values().next()).copied();
            let same = stated.iter().filter(|c| *c % writer::LATEST == last % writer::LATEST);
            let newest = same.filter_map(|c| at(*c)).max();
            let went_back = !history.retried.contains(&last) && at(last).is_some_and(|at| Some(at) < newest);
            if !stated.contains(&last) || key != format!("latest/{}", last % writer::LATEST) || went_back {
                return Err(format!("{key} is of commit {last} at {:?}, not of the newest at {newest:?}", at(last)));
            }
        }
        Ok(())
    }
}

/// Whether a commit may be dropped to its last event.
fn goes_whole(c: u64) -> bool {
    (0..writer::events(c)).all(|i| writer::may_go(c, i))
}
