//! How a read model is, for people.

use serde::{Deserialize, Serialize};
use tidewire_model::position::Position;
use tidewire_node_api::handles::Progress;

use super::asks::Skipped;
use super::compare::Comparison;
use super::retained::Gap;
use super::task::Shared;

/// An event that a read model could not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    pub position: Position,
    /// Id of the event.
    pub event: String,
    /// Why it could not be applied.
    pub reason: String,
    /// Who said that it is to be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Building {
    /// How much is done, from 0 to 1.
    pub done: f64,
    pub events_per_s: f64,
    /// Seconds until it is done, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// Whether it is complete and waits to be swapped in.
    pub ready: bool,
}

/// How a read model is.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionStatus {
    pub name: String,
    /// Whether a node keeps it up to date.
    pub kept: bool,
    /// Every event up to here has taken effect.
    pub position: Position,
    /// How many events of the log are still to be looked at.
    pub lag: u64,
    pub keys: u64,
    /// How many events it could not apply.
    pub parked: u64,
    /// How much of it is done, from 0 to 1, while it is built from history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub building: Option<f64>,
    /// More about the build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Building>,
    /// Why it stands still, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What is kept beside a read model.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionDetails {
    /// Positions of its snapshots.
    pub snapshots: Vec<Position>,
    /// It was begun from a snapshot that stands here; 0: from the first event.
    pub begun_from: Position,
    /// Events up to here may be gone from the log.
    pub thinned: Position,
    /// What it lacks of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// What the last exchange of builds changed, or what the one that waits would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// How far a read model is that a node keeps.
pub(super) fn progress(shared: &Shared, head: Position) -> Progress {
    let position = *shared.position.borrow();
    let state = shared.state.lock().clone();
    Progress {
        position,
        lag: head.get().saturating_sub(position.get()),
        keys: state.totals.keys,
        parked: state.totals.parked,
        building: state.building.map(|building| building.done),
        failed: state.failed,
        lacks: state.lacks,
    }
}
