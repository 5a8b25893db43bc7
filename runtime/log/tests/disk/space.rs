//! A disk that is full for a while, or slow.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::check::check;
use crate::life::{Ending, History, Life, Process};
use crate::report::report;
use crate::shim::Disk;

fn until_acknowledged(process: &mut Process, history: &mut History, count: usize) {
    let wanted = history.acknowledged() + count;
    while history.acknowledged() < wanted {
        process.until(history, |line| line.starts_with("@ack"));
    }
}

/// Writes, is refused while `full`, and goes on by itself.
pub fn survives_a_full_disk(disk: &Disk, life: &Life, full: impl FnOnce(), free: impl FnOnce()) -> Duration {
    let mut history = History::default();
    let mut process = life.start(disk, &mut history);
    until_acknowledged(&mut process, &mut history, 50);
    full();
    process.until(&mut history, |line| line.starts_with("@error"));
    assert!(history.errors.iter().all(|(_, text)| text.contains("full")), "{:?}", history.errors);
    free();
    let freed = Instant::now();
    until_acknowledged(&mut process, &mut history, 50);
    let recovered = freed.elapsed();
    process.kill(&mut history);
    check(disk.folder(), &history).unwrap();
    recovered
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let disk = Disk::new();
    let full = disk.full();
    let recovered = survives_a_full_disk(
        &disk,
        &Life::default(),
        || fs::write(&full, "").unwrap(),
        || fs::remove_file(&full).unwrap(),
    );
    let done = format!("goes on by itself, 50 commits {} ms after there is room, 0 lost", recovered.as_millis());
    report("disk full", "every write is refused for a while", &done);
}

/// A small file system, for whoever may mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(place: &std::path::Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(place.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn a_small_file_system_fills_and_recovers() {
    let disk = Disk::new();
    let Some(_mounted) = SmallDisk::mount(&disk.folder(), "32m") else {
        println!("disk full (tmpfs): not run, only root may mount one; the shim's full disk is tried all the same");
        return;
    };
    let ballast = disk.folder().join("ballast");
    let fill = || {
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write_all(&[1; 65_536]).is_ok() {}
    };
    let recovered = survives_a_full_disk(&disk, &Life::default(), fill, || fs::remove_file(&ballast).unwrap());
    let done = format!("goes on by itself, 50 commits {} ms after there is room, 0 lost", recovered.as_millis());
    report("small file system", "a tmpfs of 32 MB is filled", &done);
}

#[test]
fn a_slow_disk_makes_larger_groups() {
    const DELAY: u64 = 200;
    let (disk, mut history) = (Disk::new(), History::default());
    // What is made once, such as keys, is there.
    Life { ending: Ending::AfterCommits(20), small: true, ..Life::default() }.live(&disk, &mut history);
    let before = history.acknowledged();
    let ending = Ending::AfterOpen(Duration::from_secs(4));
    let began = Instant::now();
    Life { ending, delay: DELAY, writers: 100, small: true, ..Life::default() }.live(&disk, &mut history);
    let syncs = began.elapsed().as_millis() as u64 / DELAY;
    let acknowledged = (history.acknowledged() - before) as u64;
    // One commit per sync would be far less; most groups here fill a segment, which takes three more syncs.
    assert!(acknowledged > 5 * syncs, "{acknowledged} commits in at most {syncs} syncs");
    check(disk.folder(), &history).unwrap();
    let done = format!("{acknowledged} commits in at most {syncs} syncs, 0 lost");
    report("slow fsync", "200 ms each, 100 writers", &done);
}
