//! A pass of retention over the archives.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidewire_model::event::Event;
use tidewire_model::retention::RetentionPolicy;

use super::JournalLog;
use crate::block::EVENTS_MAX;
use crate::journal::archive::{archive_name, read_archive_head};
use crate::journal::archiving::is_archived;
use crate::journal::entry::Entry;
use crate::journal::reading::SegmentReader;
use crate::journal::segment::{self, SegmentHead};
use crate::journal::summary::{Dropped, Summary};
use crate::live::Head;
use crate::retention::rewrite::{Actor, Heads, Sieve, rewrite};
use crate::retention::{ByteCuts, DroppedGroups, Finds, Rules, holds, policies, prune, record_of, spared};
use crate::shared::Shared;
use crate::store::Store;
use crate::{
    CompactOrder, Compacted, DEDUPLICATION_MS, DroppedGroup, Dropping, EventLog, LogError, archivist, indexer,
};

/// An archive is rewritten for the sake of superseded state alone when that is at least this part of it.
const STATE_SHARE: u64 = 5;

/// What a pass found out.
struct Found {
    finds: Finds,
    state_bytes: u64,
    segments: Vec<SegmentHead>,
}

/// What a pass did.
#[derive(Default)]
struct Done {
    freed: u64,
    archives: u64,
    content: bool,
}

impl JournalLog {
    pub(super) async fn compact_archives(&self, order: CompactOrder) -> Result<Compacted, LogError> {
        let _one_at_a_time = self.inner.compacting.lock().await;
        let policies = policies(self).await?;
        let policies_wait = policies.iter().any(RetentionPolicy::has_limit) && self.segment_is_old()?;
        if !order.dry_run && (order.close_segment || policies_wait) {
            self.close_segment().await?;
        }
        if !order.dry_run && (!self.inner.swept.swap(true, Ordering::Relaxed) || self.has_orphans()) {
            // What a crash before this start left behind, or appends that were refused since.
            self.sweep_content().await?;
        }
        self.record_dropped().await?;
        self.let_store_catch_up().await;
        let held = holds(self, &order).await?;
        let needed = held.first().map_or(u64::MAX, |hold| hold.from.get());
        // What would go if nobody needed it tells who keeps it.
        let spared = spared(&order).await?;
        let wanted = Arc::new(Rules { spared, ..self.rules(policies.clone()).await? });
        let mut rules = Rules { before: wanted.before.min(needed), ..(*wanted).clone() };
        let found = self.look(Arc::new(rules.clone()), order.dry_run).await?;
        let more = if needed < wanted.before {
            self.look(wanted, order.dry_run).await?.finds.tally.last_position()
        } else {
            None
        };
        let held_by = more.map_or_else(Vec::new, |last| held.into_iter().filter(|hold| hold.from <= last).collect());
        let held_by = [held_by, found.finds.spared_by(&rules)].concat();
        let mut compacted = Compacted {
            policies: found.finds.tally.named(&policies),
            state_bytes: found.state_bytes,
            archives: found.segments.len() as u64,
            freed_bytes: 0,
            held_by,
        };
        if order.dry_run || found.segments.is_empty() {
            return Ok(compacted);
        }
        if let Some(last) = found.finds.tally.last_position() {
            if let Some(before_drop) = &order.before_drop {
                before_drop(Dropping { through: last, groups: found.finds.gone.list() })
                    .await
                    .map_err(LogError::Retention)?;
            }
            rules.before = rules.before.min(last.get() + 1);
        } else {
            rules.before = 0;
        }
        let done = self.rewrite_archives(Arc::new(rules), found.segments, order.actor.to_string()).await?;
        *self.inner.dropped.lock().await = None;
        compacted.freed_bytes = done.freed;
        compacted.archives = done.archives;
        self.record_dropped().await?;
        if done.content {
            self.sweep_content().await?;
        }
        Ok(compacted)
    }

    /// Waits a while for the store: what it does not have stays.
    async fn let_store_catch_up(&self) {
        let shared = &self.inner.shared;
        let behind = || shared.health().store_lag >= EVENTS_MAX as u64;
        for _ in 0..500 {
            if !behind() || shared.is_closing() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether the segment under way began more than a day ago: a log that grows slowly has to forget too.
    fn segment_is_old(&self) -> Result<bool, LogError> {
        let numbers = segment::plain_numbers(&self.inner.journal_folder)?;
        let Some(last) = numbers.last() else { return Ok(false) };
        let head = segment::head_of(&self.inner.journal_folder, *last)?;
        Ok(head.recorded_time < (self.inner.clock)() - DEDUPLICATION_MS)
    }

    /// Closes the segment under way and makes archives of all that are closed.
    async fn close_segment(&self) -> Result<(), LogError> {
        let done = self.inner.queue.push_close_segment().ok_or(LogError::Closed)?;
        done.await.map_err(|_| LogError::Closed)?;
        let folder = self.inner.journal_folder.clone();
        self.with_store(move |shared, store| archivist::archive_all(shared, store, &folder)).await
    }

    async fn rules(&self, policies: Vec<RetentionPolicy>) -> Result<Rules, LogError> {
        let folder = self.inner.journal_folder.clone();
        let now = (self.inner.clock)();
        self.with_store(move |_, store| {
            // What the store has on disk, less its last event.
            let before = indexer::flush(store)?.1;
            cut_bytes(
                &folder,
                Rules { policies: policies.clone(), now, before, cuts: Vec::new(), spared: Arc::default() },
            )
        })
        .await
    }

    /// Finds out what would go: from the archives, and from what a pass would make archives of when there is none yet.
    async fn look(&self, rules: Arc<Rules>, all: bool) -> Result<Found, LogError> {
        let folder = self.inner.journal_folder.clone();
        self.with_store(move |shared, _| look(shared, &folder, &rules, all)).await
    }

    async fn rewrite_archives(
        &self,
        rules: Arc<Rules>,
        segments: Vec<SegmentHead>,
        actor: String,
    ) -> Result<Done, LogError> {
        let folder = self.inner.journal_folder.clone();
        self.with_store(move |shared, store| rewrite_all(shared, store, &folder, &rules, &segments, &actor)).await
    }

    /// What is gone, by category and type. Archives that cannot be read are for `verify` to tell.
    pub(super) async fn dropped_groups(&self) -> Result<Vec<DroppedGroup>, LogError> {
        // Held meanwhile: every read model asks at start, and one of them looks.
        let mut known = self.inner.dropped.lock().await;
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let folder = self.inner.journal_folder.clone();
        let found = self.with_store(move |_, _| gone_from(&folder)).await?;
        Ok(known.insert(found).clone())
    }

    /// Records what archives say was dropped and is not recorded yet.
    async fn record_dropped(&self) -> Result<(), LogError> {
        let folder = self.inner.journal_folder.clone();
        for (id, dropped) in self.with_store(move |_, _| last_dropped(&folder)).await? {
            if self.event_by_id(id.as_str().into()).await?.is_none()
                && let Some(request) = record_of(&dropped, id)
            {
                let refused = |error: tidewire_model::append::AppendError| LogError::Retention(error.to_string());
                self.append(vec![request]).await.map_err(refused)?;
            }
        }
        Ok(())
    }
}

fn damaged(reader: &SegmentReader) -> impl Fn(String) -> LogError + use<> {
    let name = reader.name.clone();
    move |reason| LogError::Damaged(format!("{reason} in {name}; see `log verify`"))
}

/// Finds from where on policies exceed their bytes.
fn cut_bytes(folder: &Path, mut rules: Rules) -> Result<Rules, LogError> {
    let limits = rules.limits_bytes();
    let mut cuts = ByteCuts::new(&mut rules);
    if limits {
        for segment in segment::list(folder)?.iter().rev() {
            let used = cuts.used();
            if let Ok((_, summary)) = Summary::of(&folder.join(archive_name(segment.number)))
                && summary.groups.iter().all(|group| cuts.add_group(&group.category, &group.event_type, group.bytes))
            {
                continue;
            }
            cuts.go_back(used);
            let mut reader = SegmentReader::open(folder, segment)?;
            let damaged = damaged(&reader);
            let mut events = Vec::new();
            while let Some(entry) = reader.next_entry().map_err(&damaged)? {
                let record = entry.into_record().map_err(&damaged)?;
                let lens = record.frames.iter().map(|range| range.len() as u64);
                events.extend(record.events.iter().map(Arc::clone).zip(lens));
            }
            events.iter().rev().for_each(|(event, bytes)| cuts.add(event, *bytes));
        }
    }
    Ok(rules)
}

fn head_of(shared: &Shared, event: &Event) -> Head {
    shared.live.read().heads.get(&event.stream).copied().unwrap_or_default()
}

/// Archives, newest first, each with the keys whose state newer ones have.
fn each_archive(
    folder: &Path,
    mut with: impl FnMut(&SegmentHead, &Summary, &HashSet<u64>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let mut newer = HashSet::new();
    for segment in segment::list(folder)?.iter().rev() {
        if is_archived(folder, segment) {
            let (_, summary) = Summary::of(&folder.join(archive_name(segment.number)))?;
            with(segment, &summary, &newer)?;
            newer.extend(summary.state.iter().map(|(key, _)| *key));
        }
    }
    Ok(())
}

fn look(shared: &Shared, folder: &Path, rules: &Rules, all: bool) -> Result<Found, LogError> {
    let mut found = Found { finds: Finds::default(), state_bytes: 0, segments: Vec::new() };
    let heads = |event: &Event| head_of(shared, event);
    each_archive(folder, |segment, summary, newer| {
        let superseded: u64 =
            summary.state.iter().filter(|(key, _)| newer.contains(key)).map(|(_, bytes)| u64::from(*bytes)).sum();
        let stale = summary.stale_state + superseded;
        let kept: u64 = summary.groups.iter().map(|group| group.bytes).sum::<u64>()
            + summary.state.iter().map(|(_, bytes)| u64::from(*bytes)).sum::<u64>()
            + summary.stale_state;
        let for_state = stale > 0 && stale * STATE_SHARE >= kept;
        let may_drop = segment.first_position < rules.before
            && summary.groups.iter().any(|group| {
                rules.may_drop(&group.category, &group.event_type, group.first_time, segment.first_position)
            });
        let mut sieve = Sieve::new(rules, &heads, newer);
        if may_drop {
            let mut reader = SegmentReader::open_archive(folder, segment)?;
            let damaged = damaged(&reader);
            while let Some(entry) = reader.next_entry().map_err(&damaged)? {
                let record = entry.into_record().map_err(&damaged)?;
                for (event, range) in record.events.iter().zip(&record.frames) {
                    sieve.takes_event(event, range.len() as u64);
                }
            }
        }
        found.finds.merge(&sieve.finds);
        if !sieve.finds.tally.is_empty() || for_state {
            found.state_bytes += stale;
            found.segments.push(segment.clone());
        }
        Ok(())
    })?;
    if all {
        look_in_plain(folder, rules, &heads, &mut found)?;
    }
    found.segments.reverse();
    Ok(found)
}

/// Finds out what would go from segments that are no archives yet.
fn look_in_plain(folder: &Path, rules: &Rules, heads: Heads<'_>, found: &mut Found) -> Result<(), LogError> {
    let superseded = HashSet::new();
    for segment in segment::list(folder)? {
        if is_archived(folder, &segment) || segment.first_position >= rules.before {
            continue;
        }
        let mut sieve = Sieve::new(rules, heads, &superseded);
        let mut reader = SegmentReader::open(folder, &segment)?;
        // At the end of the last one the writer is at work.
        while let Ok(Some(entry)) = reader.next_entry() {
            let Ok(record) = entry.into_record() else { break };
            for (event, range) in record.events.iter().zip(&record.frames) {
                sieve.takes_event(event, range.len() as u64);
            }
        }
        if !sieve.finds.tally.is_empty() {
            found.segments.push(segment);
        }
        found.finds.merge(&sieve.finds);
    }
    Ok(())
}

fn rewrite_all(
    shared: &Shared,
    store: &Store,
    folder: &Path,
    rules: &Rules,
    segments: &[SegmentHead],
    actor: &str,
) -> Result<Done, LogError> {
    let mut done = Done::default();
    let heads = |event: &Event| head_of(shared, event);
    let _alone = shared.archives.lock();
    let mut result = Ok(());
    each_archive(folder, |segment, _, newer| {
        if result.is_err() || !segments.contains(segment) || shared.is_closing() {
            return Ok(());
        }
        let mut sieve = Sieve::new(rules, &heads, newer);
        count_state(folder, segment, &mut sieve)?;
        let actor = Actor { name: actor, now: rules.now };
        match rewrite(folder, segment, &mut sieve, &actor, &mut |_| !shared.is_closing()) {
            Ok(Some(rewritten)) => {
                done.archives += 1;
                done.freed += rewritten.before.end.saturating_sub(rewritten.after.end);
                done.content |= sieve.content;
                tracing::info!(
                    segment = segment.number,
                    events = rewritten.summary.dropped.iter().map(|dropped| dropped.events).sum::<u64>(),
                    bytes = rewritten.after.end,
                    "archive rewritten without what retention drops"
                );
                prune::prune(shared, store, folder, segment, true)?;
            }
            Ok(None) => {}
            Err(error) => result = Err(error),
        }
        Ok(())
    })?;
    result.map(|()| done)
}

fn count_state(folder: &Path, segment: &SegmentHead, sieve: &mut Sieve<'_>) -> Result<(), LogError> {
    let mut reader = SegmentReader::open_archive(folder, segment)?;
    let damaged = damaged(&reader);
    while let Some(entry) = reader.next_entry().map_err(&damaged)? {
        if !matches!(entry, Entry::Gap(_)) {
            sieve.count_state(&entry.into_record().map_err(&damaged)?);
        }
    }
    Ok(())
}

fn gone_from(folder: &Path) -> Result<Vec<DroppedGroup>, LogError> {
    let mut gone = DroppedGroups::default();
    for segment in segment::list(folder)? {
        let path = folder.join(archive_name(segment.number));
        if read_archive_head(&path).is_ok_and(|head| head.generation > 0)
            && let Ok((_, summary)) = Summary::of(&path)
        {
            gone.extend(&summary.gone);
        }
    }
    Ok(gone.list())
}

/// What the last pass over each archive dropped, with the id of the event that records it.
fn last_dropped(folder: &Path) -> Result<Vec<(String, Dropped)>, LogError> {
    let mut all = Vec::new();
    for segment in segment::list(folder)? {
        let path = folder.join(archive_name(segment.number));
        if !read_archive_head(&path).is_ok_and(|head| head.generation > 0) {
            continue;
        }
        let (head, summary) = Summary::of(&path)?;
        let last = summary.dropped.into_iter().filter(|dropped| dropped.generation == head.generation);
        all.extend(last.map(|dropped| {
            let id =
                format!("compacted/{:x}/{}/{}/{}", segment.log_id, segment.number, head.generation, dropped.policy);
            (id, dropped)
        }));
    }
    Ok(all)
}
