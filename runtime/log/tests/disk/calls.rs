//! A call to the disk fails, one after the other.

use std::os::unix::process::ExitStatusExt;

use crate::check::check;
use crate::dice::{self, Dice};
use crate::life::{Ending, Failure, History, Life};
use crate::report::report;
use crate::shim::{Disk, Left};

pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;
/// Commits of one process.
const COMMITS: u64 = 12;

/// Lets every call of a kind fail in turn, each in a process of its own, until there is none left to fail. Answers how
/// many failed; looks at every `full`th in full runs, else at every `quick`th.
pub fn every_call(kinds: &'static str, error: i32, (quick, full): (u64, u64), life: &Life) -> u64 {
    let step = if dice::in_full() { full } else { quick };
    let begun = begun(life);
    let mut failed = 0;
    for (start, name) in [(None, "a new log"), (Some(&begun), "a log that was killed")] {
        // Not always the same ones.
        let mut at = 1 + dice::seed() % step;
        loop {
            let (mut disk, mut history) = match start {
                None => (Disk::new(), History::default()),
                Some((disk, history)) => (Disk::copy_of(Some(&disk.folder())), history.again()),
            };
            let failure = Failure { kinds, at, error };
            let ending = Ending::AfterCommits(COMMITS);
            let life = Life { ending, writers: 1, failure: Some(failure), ..life.clone() };
            let before = history.acknowledged();
            let status = life.live(&disk, &mut history);
            if !disk.hit().exists() {
                break;
            }
            failed += 1;
            let what =
                format!("{name}, {failure:?}, {} acknowledged, {:?}", history.acknowledged() - before, history.errors);
            assert!(status.success(), "{what}: the process ended with {:?} {:?}", status.code(), status.signal());
            stays_refused(&history, error, &what);
            let stays = history.refused.is_some() || history.errors.iter().any(|(_, text)| text.contains("read-only"));
            assert!(stays || history.errors.len() < 2, "one failed call, and more than one append is refused: {what}");
            disk.cut(Left::Synced, &mut Dice::new(at));
            check(disk.folder(), &history).unwrap_or_else(|error| panic!("{what}: {error}"));
            at += step;
        }
        assert!(at > 1, "no call was made to fail");
    }
    failed
}

/// A log that was killed in mid-write, to be recovered.
fn begun(life: &Life) -> (Disk, History) {
    let (disk, mut history) = (Disk::new(), History::default());
    Life { ending: Ending::AtCall(if life.large { 220 } else { 90 }), ..life.clone() }.live(&disk, &mut history);
    assert!(history.acknowledged() > 0);
    (disk, history)
}

/// After an error that says that nothing can be known any more, nothing is acknowledged.
fn stays_refused(history: &History, error: i32, what: &str) {
    let read_only = history.errors.iter().find(|(_, text)| text.contains("read-only"));
    if let Some((acknowledged, text)) = read_only {
        assert_eq!(*acknowledged, history.acknowledged(), "acknowledged after {text}: {what}");
        assert!(["restart", "check", "restore", "free"].iter().any(|word| text.contains(word)), "no advice: {text}");
    }
    if let Some(reason) = &history.refused {
        assert!(reason.len() > 20, "{reason}");
    }
    assert!(error == ENOSPC || history.errors.iter().all(|(_, text)| !text.contains("full")), "{what}");
}

/// A process dies at each call of an erasure in turn, half of them with the power: the next start finds that it has
/// not begun, or ends it.
#[test]
fn an_interrupted_erasure_is_not_begun_or_ends_by_itself() {
    let step = if dice::in_full() { 1 } else { 23 };
    let (disk, mut begun) = (Disk::new(), History::default());
    Life { ending: Ending::AfterCommits(30), ..Life::default() }.live(&disk, &mut begun);
    let (mut at, mut interrupted, mut ended) = (1 + dice::seed() % step, 0, 0);
    loop {
        let (mut disk, mut history) = (Disk::copy_of(Some(&disk.folder())), begun.again());
        let failure = Some(Failure { kinds: "wstn", at, error: 0 });
        Life { ending: Ending::AfterCommits(0), erase: 1, failure, ..Life::default() }.live(&disk, &mut history);
        if !disk.hit().exists() {
            assert_eq!((history.erased.len(), history.clean.len()), (1, 1));
            break;
        }
        interrupted += 1;
        ended += history.erased.len();
        if at.is_multiple_of(2) {
            disk.cut(Left::Synced, &mut Dice::new(at));
        }
        check(disk.folder(), &history).unwrap_or_else(|error| panic!("killed at call {at}: {error}"));
        at += step;
    }
    let done = format!("killed at each of {interrupted} calls, every other one with a power cut");
    report("interrupted erasure", &done, &format!("never half: {ended} had been confirmed, nothing of them is left"));
}

impl History {
    fn again(&self) -> Self {
        Self {
            begun: self.begun.clone(),
            acks: self.acks.clone(),
            seen: self.seen,
            day: self.day,
            retried: self.retried.clone(),
            ..Self::default()
        }
    }
}

#[test]
fn a_failed_sync_is_final() {
    let failed = every_call("s", EIO, (5, 1), &Life::default());
    report("fsync error", &format!("at each of {failed} syncs"), "nothing acknowledged after it, 0 lost");
}

#[test]
fn any_failed_call_is_an_error_and_not_a_loss() {
    let failed = every_call("wtn", EIO, (13, 1), &Life::default()) + every_call("r", EIO, (29, 1), &Life::default());
    report("I/O error", &format!("at each of {failed} calls"), "an error or no effect, 0 lost");
}

#[test]
fn a_disk_that_is_full_at_any_call_loses_nothing() {
    let failed = every_call("wtn", ENOSPC, (17, 1), &Life::default());
    report("no space for one call", &format!("at each of {failed} calls"), "refused or no effect, 0 lost");
}

/// A process that is killed may leave a commit that is written and not synced. The next one finds it; it may neither
/// show it nor take a repetition for done before it is synced.
#[test]
fn what_a_killed_process_left_is_synced_before_it_counts() {
    let mut repeated = 0;
    for at in 1..40 {
        let (mut disk, mut history) = (Disk::new(), History::default());
        let killed = Failure { kinds: "s", at, error: 0 };
        Life { failure: Some(killed), small: true, ..Life::default() }.live(&disk, &mut history);
        let before = history.acknowledged();
        Life { ending: Ending::AfterCommits(0), small: true, ..Life::default() }.live(&disk, &mut history);
        repeated += history.acknowledged() - before;
        disk.cut(Left::Synced, &mut Dice::new(at));
        check(disk.folder(), &history).unwrap_or_else(|error| panic!("killed at sync {at}: {error}"));
    }
    assert!(repeated > 0);
    report("kill -9, then power cut", "39 kills before a sync, each followed by a power cut", "0 lost");
}
