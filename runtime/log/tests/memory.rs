//! An empty log takes little memory. A file of its own: nothing else may run in the process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![cfg(target_os = "linux")]

use tidewire_log::{EventLog, JournalLog};

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn an_empty_log_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let before = resident_mib();
    let log = JournalLog::open(folder.path()).unwrap();
    log.ready().await.unwrap();
    let taken = resident_mib() - before;
    assert!(taken <= 12, "opening an empty log took {taken} MiB");
    log.close().await;
}
