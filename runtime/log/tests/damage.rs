//! Flipped bits anywhere and a torn end at every byte: found and told, or without effect on what is read. Never a panic,
//! never another event than the one that was written, never a start that fails without advice.
//!
//! `FAULT_ROUNDS` of 100 or more makes it a thousand bits and every byte; `FAULT_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "shared/dice.rs"]
mod dice;
#[path = "shared/report.rs"]
mod report;
#[path = "faults/support.rs"]
#[allow(dead_code, reason = "every test uses a part of it")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dice::Dice;
use report::report;
use support::{append, contents, copy, open, open_with, request, segments, small};
use tidewire_log::{EventLog, JournalLog, verify};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Body, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

const EVENTS: u64 = 1_500;

/// A closed log with archives, plain segments, a store and content files.
async fn everything() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    append(&log, 0..EVENTS - 100).await;
    for n in 0..3 {
        let large = NewEvent::json("large", &serde_json::json!({"n": n, "text": "y".repeat(6_000)}));
        log.append(vec![AppendRequest::one(StreamName::new("thing-large").unwrap(), large)]).await.unwrap();
    }
    log.archive().await.unwrap();
    append(&log, EVENTS - 100..EVENTS).await;
    log.set_checkpoint("mine".into(), Position::new(7)).await.unwrap();
    log.close().await;
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.retain(|path| fs::metadata(path).unwrap().len() > 0);
    found.sort();
    found
}

/// What kind of file it is, by its folder.
fn kind(folder: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(folder).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    match file.extension().and_then(|end| end.to_str()) {
        Some(end @ ("journal" | "archive")) => end.to_owned(),
        _ => first,
    }
}

type Data = BTreeMap<u64, String>;

/// Every event that can be read, and what was told of those that cannot.
async fn read(log: &JournalLog) -> (Data, Vec<String>) {
    let (mut found, mut told) = (Data::new(), Vec::new());
    let mut next = Some(Position::FIRST);
    while let Some(from) = next {
        match log.read(Query::forwards(Filter::default(), from, 500)).await {
            Err(error) => {
                told.push(error.full_text());
                break;
            }
            Ok(page) => {
                for event in &page.events {
                    if let Body::Unreadable(why) = &event.body {
                        told.push(why.to_string());
                        continue;
                    }
                    let text = format!("{} {} {:?}", event.stream, event.event_type, event.data);
                    found.insert(event.position.get(), text);
                }
                next = page.next;
            }
        }
    }
    (found, told)
}

/// What came of one flipped bit.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// It is told where the damage is.
    Found,
    /// All that was written is read.
    Harmless,
}

async fn after_damage(folder: &Path, original: &Data) -> Result<Outcome, String> {
    let mut told = match verify(folder) {
        Ok(verified) => verified.problems,
        Err(error) => vec![error.full_text()],
    };
    let log = match JournalLog::open_with(folder, small()) {
        Ok(log) => log,
        Err(error) => return Err(format!("it does not open: {}", error.full_text())),
    };
    let ready = log.ready().await;
    let health = log.health();
    if let Some(reason) = &health.read_only
        && !["restore", "restart", "remove", "put"].iter().any(|word| reason.contains(word))
    {
        return Err(format!("no advice: {reason}"));
    }
    told.extend(health.read_only);
    told.extend(health.notices);
    let mut found = Data::new();
    match ready {
        Err(error) => told.push(error.full_text()),
        Ok(()) => {
            let (events, unreadable) = read(&log).await;
            found = events;
            told.extend(unreadable);
        }
    }
    log.close().await;
    if let Some((position, text)) = found.iter().find(|(position, text)| original.get(position) != Some(text)) {
        return Err(format!("position {position} reads as {text}"));
    }
    match (told.is_empty(), found.len() == original.len()) {
        (false, _) => Ok(Outcome::Found),
        (true, true) => Ok(Outcome::Harmless),
        (true, false) => Err(format!("{} events are missing in silence", original.len() - found.len())),
    }
}

#[test]
fn every_flipped_bit_is_found_or_without_effect() {
    let flips = if dice::in_full() { 1_000 } else { 40 };
    let seed = dice::seed();
    let mut dice = Dice::new(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let whole = runtime.block_on(everything());
    let original = runtime.block_on(async {
        let copied = tempfile::tempdir().unwrap();
        copy(whole.path(), copied.path());
        let log = open_with(copied.path(), small()).await;
        let (events, told) = read(&log).await;
        log.close().await;
        assert_eq!((events.len() as u64, told), (EVENTS + 3, vec![]));
        events
    });
    let all = files(whole.path());
    let mut kinds: Vec<_> = all.iter().map(|file| kind(whole.path(), file)).filter(|kind| kind != "lock").collect();
    kinds.sort();
    kinds.dedup();
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for flip in 0..flips {
        let wanted = &kinds[flip % kinds.len()];
        let of_kind: Vec<_> = all.iter().filter(|file| kind(whole.path(), file) == *wanted).collect();
        let file = of_kind[dice.below(of_kind.len() as u64) as usize].strip_prefix(whole.path()).unwrap();
        let copied = tempfile::tempdir().unwrap();
        copy(whole.path(), copied.path());
        let mut bytes = fs::read(copied.path().join(file)).unwrap();
        let (at, bit) = (dice.below(bytes.len() as u64) as usize, dice.below(8));
        bytes[at] ^= 1 << bit;
        fs::write(copied.path().join(file), bytes).unwrap();
        let what = format!("FAULT_SEED={seed}, flip {flip}: byte {at} bit {bit} of {}", file.display());
        let (place, expected) = (copied.path().to_owned(), original.clone());
        let outcome = runtime.block_on(runtime.spawn(async move { after_damage(&place, &expected).await }));
        let outcome = outcome.unwrap_or_else(|panic| panic!("{what}: {panic}"));
        let outcome = outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
        let must_be_found = ["journal", "archive", "content"].contains(&wanted.as_str());
        assert!(!must_be_found || outcome == Outcome::Found, "{what}: nobody noticed");
        let count = counts.entry(wanted.clone()).or_default();
        if outcome == Outcome::Found { count.0 += 1 } else { count.1 += 1 }
    }
    let kinds: Vec<_> =
        counts.iter().map(|(kind, (found, not))| format!("{kind} {found} found, {not} harmless")).collect();
    report(
        "bit flip",
        &format!("{flips} bits over all files, seed {seed}"),
        &format!("{}; 0 panics, 0 unnoticed", kinds.join("; ")),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_torn_at_any_byte_is_cut_and_told() {
    let step = if dice::in_full() { 1 } else { 9 };
    let before = tempfile::tempdir().unwrap();
    let log = open(before.path()).await;
    append(&log, 0..50).await;
    log.close().await;
    let after = tempfile::tempdir().unwrap();
    copy(before.path(), after.path());
    let log = open(after.path()).await;
    // The last commit, of two events in two streams, is torn; it was not confirmed.
    log.append(vec![request(50), request(51)]).await.unwrap();
    log.close().await;
    let used = |folder: &Path| {
        let bytes = fs::read(segments(folder).pop().unwrap()).unwrap();
        (bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1, bytes)
    };
    let ((start, _), (end, bytes)) = (used(before.path()), used(after.path()));
    let mut tried = 0;
    for at in (start + 1..end).step_by(step) {
        for tail in [&[][..], &[0; 300], &[0xA5; 40]] {
            let torn = tempfile::tempdir().unwrap();
            copy(before.path(), torn.path());
            fs::write(segments(torn.path()).pop().unwrap(), [&bytes[..at], tail].concat()).unwrap();
            let log = open(torn.path()).await;
            let health = log.health();
            let told = health.notices.len() == 1 && health.notices[0].contains("position 50");
            assert!(told && health.read_only.is_none(), "cut at {at}: {health:?}");
            assert_eq!(contents(&log).await, (0..50).collect::<Vec<_>>(), "cut at {at}");
            append(&log, 50..60).await;
            log.close().await;
            let log = open(torn.path()).await;
            assert_eq!((contents(&log).await.len(), log.health().notices), (60, vec![]), "cut at {at}");
            log.close().await;
            tried += 1;
        }
    }
    report(
        "torn tail",
        &format!("{tried} ends: cut, zeroes or garbage after every {step}. byte of the last record"),
        "each cut and told, nothing before it lost",
    );
}
