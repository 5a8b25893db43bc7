//! What the log survives when the power, the process or the disk fails, tried on a process of its own.
//!
//! The disk is a shim before libc (`disk/disk.c`) that knows what was synced and fails where it is told to. A process
//! writes and says what was acknowledged; what is left afterwards has to hold all of it. `FAULT_ROUNDS` says how often,
//! `FAULT_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "disk/calls.rs"]
mod calls;
#[path = "disk/check.rs"]
mod check;
#[path = "shared/dice.rs"]
mod dice;
#[path = "shared/files.rs"]
mod files;
#[path = "disk/large.rs"]
mod large;
#[path = "disk/life.rs"]
mod life;
#[path = "disk/people.rs"]
mod people;
#[path = "shared/plain.rs"]
mod plain;
#[path = "shared/report.rs"]
mod report;
#[path = "disk/shim.rs"]
mod shim;
#[path = "disk/space.rs"]
mod space;
#[path = "disk/tally.rs"]
mod tally;
#[path = "disk/writer.rs"]
mod writer;

use std::time::Duration;

use dice::Dice;
use life::{Ending, History, Life};
use shim::{Disk, Left};

/// Not a test of its own: the process that the tests start.
#[test]
fn writer_process() {
    if let Ok(folder) = std::env::var("WRITER_FOLDER") {
        if std::env::var("WRITER_MEASURE").is_ok() {
            large::main(folder.as_ref())
        } else {
            writer::main(folder.as_ref())
        }
    }
}

/// A new log begins after so many lives, so that beginnings are cut as well.
const LIVES: u64 = 12;

/// How the lives of one test end.
#[derive(Clone, Copy)]
struct Plan {
    /// In so many of a hundred cases the power fails, not only the process.
    cuts: u64,
    /// The disk says that it has synced, and has not.
    lies: bool,
}

/// Lets processes write, ends each at a random moment, and looks at what is left.
///
/// # Errors
/// The first thing that is missing or wrong.
fn lives(plan: Plan, rounds: u64, seed: u64) -> Result<String, String> {
    let mut dice = Dice::new(seed);
    let (mut history, mut disk) = (History::default(), Disk::new());
    let (mut rebuilt, mut archived, mut backups, mut compacted) = (0, 0, 0, 0);
    let (mut acknowledged, mut events, mut dropped, mut erased) = (0, 0, 0, 0);
    for round in 0..rounds {
        if round % LIVES == 0 {
            acknowledged += history.acknowledged();
            dropped += history.dropped;
            erased += history.erased.len();
            (history, disk) = (History::default(), Disk::new());
        }
        let compact = dice.percent(50);
        compacted += u64::from(compact);
        let ending = match dice.below(10) {
            // At any call, mostly one of the first: creation, recovery.
            0..3 => Ending::AtCall(1 + dice.below(60)),
            3..5 => Ending::AtCall(1 + dice.below(if compact { 2_000 } else { 600 })),
            // Before it is open, or soon after.
            5 => Ending::AfterStart(Duration::from_micros(dice.below(60_000))),
            _ => Ending::AfterOpen(Duration::from_micros(dice.below(150_000))),
        };
        let rebuild = round % LIVES > 0 && dice.percent(15);
        rebuilt += u64::from(rebuild);
        let back_up = dice.percent(20);
        backups += u64::from(back_up);
        let archive = dice.percent(50);
        archived += u64::from(archive);
        let erase = if dice.percent(40) { usize::MAX } else { 0 };
        let life = Life { ending, rebuild, archive, back_up, compact, erase, lies: plan.lies, ..Life::default() };
        life.live(&disk, &mut history);
        if dice.percent(plan.cuts) {
            let left = if dice.percent(50) { Left::Synced } else { Left::SyncedAndSome };
            disk.cut(left, &mut dice);
        }
        let found = check::check(disk.folder(), &history)
            .and_then(|events| check::check_backup(&disk.backup(), &history).map(|()| events));
        events += found.map_err(|error| format!("FAULT_SEED={seed}, round {round}, {ending:?}: {error}"))?;
    }
    acknowledged += history.acknowledged();
    dropped += history.dropped;
    erased += history.erased.len();
    Ok(format!(
        "{rounds} rounds, {acknowledged} commits acknowledged, {events} events read, {rebuilt} with a rebuild, \
         {archived} while segments become archives, {backups} during backups, {compacted} while retention drops events \
         ({dropped}), {erased} people erased, seed {seed}"
    ))
}

#[test]
fn nothing_acknowledged_is_lost_in_power_cuts() {
    let report = lives(Plan { cuts: 75, lies: false }, dice::rounds(16), dice::seed());
    report::report("power cut", &report.unwrap(), "0 lost, 0 false acknowledgements");
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let report = lives(Plan { cuts: 0, lies: false }, dice::rounds(12), dice::seed());
    report::report("kill -9", &report.unwrap(), "0 lost, 0 false acknowledgements");
}

/// The same on a disk that does not sync: if nothing were lost there, the tests above would measure nothing.
#[test]
fn a_disk_that_lies_is_found_out() {
    let missing = lives(Plan { cuts: 100, lies: true }, 40, 7).expect_err("a disk that lies lost nothing");
    assert!(missing.contains("missing") || missing.contains("damaged"), "{missing}");
    report::report("control", "power cuts on a disk that does not sync", "found out, as it must be");
}
