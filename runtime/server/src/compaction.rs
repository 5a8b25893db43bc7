//! Drops what the retention policies say, now and then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidewire_engine::projections::ProjectionService;
use tidewire_log::consumers::{ConsumerError, Consumers};
use tidewire_log::{
    BeforeDrop, CompactOrder, EventLog, Hold, Holds, LogError, SpaceLevel, Spared, StreamHold, policies,
};
use tidewire_model::event::StreamName;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_model::retention::RetentionPolicy;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::Core;

/// The category of the streams of commands.
const COMMANDS: &str = "command";
/// Events read at a time.
const PAGE: usize = 1_000;
/// When passes are made.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The first one, once the start is over.
    first: Duration,
    /// Between passes.
    every: Duration,
    /// Between passes while there is little room.
    every_when_short: Duration,
    /// After a segment was archived, while there are policies with a limit; as long after the pass before, too, since each
    /// may rewrite many archives for a few events.
    after_archive: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Pace { first: minutes(1), every: minutes(60), every_when_short: minutes(1), after_archive: minutes(2) }
    }
}

/// How to compact when somebody asks for it.
pub fn order(core: &Core, actor: &str, dry_run: bool) -> CompactOrder {
    let (projections, consumers) = (core.projections.clone(), Arc::clone(&core.consumers));
    let holds: Holds = Arc::new(move || {
        let (projections, consumers) = (projections.clone(), Arc::clone(&consumers));
        Box::pin(async move {
            let looked = tokio::task::spawn_blocking(move || projections_hold(&projections));
            // Whoever cannot be asked may need everything.
            let all = |by: &str| vec![Hold { by: by.to_owned(), from: Position::FIRST }];
            let mut holds = looked.await.unwrap_or_else(|_| all("projections"));
            holds.append(&mut groups_hold(&consumers).await.unwrap_or_else(|_| all("consumer groups")));
            holds
        })
    });
    let projections = core.projections.clone();
    let before_drop: BeforeDrop = Arc::new(move |dropping| {
        let projections = projections.clone();
        Box::pin(async move {
            for (name, made) in projections.snapshot_before(&dropping).await {
                made.map_err(|error| format!("the projection \"{name}\" has no snapshot before them: {}", error.text))?;
            }
            Ok(())
        })
    });
    let log = Arc::clone(&core.log);
    let spared: Spared = Arc::new(move || {
        let log = Arc::clone(&log);
        Box::pin(async move {
            open_commands(&*log).await.map_err(|error| format!("open commands are not known: {}", error.full_text()))
        })
    });
    CompactOrder {
        actor: actor.into(),
        dry_run,
        close_segment: !dry_run,
        holds: Some(holds),
        before_drop: Some(before_drop),
        spared: Some(spared),
    }
}

/// Read models need what they have not applied; one that is being built needs all.
fn projections_hold(projections: &ProjectionService) -> Vec<Hold> {
    let hold = |name: &str, from| Hold { by: format!("projection {name}"), from };
    let Ok(names) = projections.names() else { return vec![hold("*", Position::FIRST)] };
    let each = |name: String| match projections.status(&name) {
        Ok(Some(status)) if status.building.is_some() => Some(hold(&name, Position::FIRST)),
        Ok(Some(status)) if status.kept => Some(hold(&name, status.position.next())),
        Ok(_) => None,
        Err(_) => Some(hold(&name, Position::FIRST)),
    };
    names.into_iter().filter_map(each).collect()
}

/// A group of consumers needs what it has not dealt with, and what it put aside.
async fn groups_hold(consumers: &Consumers) -> Result<Vec<Hold>, ConsumerError> {
    let mut holds = Vec::new();
    for group in consumers.list().await? {
        let mut from = group.floor.next();
        if group.parked > 0 {
            let first = consumers.parked(&group.name, Position::ZERO, 1).await?;
            from = from.min(first.first().map_or(from, |(position, _)| *position));
        }
        holds.push(Hold { by: format!("consumer group {}", group.name), from });
    }
    Ok(holds)
}

/// Streams of commands without an outcome: whoever carries them out, or looks for what became of them, needs all of one.
async fn open_commands(log: &dyn EventLog) -> Result<Vec<StreamHold>, LogError> {
    let concerned = |policy: &RetentionPolicy| {
        let about = |text: &Option<String>| text.as_deref().map(Into::into);
        let filter = Filter { stream: about(&policy.stream), category: about(&policy.category), ..Filter::default() };
        policy.has_limit() && filter.may_find_group(COMMANDS, "")
    };
    if !policies(log).await?.iter().any(concerned) {
        return Ok(Vec::new());
    }
    let filter = Filter { event_types: vec!["tidewire.command.*".into()], ..Filter::category(COMMANDS) };
    let mut open: BTreeSet<StreamName> = BTreeSet::new();
    let mut next = Some(Position::FIRST);
    while let Some(from) = next {
        let page = log.read(Query::forwards(filter.clone(), from, PAGE)).await?;
        for event in &page.events {
            if tidewire_nodes::ends_command(event) {
                open.remove(&event.stream);
            } else {
                open.insert(event.stream.clone());
            }
        }
        next = page.next;
    }
    Ok(open.into_iter().map(|stream| StreamHold { by: "open command", stream }).collect())
}

/// Waits until a segment was archived that a policy may drop something of, and then a while.
async fn archived(core: &std::sync::Weak<Core>, archived: &mut watch::Receiver<u64>, pause: Duration) {
    loop {
        if archived.changed().await.is_err() {
            return std::future::pending().await;
        }
        let Some(core) = core.upgrade() else { return };
        if policies(&*core.log).await.is_ok_and(|policies| policies.iter().any(RetentionPolicy::has_limit)) {
            drop(core);
            return tokio::time::sleep(pause).await;
        }
    }
}

/// Compacts until the server stops.
pub async fn keep(core: std::sync::Weak<Core>, pace: Pace, shutdown: CancellationToken) {
    let Some(mut archives) = core.upgrade().map(|core| core.log.watch_archived()) else { return };
    let mut pause = pace.first;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = archived(&core, &mut archives, pace.after_archive) => {}
        }
        let Some(core) = core.upgrade() else { return };
        let order = CompactOrder { close_segment: false, ..order(&core, "tidewire", false) };
        match core.log.compact(order).await {
            Ok(done) if done.archives == 0 => {}
            Ok(done) => {
                tracing::info!(events = done.events(), bytes = done.freed_bytes, "event log compacted by its policies");
            }
            Err(LogError::Closed) => return,
            Err(error) => tracing::warn!(error = error.full_text(), "event log not compacted"),
        }
        let short = core.log.health().space > SpaceLevel::Normal;
        pause = if short { pace.every_when_short } else { pace.every };
    }
}

#[cfg(test)]
mod tests;
