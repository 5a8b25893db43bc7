//! Notices read models that stand still, says so in the log, and says when they go on.
//!
//! A stalled read model answers with old values and looks fine; so it is an alarm like any other.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::json;
use tidewire_log::EventLog;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tokio::time::MissedTickBehavior;

use super::{Inner, ProjectionStatus};

/// The type of the event that says that a read model stands still.
pub const STALLED: &str = "tidewire.projection.stalled";
/// The type of the event that says that it goes on.
pub const RECOVERED: &str = "tidewire.projection.recovered";

/// The type of the event that says that a read model lacks events that retention removed.
pub const INCOMPLETE: &str = "tidewire.projection.incomplete";

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks in a row without progress after which a read model counts as stalled: a minute.
const LOOKS_STILL: u32 = 12;
/// Looks in a row at which it fell further behind, after which it does too: five minutes.
const LOOKS_SLOWER: u32 = 60;
/// A lag below this is no falling behind.
const LAG_MIN: u64 = 1_000;

/// The stream that tells of a read model.
pub(super) fn stream_of(name: &str) -> Option<StreamName> {
    StreamName::new(format!("projection-{}", name.trim_start_matches('$'))).ok()
}

/// What was seen of one read model.
#[derive(Debug, Default)]
pub(super) struct Watched {
    position: u64,
    lag: u64,
    still: u32,
    slower: u32,
    stalled: bool,
}

/// A change for the worse or the better.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Turn {
    Stalled(String),
    Recovered,
}

impl Watched {
    /// Looks once more.
    pub(super) fn look(&mut self, status: &ProjectionStatus) -> Option<Turn> {
        let (position, lag) = (status.position.get(), status.lag);
        // While it is built, progress is what counts; the share that is done stands for the position.
        let position = status.building.map_or(position, |done| (done * 1e9) as u64);
        let waits = status.failed.is_some() || lag > 0;
        self.still = if waits && position == self.position { self.still + 1 } else { 0 };
        self.slower = if lag > self.lag && lag > LAG_MIN && status.building.is_none() {
            self.slower + 1
        } else if lag < self.lag || lag == 0 {
            0
        } else {
            self.slower
        };
        (self.position, self.lag) = (position, lag);
        let stalled = self.still >= LOOKS_STILL || self.slower >= LOOKS_SLOWER;
        if stalled == self.stalled {
            return None;
        }
        // Once stalled, it has to move on without falling behind.
        if self.stalled && (self.still > 0 || self.slower > 0) {
            return None;
        }
        self.stalled = stalled;
        if !stalled {
            return Some(Turn::Recovered);
        }
        Some(Turn::Stalled(match &status.failed {
            Some(reason) => reason.clone(),
            None if self.still >= LOOKS_STILL => format!("{lag} events wait and none takes effect"),
            None => format!("events come faster than they take effect; {lag} wait"),
        }))
    }
}

/// Looks until the service is gone.
pub(super) async fn watch(inner: Weak<Inner>) {
    let mut seen: HashMap<String, Watched> = HashMap::new();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let names: Vec<String> =
            inner.kept.lock().iter().filter(|(_, kept)| kept.is_running()).map(|(name, _)| name.clone()).collect();
        seen.retain(|name, _| names.contains(name));
        for name in names {
            // The figures of what a node keeps are in memory.
            let Ok(Some(status)) = inner.status(&name) else { continue };
            if let Some(turn) = seen.entry(name.clone()).or_default().look(&status) {
                let log = Arc::clone(&inner.log);
                tell(&*log, &status, &turn).await;
            }
        }
    }
}

async fn tell(log: &dyn EventLog, status: &ProjectionStatus, turn: &Turn) {
    let (kind, reason) = match turn {
        Turn::Stalled(reason) => (STALLED, Some(reason)),
        Turn::Recovered => (RECOVERED, None),
    };
    match reason {
        Some(reason) => tracing::warn!(projection = status.name, reason, lag = status.lag, "projection stalled"),
        None => tracing::info!(projection = status.name, "projection goes on"),
    }
    let data = json!({"projection": status.name, "position": status.position, "lag": status.lag, "reason": reason});
    note(log, &status.name, kind, &data, None).await;
}

/// Records something about a read model.
pub(super) async fn note(log: &dyn EventLog, name: &str, kind: &str, data: &serde_json::Value, actor: Option<&str>) {
    let Some(stream) = stream_of(name) else { return };
    let mut event = NewEvent::json(kind, data).with_source("/projections");
    event.actor = actor.map(Into::into);
    if let Err(error) = log.append(vec![AppendRequest::one(stream, event)]).await {
        tracing::warn!(projection = name, error = %error, "what happened to a projection was not recorded");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tidewire_model::position::Position;

    fn status(position: u64, lag: u64, failed: Option<&str>) -> ProjectionStatus {
        let failed = failed.map(str::to_owned);
        ProjectionStatus {
            name: "p".into(),
            kept: true,
            position: Position::new(position),
            lag,
            failed,
            ..Default::default()
        }
    }

    fn turns(looks: impl IntoIterator<Item = ProjectionStatus>) -> Vec<Turn> {
        let mut watched = Watched::default();
        looks.into_iter().filter_map(|status| watched.look(&status)).collect()
    }

    #[test]
    fn standing_still_is_told_once_and_going_on_too() {
        let still = (0..30).map(|_| status(10, 5, None));
        let found = turns(still.chain([status(15, 0, None), status(15, 0, None)]));
        assert_eq!(found, [Turn::Stalled("5 events wait and none takes effect".into()), Turn::Recovered]);
        assert_eq!(turns((0..200).map(|_| status(10, 0, None))), [], "nothing waits");
        let failed = turns((0..20).map(|_| status(10, 0, Some("the disk is full"))));
        assert_eq!(failed, [Turn::Stalled("the disk is full".into())]);
    }

    #[test]
    fn falling_behind_for_long_is_told() {
        assert_eq!(turns((1..300).map(|n| status(n, 100 + n % 7, None))), []);
        let found = turns(
            (1..100)
                .map(|n| status(n, 5_000 + n * 10, None))
                .chain((1..50).map(|n| status(100 + n, 5_000 - n * 50, None))),
        );
        assert!(matches!(found.as_slice(), [Turn::Stalled(_), Turn::Recovered]), "{found:?}");
    }
}
