//! What archives keep when events are dropped: after a rebuild, a crash, damage, and when there is no room.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tidewire_log::{COMPACTED, Commit, EventLog, JournalOptions, SpaceLevel, set_policies, verify};
use tidewire_model::append::{AppendRequest, StateChange};
use tidewire_model::event::{Event, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Start};
use tidewire_model::retention::RetentionPolicy;

use crate::support::{archived, copy, flip_bit};
use crate::{Clock, DAY, all, append, history, open, options, order, policy, support};

/// A log on disk that was compacted, with what it held before and after.
async fn compacted(folder: &Path, clock: &Clock) -> (Vec<Arc<Event>>, Vec<Arc<Event>>) {
    let log = open(folder, clock).await;
    history(&log, clock).await;
    let before = all(&log, Filter::default()).await;
    let rules = [
        RetentionPolicy { types: vec!["decided".into()], ..policy("decisions stay") },
        RetentionPolicy { stream: Some("thing-c".into()), max_age_seconds: Some(86_400), ..policy("c goes") },
        RetentionPolicy { category: Some("thing".into()), max_count: Some(25), ..policy("few") },
    ];
    set_policies(&log, &rules).await.unwrap();
    let done = log.compact(order()).await.unwrap();
    assert!(done.freed_bytes > 0 && done.archives > 1, "{done:?}");
    let after = all(&log, Filter::default()).await;
    log.close().await;
    (before, after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_is_what_it_was_after_a_rebuild() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
    let (before, after) = compacted(folder.path(), &clock).await;
    let kept: Vec<_> = before.iter().filter(|event| after.contains(event)).cloned().collect();
    assert!(kept.len() > 100 && kept.len() < before.len());
    let verified = verify(folder.path()).unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    assert_eq!((verified.events + verified.dropped, verified.events), (verified.head, after.len() as u64));
    for lose_store in [false, true, false] {
        if lose_store {
            fs::remove_dir_all(folder.path().join("sled")).unwrap();
        }
        let log = open(folder.path(), &clock).await;
        assert_eq!(all(&log, Filter::default()).await, after, "lost store: {lose_store}");
        // Of thing-c nothing is left, and still its version does not go back.
        let head = log.heads(vec![StreamName::new("thing-c").unwrap()]).await.unwrap();
        assert_eq!((head[0].version, all(&log, Filter::stream("thing-c")).await.len()), (60, 0));
        let mut subscription = log.subscribe(Filter::default(), Start::Beginning).await.unwrap();
        let mut followed = Vec::new();
        while followed.len() < after.len() {
            followed.extend(subscription.next_batch(50).await.unwrap().events);
        }
        assert_eq!(followed, after);
        assert_eq!(log.health().notices, Vec::<String>::new());
        assert_eq!(log.health().read_only, None);
        log.close().await;
    }
    // A second pass goes over what the first left.
    clock.set(60);
    let log = open(folder.path(), &clock).await;
    append(&log, "other-z", "noted", 80).await;
    set_policies(&log, &[RetentionPolicy { max_age_seconds: Some(86_400), ..policy("all") }]).await.unwrap();
    assert!(log.compact(order()).await.unwrap().events() > 100);
    let left = all(&log, Filter::default()).await;
    assert!(left.iter().all(|event| event.event_type == COMPACTED || event.recorded_time >= 59 * DAY));
    log.close().await;
    let verified = verify(folder.path()).unwrap();
    assert_eq!((verified.problems, verified.events), (vec![], left.len() as u64));
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let log = open(folder.path(), &clock).await;
    assert_eq!(all(&log, Filter::default()).await, left);
    assert_eq!(log.heads(vec![StreamName::new("thing-a").unwrap()]).await.unwrap()[0].version, 180);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_change_to_what_is_left_and_to_the_hashes_is_found() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
    compacted(folder.path(), &clock).await;
    for path in archived(folder.path()) {
        let kept = fs::read(&path).unwrap();
        for at in (0..kept.len() as u64).step_by(17) {
            flip_bit(&path, at);
            let found = verify(folder.path()).map_or(true, |verified| !verified.problems.is_empty());
            assert!(found, "{} at byte {at}", path.display());
            fs::write(&path, &kept).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_store_was_pruned_is_made_good() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
    let log = open(folder.path(), &clock).await;
    history(&log, &clock).await;
    log.close().await;
    let old = folder.path().join("old");
    copy(&folder.path().join("sled"), &old);
    let log = open(folder.path(), &clock).await;
    set_policies(&log, &[RetentionPolicy { max_age_seconds: Some(15 * 86_400), ..policy("old") }]).await.unwrap();
    assert_eq!(log.compact(order()).await.unwrap().events(), 280);
    let after = all(&log, Filter::default()).await;
    log.close().await;
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    fs::rename(&old, folder.path().join("sled")).unwrap();
    let log = open(folder.path(), &clock).await;
    assert_eq!(all(&log, Filter::default()).await, after);
    assert_eq!(log.health().read_only, None);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn superseded_state_goes_and_the_last_value_stays() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
    let log = open(folder.path(), &clock).await;
    for n in 0..2000_u32 {
        let key = format!("context/{}", n % 7).into();
        let state = vec![StateChange { key, value: Some(Bytes::from(format!("{n:0100}"))) }];
        log.commit(Commit { requests: vec![], state }).await.unwrap();
    }
    append(&log, "other-z", "noted", 80).await;
    let states = log.states("context/".into()).await.unwrap();
    let done = log.compact(order()).await.unwrap();
    assert!(done.state_bytes > 150_000, "{done:?}");
    let size = |folder: &Path| archived(folder).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    assert!(size(folder.path()) < 30_000, "{}", size(folder.path()));
    log.close().await;
    assert_eq!(verify(folder.path()).unwrap().problems, Vec::<String>::new());
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let log = open(folder.path(), &clock).await;
    assert_eq!(log.states("context/".into()).await.unwrap(), states);
    assert_eq!(log.compact(order()).await.unwrap().archives, 0, "nothing more to gain");
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_events_are_refused_until_there_is_some() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
    clock.set(1);
    let log = support::open_with(folder.path(), JournalOptions { max_bytes: Some(40 << 20), ..options(&clock) }).await;
    append(&log, "thing-a", "read", 10).await;
    let usage = log.usage().await.unwrap();
    assert_eq!((usage.level, usage.max_bytes), (SpaceLevel::Normal, Some(40 << 20)));
    assert!(usage.total_bytes > 0 && usage.disk_free_bytes.unwrap() > 0, "{usage:?}");

    let big = folder.path().join("content/big");
    fs::create_dir_all(big.parent().unwrap()).unwrap();
    let fill = |mebibytes: usize| fs::write(&big, vec![1; mebibytes << 20]).unwrap();
    fill(34);
    assert_eq!(log.usage().await.unwrap().level, SpaceLevel::Warning);
    append(&log, "thing-a", "read", 1).await;
    fill(38);
    assert_eq!(log.usage().await.unwrap().level, SpaceLevel::Refusing);
    let event = NewEvent::json("read", &serde_json::json!({}));
    let request = || vec![AppendRequest::one(StreamName::new("thing-a").unwrap(), event.clone())];
    let error = log.append(request()).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("the log may take 40.0 MiB"), "{error}");
    assert!(log.append_each(request()).await[0].is_err());
    assert_eq!(all(&log, Filter::default()).await.len(), 11, "reading goes on");
    log.set_checkpoint("mine".into(), Position::new(3)).await.unwrap();
    log.compact(order()).await.unwrap();

    fs::remove_file(&big).unwrap();
    assert_eq!(log.usage().await.unwrap().level, SpaceLevel::Normal);
    log.append(request()).await.unwrap();
    log.close().await;
}
