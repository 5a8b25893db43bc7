//! Rewrites one archive without what is dropped.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use tidewire_model::event::Event;

use super::{Finds, Rules};
use crate::LogError;
use crate::envelope::read_frame;
use crate::journal::archive::{ArchiveHead, ArchiveWriter, archive_name};
use crate::journal::archiving::{Halt, put_in_place};
use crate::journal::entry::{Entry, Gap, Part, Thin, dropped_item};
use crate::journal::merkle::{Run, Subtree};
use crate::journal::reading::SegmentReader;
use crate::journal::record::{RECORD_HEAD, Record, read_state, split_state};
use crate::journal::segment::SegmentHead;
use crate::journal::summary::{Dropped, StoredHead, Summary, Summing, state_key};
use crate::live::Head;

/// Looks up the last event of a stream.
pub(crate) type Heads<'a> = &'a dyn Fn(&Event) -> Head;

/// Decides about the items of one segment, and counts.
pub(crate) struct Sieve<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) heads: Heads<'a>,
    /// Keys with a newer change in a later archive.
    pub(crate) newer_state: &'a HashSet<u64>,
    /// How often each key still changes in this segment; the last change stays.
    pub(crate) changes: BTreeMap<u64, u64>,
    pub(crate) finds: Finds,
    pub(crate) state_bytes: u64,
    pub(crate) lost_heads: BTreeMap<String, StoredHead>,
    /// Whether content files may have become superfluous.
    pub(crate) content: bool,
}

impl<'a> Sieve<'a> {
    pub(crate) fn new(rules: &'a Rules, heads: Heads<'a>, newer_state: &'a HashSet<u64>) -> Self {
        Self {
            rules,
            heads,
            newer_state,
            changes: BTreeMap::new(),
            finds: Finds::default(),
            state_bytes: 0,
            lost_heads: BTreeMap::new(),
            content: false,
        }
    }

    /// Counts how often keys change, before anything is decided.
    pub(crate) fn count_state(&mut self, record: &Record) {
        for change in &record.state {
            *self.changes.entry(state_key(&change.key)).or_default() += 1;
        }
    }

    /// Whether an event goes.
    pub(crate) fn takes_event(&mut self, event: &Event, bytes: u64) -> bool {
        let head = (self.heads)(event);
        if !self.finds.add(self.rules, event, head.version, || bytes) {
            return false;
        }
        self.content |= crate::content::references(&event.body).next().is_some();
        if head.position == event.position.get() {
            let stored = StoredHead {
                stream: event.stream.as_str().to_owned(),
                version: head.version,
                position: head.position,
                recorded_time: head.recorded_time,
            };
            self.lost_heads.insert(stored.stream.clone(), stored);
        }
        true
    }

    /// Whether a state change goes: a later one makes it superfluous.
    fn takes_state(&mut self, change: &[u8]) -> bool {
        let Some(key) = read_state(change).map(|change| state_key(&change.key)) else { return false };
        let left = self.changes.entry(key).or_insert(1);
        *left = left.saturating_sub(1);
        let goes = *left > 0 || self.newer_state.contains(&key);
        if goes {
            self.state_bytes += change.len() as u64;
        }
        goes
    }
}

/// Puts together what is left of a record.
struct Thinning {
    parts: Vec<Part>,
    next: u64,
    kept: bool,
    changed: bool,
}

impl Thinning {
    /// Items stand behind the head, which is leaf 0.
    const fn new() -> Self {
        Self { parts: Vec::new(), next: 1, kept: false, changed: false }
    }

    fn keep(&mut self, item: Bytes) {
        self.parts.push(Part::Kept(item));
        self.next += 1;
        self.kept = true;
    }

    fn lose(&mut self, part: Subtree) {
        if !matches!(self.parts.last(), Some(Part::Dropped(_))) {
            self.parts.push(Part::Dropped(Run::at(self.next)));
        }
        if let Some(Part::Dropped(run)) = self.parts.last_mut() {
            run.push(part);
        }
        self.next += 1_u64 << part.height;
    }

    fn item(&mut self, goes: bool, item: Bytes) {
        if goes {
            self.lose(dropped_item(&item));
            self.changed = true;
        } else {
            self.keep(item);
        }
    }
}

fn sieve_event(sieve: &mut Sieve<'_>, frame: &Bytes) -> Result<bool, String> {
    let event = read_frame(frame)?;
    Ok(sieve.takes_event(&event, frame.len() as u64))
}

/// What is left of an entry; `None` when it stays as it is.
fn thin(sieve: &mut Sieve<'_>, entry: &Entry) -> Result<Option<(Thin, bool)>, String> {
    let mut thinning = Thinning::new();
    let head = match entry {
        Entry::Gap(_) => return Ok(None),
        Entry::Whole(record) => {
            for range in &record.frames {
                let frame = record.bytes.slice(range.clone());
                thinning.item(sieve_event(sieve, &frame)?, frame);
            }
            let behind = record.frames.last().map_or(RECORD_HEAD, |range| range.end);
            let mut rest = record.bytes.slice(behind..);
            while let Some(change) = split_state(&mut rest) {
                thinning.item(sieve.takes_state(&change), change);
            }
            record.bytes.slice(12..RECORD_HEAD)
        }
        Entry::Thin(thin) => {
            let events = thin.fields().events;
            for part in &thin.parts {
                match part {
                    Part::Dropped(run) => run.parts.iter().for_each(|part| thinning.lose(*part)),
                    Part::Kept(item) if thinning.next <= events => {
                        thinning.item(sieve_event(sieve, item)?, item.clone());
                    }
                    Part::Kept(item) => thinning.item(sieve.takes_state(item), item.clone()),
                }
            }
            thin.head.clone()
        }
    };
    Ok(thinning.changed.then_some((Thin { head, parts: thinning.parts }, thinning.kept)))
}

/// A gap that grows as long as nothing is left between.
struct Gaps {
    first_commit: u64,
    gap: Option<Gap>,
}

impl Gaps {
    fn add(&mut self, first_commit: u64, first_position: u64, positions: u64, parts: &[Subtree]) {
        let first = first_commit - self.first_commit;
        let gap =
            self.gap.get_or_insert_with(|| Gap { first_commit, first_position, positions: 0, run: Run::at(first) });
        gap.positions += positions;
        parts.iter().for_each(|part| gap.run.push(*part));
    }

    /// Writes the gap under way.
    fn close(&mut self, writer: &mut ArchiveWriter) -> std::io::Result<()> {
        let Some(gap) = self.gap.take() else { return Ok(()) };
        let entry = Entry::Gap(gap);
        let last = (entry.last_commit(), entry.last_position());
        writer.push(&entry, last)
    }
}

/// What a rewrite did.
pub(crate) struct Rewritten {
    pub(crate) before: ArchiveHead,
    pub(crate) after: ArchiveHead,
    pub(crate) summary: Summary,
}

/// Who compacts, and when.
pub(crate) struct Actor<'a> {
    pub(crate) name: &'a str,
    pub(crate) now: i64,
}

/// Rewrites the archive of a segment without what the sieve takes. `None` when it was told to stop.
///
/// # Errors
/// When it cannot be read or written; it is what it was then.
pub(crate) fn rewrite(
    folder: &Path,
    segment: &SegmentHead,
    sieve: &mut Sieve<'_>,
    actor: &Actor<'_>,
    halt: Halt<'_>,
) -> Result<Option<Rewritten>, LogError> {
    let path = folder.join(archive_name(segment.number));
    let temporary = folder.join(format!("{}.tmp", archive_name(segment.number)));
    let (before, old) = Summary::of(&path)?;
    let damaged = |reason: String| LogError::Damaged(format!("{reason} in {}", path.display()));
    let head = ArchiveHead { generation: before.generation + 1, ..before.clone() };
    let mut reader = SegmentReader::open_archive(folder, segment)?;
    let mut writer =
        ArchiveWriter::create(&temporary, segment, head).map_err(LogError::io("create the archive", &temporary))?;
    let mut summing = Summing::default();
    let mut gaps = Gaps { first_commit: segment.first_commit, gap: None };
    while let Some(entry) = reader.next_entry().map_err(damaged)? {
        let last = reader.last();
        let entry = match thin(sieve, &entry).map_err(damaged)? {
            None => entry,
            Some((thin, true)) => Entry::Thin(thin),
            Some((thin, false)) => {
                let fields = thin.fields();
                let leaf = thin.leaf().ok_or_else(|| damaged("the hashes of a commit do not fit".to_owned()))?;
                let part = Subtree { height: 0, hash: leaf };
                gaps.add(fields.commit, fields.first_position, fields.events, &[part]);
                continue;
            }
        };
        if let Entry::Gap(gap) = &entry {
            gaps.add(gap.first_commit, gap.first_position, gap.positions, &gap.run.parts);
            continue;
        }
        gaps.close(&mut writer).and_then(|()| writer.push(&entry, last)).map_err(LogError::io("write", &temporary))?;
        summing.add(&entry.into_record().map_err(damaged)?);
    }
    gaps.close(&mut writer).map_err(LogError::io("write", &temporary))?;
    let summary = summary(summing, old, sieve, actor, before.generation + 1);
    let after = writer.finish(&summary.encode()).map_err(LogError::io("write the archive", &temporary))?;
    let done = put_in_place(folder, segment, &temporary, before.root, halt)?;
    Ok(done.map(|()| Rewritten { before, after, summary }))
}

fn summary(summing: Summing, old: Summary, sieve: &Sieve<'_>, actor: &Actor<'_>, generation: u64) -> Summary {
    let mut summary = summing.finish();
    // A head that is kept here stays as long as its stream has not gone on.
    let mut heads: BTreeMap<_, _> = old.heads.into_iter().map(|head| (head.stream.clone(), head)).collect();
    heads.extend(sieve.lost_heads.clone());
    summary.heads = heads.into_values().collect();
    summary.dropped = old.dropped;
    let mut gone = sieve.finds.gone.clone();
    gone.extend(&old.gone);
    summary.gone = gone.list();
    for drop in sieve.finds.tally.named(&sieve.rules.policies) {
        summary.dropped.push(Dropped {
            generation,
            policy: drop.policy,
            actor: actor.name.to_owned(),
            time: actor.now,
            events: drop.events,
            bytes: drop.bytes,
            first_position: drop.first_position.get(),
            last_position: drop.last_position.get(),
        });
    }
    summary
}
