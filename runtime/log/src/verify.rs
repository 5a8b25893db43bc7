//! Reads the whole journal and checks every checksum, every number, every hash and the chain of segments.
//!
//! It changes nothing and needs no running log; beside one, the last commit may still be under way. Damage is traced
//! to the event that it hits, as far as that can be told. The zeroed rest of the last segment counts too: a bit that
//! is set there would be found as a torn commit by the next start.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::append::StateChange;
use tidewire_model::event::{ContentRef, Event};

use crate::LogError;
use crate::content;
use crate::journal::damage::{in_chunk, in_record, later_record};
use crate::journal::entry::Entry;
use crate::journal::merkle::{Hash, Tree};
use crate::journal::reading::SegmentReader;
use crate::journal::record::{RECORD_HEAD, RecordHead};
use crate::journal::segment::{self, SegmentHead};
use crate::snapshots;

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many segments, archives among them.
    pub segments: u64,
    /// How many of them are archives.
    pub archives: u64,
    /// How many commits.
    pub commits: u64,
    /// How many events are there.
    pub events: u64,
    /// How many events retention dropped; their hashes are there.
    pub dropped: u64,
    /// The last position.
    pub head: u64,
    /// How many bytes of records.
    pub bytes: u64,
    /// What is wrong, in order; empty when nothing is.
    pub problems: Vec<String>,
}

/// Checks the journal of the log in a folder. It reads every byte, and blocks on the disk.
///
/// # Errors
/// When a file cannot be read, or when segments are missing or their heads are damaged.
pub fn verify(folder: &Path) -> Result<Verified, LogError> {
    verify_with(folder, &mut |_, _| ())
}

/// As [`verify`], and tells how many bytes of how many it has read.
///
/// # Errors
/// As [`verify`].
pub fn verify_with(folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, LogError> {
    let mut told = u64::MAX;
    let mut watch = |step: Step| {
        if std::mem::replace(&mut told, step.done) != step.done {
            progress(step.done, step.total);
        }
        true
    };
    let pass = Pass { watch: &mut watch, through: None, is_gone: &|_| false };
    let (mut verified, snapshots) = verify_journal(folder, pass)?;
    verified.problems.extend(snapshots::problems(folder, snapshots.values()));
    Ok(verified)
}

/// How far a pass is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    /// How many bytes were read, content files among them.
    pub(crate) read: u64,
    /// How many bytes of the journal …
    pub(crate) done: u64,
    /// … of how many.
    pub(crate) total: u64,
}

/// How a log is read.
pub(crate) struct Pass<'a> {
    /// Is told after each piece; false stops it.
    pub(crate) watch: &'a mut dyn FnMut(Step) -> bool,
    /// The last commit that is looked at; what follows may just be written.
    pub(crate) through: Option<u64>,
    /// Whether the event at a position was dropped meanwhile.
    pub(crate) is_gone: &'a dyn Fn(u64) -> bool,
}

/// So many bytes are read before anyone is told.
const PIECE: u64 = 1 << 20;

struct Pace<'a> {
    step: Step,
    watch: &'a mut dyn FnMut(Step) -> bool,
}

impl Pace<'_> {
    /// Notes what was read, and how far that is in the journal.
    fn read(&mut self, bytes: u64, done: u64) -> Result<(), LogError> {
        self.step.read += bytes;
        self.step.done = done;
        if (self.watch)(self.step) { Ok(()) } else { Err(LogError::Cancelled) }
    }
}

/// Checks all but the snapshots of read models; answers what the log's state says of them.
pub(crate) fn verify_journal(
    folder: &Path,
    pass: Pass<'_>,
) -> Result<(Verified, BTreeMap<CompactString, Bytes>), LogError> {
    let journal = folder.join("journal");
    let heads = segment::list(&journal)?;
    let sizes: Vec<u64> = heads.iter().map(|head| segment::file_len(&journal, head)).collect();
    let mut pace = Pace { step: Step { total: sizes.iter().sum(), ..Step::default() }, watch: pass.watch };
    let mut verified = Verified::default();
    let mut root = Some([0; 32]);
    let (mut done, mut content) = (0, HashSet::new());
    let through = pass.through.unwrap_or(u64::MAX);
    let mut snapshots = BTreeMap::new();
    for (index, (head, size)) in heads.iter().zip(&sizes).enumerate() {
        if head.first_commit > through {
            break;
        }
        verified.begins_right(head, root);
        let mut reader = SegmentReader::open(&journal, head)?;
        let mut check = Check {
            verified: &mut verified,
            tree: Tree::default(),
            folder: &journal,
            log: folder,
            content: &mut content,
            snapshots: &mut snapshots,
            is_whole: true,
            last: index + 1 == heads.len(),
            pace: &mut pace,
            is_gone: pass.is_gone,
        };
        let mut told = reader.offset;
        while reader.last().0 < through && check.step(&mut reader)? {
            if reader.offset >= told + PIECE {
                check.pace.read(reader.offset - told, done + reader.offset.min(*size))?;
                told = reader.offset;
            }
        }
        // What is being written now ends somewhere.
        check.is_whole &= reader.last().0 < through;
        root = check.is_whole.then(|| check.tree.root());
        verified.ends_right(&reader, root);
        done += size;
        pace.read(reader.offset.saturating_sub(told), done)?;
    }
    Ok((verified, snapshots))
}

impl Verified {
    /// Checks that a segment goes on where the one before it ended. A root that is not known says nothing.
    fn begins_right(&mut self, head: &SegmentHead, root: Option<Hash>) {
        let name = head.file_name();
        if root.is_some_and(|root| head.previous_root != root) {
            self.problems.push(format!("{name} does not continue the segment before it: the chain is broken"));
        }
        if root.is_some() && (head.first_commit, head.first_position) != (self.commits + 1, self.head + 1) {
            self.problems.push(format!("{name} begins at commit {}, not {}", head.first_commit, self.commits + 1));
        }
        self.segments += 1;
    }

    fn ends_right(&mut self, reader: &SegmentReader, root: Option<Hash>) {
        (self.commits, self.head) = reader.last();
        let Some(archive) = reader.archive() else { return };
        self.archives += 1;
        if root.is_some_and(|root| root != archive.head().root) {
            self.problems.push(format!("{} is not what its own hash says", reader.name));
        }
    }
}

/// One segment under way.
struct Check<'a, 'p> {
    verified: &'a mut Verified,
    tree: Tree,
    folder: &'a Path,
    /// The folder of the log, and the content files in it that were checked.
    log: &'a Path,
    content: &'a mut HashSet<ContentRef>,
    /// What the log's state says of snapshots so far.
    snapshots: &'a mut BTreeMap<CompactString, Bytes>,
    /// Whether all of it could be read so far.
    is_whole: bool,
    /// Whether it is the last segment.
    last: bool,
    pace: &'a mut Pace<'p>,
    is_gone: &'a dyn Fn(u64) -> bool,
}

impl Check<'_, '_> {
    /// Checks the content files of an event, each once.
    fn check_content(&mut self, event: &Event) -> Result<(), LogError> {
        for reference in content::references(&event.body) {
            if !self.content.insert(reference) {
                continue;
            }
            let problem = content::check(self.log, reference);
            self.pace.read(reference.len, self.pace.step.done)?;
            if let Some(problem) = problem.filter(|_| !(self.is_gone)(event.position.get())) {
                let Event { id, position, stream, .. } = event;
                self.verified.problems.push(format!("event {id} at position {position} of stream {stream}: {problem}"));
            }
        }
        Ok(())
    }

    /// Remembers what is said of snapshots.
    fn take_state(&mut self, state: Vec<StateChange>) {
        for change in state.into_iter().filter(|change| change.key.starts_with(snapshots::REGISTER)) {
            match change.value {
                Some(value) => self.snapshots.insert(change.key, value),
                None => self.snapshots.remove(&change.key),
            };
        }
    }

    /// Takes the next entry in; false at the end.
    fn step(&mut self, reader: &mut SegmentReader) -> Result<bool, LogError> {
        match reader.next_entry() {
            Ok(Some(entry)) => {
                self.take(entry, reader)?;
                Ok(true)
            }
            Ok(None) => {
                self.check_rest(reader)?;
                Ok(false)
            }
            Err(reason) => {
                self.is_whole = false;
                self.trace(&reason, reader)
            }
        }
    }

    fn take(&mut self, entry: Entry, reader: &SegmentReader) -> Result<(), LogError> {
        let fits = entry.hash_into(&mut self.tree);
        let positions = match &entry {
            Entry::Whole(record) => record.events.len() as u64,
            Entry::Thin(thin) => thin.fields().events,
            Entry::Gap(gap) => gap.positions,
        };
        match entry.into_record() {
            Ok(record) if fits => {
                self.verified.events += record.events.len() as u64;
                record.events.iter().try_for_each(|event| self.check_content(event))?;
                self.take_state(record.state);
                self.verified.dropped += positions - record.events.len() as u64;
                self.verified.bytes += record.bytes.len() as u64;
            }
            Ok(record) => {
                self.is_whole = false;
                self.problem(reader, &format!("the hashes of commit {} do not fit", record.commit));
            }
            Err(reason) => {
                self.is_whole = false;
                self.problem(reader, &reason);
            }
        }
        Ok(())
    }

    fn problem(&mut self, reader: &SegmentReader, what: &str) {
        self.verified.problems.push(format!("{} at byte {}: {what}", reader.name, reader.offset));
    }

    /// Says what damage hits and goes on behind it; false when that is not possible.
    fn trace(&mut self, reason: &str, reader: &mut SegmentReader) -> Result<bool, LogError> {
        if reader.archive().is_some() {
            let Some(chunk) = reader.skip_chunk() else {
                let next = reader.last().1 + 1;
                let all = reader.archive().is_some_and(|archive| next > archive.head().last_position);
                let lost = if all { String::new() } else { format!("; positions from {next} on cannot be read") };
                self.problem(reader, &format!("{reason}{lost}"));
                return Ok(false);
            };
            let hit = in_chunk(&chunk).join(", ");
            self.problem(reader, &format!("{reason}: {hit}"));
            return Ok(true);
        }
        let rest = self.rest(reader)?;
        let (commit, position) = reader.last();
        let later = later_record(&rest, commit);
        // The head is believed when it says what belongs here and its end is in the file.
        let head = RecordHead::parse(&rest).filter(|head| head.commit == commit + 1);
        let head = head.filter(|head| head.first_position == position + 1 && RECORD_HEAD + head.payload <= rest.len());
        let hit = match &head {
            Some(head) => in_record(&rest.slice(..RECORD_HEAD + head.payload), head).join(", "),
            None => later.map_or_else(
                || format!("what follows position {position} cannot be read"),
                |(_, later)| format!("positions {} to {} cannot be read", position + 1, later.first_position - 1),
            ),
        };
        let tail = if self.last && later.is_none() { "the last commit is damaged or torn (tail damage): " } else { "" };
        self.problem(reader, &format!("{tail}{reason}: {hit}"));
        let Some((at, later)) = later else { return Ok(false) };
        let offset = reader.offset + at as u64;
        let path = self.folder.join(&reader.name);
        let sought = reader.skip_to(offset, later.commit, later.first_position);
        sought.map(|()| true).map_err(LogError::io("read the journal segment", path))
    }

    /// Nothing but zeroes may follow the last record, and only in the last segment.
    fn check_rest(&mut self, reader: &SegmentReader) -> Result<(), LogError> {
        if reader.archive().is_some() {
            return Ok(());
        }
        let rest = self.rest(reader)?;
        if rest.iter().any(|byte| *byte != 0) {
            self.is_whole = false;
            self.problem(reader, "bytes follow the last record (tail damage)");
        }
        Ok(())
    }

    fn rest(&self, reader: &SegmentReader) -> Result<Bytes, LogError> {
        let path = self.folder.join(&reader.name);
        let mut rest = Vec::new();
        let mut read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(reader.offset))?;
            file.read_to_end(&mut rest)
        };
        match read() {
            Ok(_) => Ok(rest.into()),
            // It became an archive meanwhile, which only happens to what was whole.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Bytes::new()),
            Err(error) => Err(LogError::io("read the journal segment", path)(error)),
        }
    }
}
