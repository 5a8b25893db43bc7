//! Opening the store and bringing it up to the journal.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidewire_model::event::StreamName;
use tidewire_model::position::Position;

use super::{Indexer, JOURNAL_RESERVE, JournalFacts, Marks, read_head};
use crate::LogError;
use crate::index::{span_first, stored_filter};
use crate::journal::reading::{SegmentReader, Step};
use crate::journal::segment;
use crate::plan::IdWindow;
use crate::projection;
use crate::reader::Blocks;
use crate::retention::prune::reconcile;
use crate::shared::{Phase, Shared};
use crate::store::{Space, Store, panic_text, quarantine};

/// A store that is being opened beside the journal.
pub(crate) struct Early {
    /// Whether there was one.
    existed: bool,
    store: JoinHandle<Result<Store, String>>,
}

impl Early {
    /// Begins to open the store, while the journal is looked at. Not when it is of no use, or the disk is full.
    pub(crate) fn begin(shared: &Shared, folder: PathBuf) -> Option<Self> {
        if shared.condemned().is_some() || !shared.has_room(JOURNAL_RESERVE) {
            return None;
        }
        let existed = folder.join("db").exists();
        let work = move || Store::open(&folder);
        let store = std::thread::Builder::new().name("log-opening".to_owned()).spawn(work).ok()?;
        Some(Self { existed, store })
    }
}

/// Opens the store, or a new one when the old one is of no use, and replays what it lacks.
pub(super) fn open<'a>(
    shared: &'a Shared,
    facts: &JournalFacts,
    early: Option<Early>,
) -> Result<Indexer<'a>, LogError> {
    let existed = early.as_ref().map_or_else(|| facts.store_folder.join("db").exists(), |early| early.existed);
    let first = shared.condemned().map_or(Ok(()), |reason| Err(LogError::Store(reason)));
    let opened = || match early {
        Some(early) => early.store.join().unwrap_or_else(|panic| Err(panic_text(&*panic))),
        None => Store::open(&facts.store_folder),
    };
    let first = first.and_then(|()| opened().map_err(LogError::Store)).and_then(|store| {
        let marks = check(&store, facts)?;
        Ok((store, marks))
    });
    let (store, marks) = match first {
        Ok(opened) => opened,
        Err(error) if facts.store_folder.exists() => {
            let aside = quarantine(&facts.store_folder)?;
            let reason = error.full_text();
            tracing::warn!(reason, aside = %aside.display(), "indexed store put aside, rebuilding it from the journal");
            shared.notice(format!("{reason}; it was put aside as {}", aside.display()));
            let store = Store::open(&facts.store_folder).map_err(LogError::Store)?;
            store.renew_projections(|_| false)?;
            shared.acquit();
            (store, Marks::default())
        }
        Err(error) => return Err(error),
    };
    if existed && marks == Marks::default() && facts.commit > 0 && facts.intact {
        shared.notice("the indexed store had lost its contents and was rebuilt from the journal".to_owned());
    }
    store.notice.iter().for_each(|notice| shared.notice(notice.clone()));
    if facts.intact && !projection::belong_to(&store, facts.log_id, Position::new(facts.position))? {
        shared.notice("projections belonged to another log and are built anew".to_owned());
    }
    // A journal that could not be read does not know its own id.
    let marks = if facts.intact { Marks { log_id: facts.log_id, ..marks } } else { marks };
    let mut indexer = Indexer {
        shared,
        store: Arc::new(store),
        marks,
        commit: marks.commit,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        last_pack: Instant::now(),
        open_commits: VecDeque::new(),
        state: BTreeMap::new(),
        last_flush: Instant::now(),
    };
    let compacted = crate::journal::archiving::compacted_through(&facts.journal_folder);
    recover_memory(&indexer, compacted)?;
    let unusable = if facts.intact { beyond_journal(&indexer.marks, facts) } else { Some(String::new()) };
    let damage = match unusable {
        None => {
            let damage = replay(&mut indexer, facts)?;
            reconcile(shared, &indexer.store, &facts.journal_folder, marks.commit + 1)?;
            damage
        }
        some => some,
    };
    if let Some(reason) = damage {
        // What the store has can still be read.
        shared.make_read_only(reason);
    }
    let head = Position::new(shared.live.read().head);
    shared.head.send_if_modified(|known| std::mem::replace(known, head) != head);
    Ok(indexer)
}

fn beyond_journal(marks: &Marks, facts: &JournalFacts) -> Option<String> {
    (marks.position > facts.position || marks.commit > facts.commit).then(|| {
        format!(
            "the indexed store knows position {}, but the journal ends at {}: the journal was cut or exchanged; restore \
             it from a backup",
            marks.position, facts.position
        )
    })
}

/// Whether the store belongs to this journal and is whole at its end.
fn check(store: &Store, facts: &JournalFacts) -> Result<Marks, LogError> {
    let Some(marks) = Marks::read(store)? else {
        let empty = store.prefix(Space::Log, b"").next().is_none();
        return if empty { Ok(Marks::default()) } else { Err(LogError::Store("it has no marks".to_owned())) };
    };
    if facts.intact && marks.log_id != facts.log_id {
        return Err(LogError::Store("it belongs to another log".to_owned()));
    }
    if marks.position > 0 && Blocks::new(store).get(marks.position)?.is_none() {
        return Err(LogError::Store("its last block is missing".to_owned()));
    }
    Ok(marks)
}

/// When the last event of a finished span was recorded.
pub(super) fn last_time(store: &Store, span: u64) -> Result<i64, LogError> {
    let last = Blocks::new(store).at_or_after(span_first(span + 1) - 1)?;
    Ok(last.map_or(i64::MAX, |event| event.recorded_time))
}

/// Finished spans in which repeated ids are looked for, oldest first, and when the last event of each was recorded.
fn recent_spans(store: &Store, marks: Marks, window: IdWindow) -> Result<Vec<(u64, i64)>, LogError> {
    let newest = Blocks::new(store).at_or_after(marks.position)?.map_or(i64::MAX, |event| event.recorded_time);
    let mut spans = Vec::new();
    for span in (0..marks.spans).rev() {
        let time = last_time(store, span)?;
        if !window.holds((span_first(span + 1) - 1, time), marks.position, newest) {
            break;
        }
        spans.push((span, time));
    }
    spans.reverse();
    Ok(spans)
}

/// Loads heads and filters, and indexes in memory what the store has only as blocks.
fn recover_memory(indexer: &Indexer<'_>, compacted: u64) -> Result<(), LogError> {
    let (store, marks) = (&indexer.store, indexer.marks);
    let mut heads = Vec::new();
    for item in store.prefix(Space::Log, b"h") {
        let (_, value) = item?;
        let (name, head) = read_head(&value).ok_or_else(|| LogError::Store("a stream head is damaged".to_owned()))?;
        heads.push((StreamName::reserved(name).map_err(|error| LogError::Store(error.to_string()))?, head));
    }
    let remembered = recent_spans(store, marks, indexer.shared.id_window)?;
    {
        let mut live = indexer.shared.live.write();
        live.heads.extend(heads);
        live.begin_after(marks.commit, marks.position);
        live.compacted = compacted;
        live.span = crate::index::Span::new(marks.spans);
    }
    for (span, last_time) in remembered {
        let filter = stored_filter(store, span)?;
        indexer.shared.live.write().remember_ids(span, filter, last_time, indexer.shared.id_window);
    }
    let mut blocks = Blocks::new(store);
    let mut next = indexer.first_open();
    while let Some(event) = blocks.at_or_after(next)?.filter(|event| event.position.get() <= marks.position) {
        let position = event.position.get();
        if position > next && position - 1 > indexer.shared.live.read().compacted {
            return Err(LogError::Store(format!("position {} is missing", position - 1)));
        }
        indexer.shared.live.write().note(&event);
        next = position + 1;
    }
    Ok(())
}

/// Takes in the commits of the journal that the store lacks. Answers what is wrong with the journal, if anything.
fn replay(indexer: &mut Indexer<'_>, facts: &JournalFacts) -> Result<Option<String>, LogError> {
    let from = indexer.marks.commit + 1;
    let heads = segment::list(&facts.journal_folder)?;
    let first = heads.partition_point(|head| head.first_commit <= from).saturating_sub(1);
    let mut told = Instant::now();
    for (index, head) in heads.iter().enumerate().skip(first) {
        let mut reader = SegmentReader::open(&facts.journal_folder, head)?;
        reader
            .pass_to(from)
            .map_err(LogError::io("read the journal segment", facts.journal_folder.join(&reader.name)))?;
        loop {
            match reader.next() {
                Step::Record(record) if record.commit < from => {}
                Step::Record(record) => {
                    {
                        let mut live = indexer.shared.live.write();
                        live.publish(record.commit, &record.events, &record.state);
                        live.reach(record.last_position);
                    }
                    indexer.take(&record)?;
                    if told.elapsed() > Duration::from_millis(200) {
                        told = Instant::now();
                        let whole = (facts.commit - from + 1).max(1);
                        let progress = (record.commit - from) as f64 / whole as f64;
                        tracing::info!(
                            position = record.last_position,
                            progress,
                            "bringing the indexed store up to the journal"
                        );
                        indexer.shared.set_phase(Phase::Rebuilding(progress));
                    }
                }
                Step::End => break,
                // The writer is at work in the last segment when the store is opened anew.
                Step::Bad(_) if index + 1 == heads.len() && indexer.commit >= facts.commit => break,
                Step::Bad(reason) => {
                    return Ok(Some(format!(
                        "{reason} in journal segment {} at byte {}; restore the segment from a backup",
                        reader.name, reader.offset
                    )));
                }
            }
        }
    }
    let short = indexer.commit < facts.commit;
    Ok(short.then(|| {
        format!(
            "the journal holds commits up to {} only, but {} were confirmed; restore it from a backup",
            indexer.commit, facts.commit
        )
    }))
}
