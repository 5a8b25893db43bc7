//! Which builds of a read model are kept: those that there are, or a new one.

use std::collections::VecDeque;

use serde_json::json;
use tidewire_log::LogError;
use tidewire_log::snapshots::SnapshotInfo;
use tidewire_model::position::Position;
use tidewire_node_api::handles::Keys;

use super::retained::{self, Gap, Retained};
use super::run::Run;
use super::shelf::{Build, Builds, Shelf};
use super::task::{Runs, Task};
use super::watch::{INCOMPLETE, note};

impl Task {
    /// Goes on with the builds that there are, or begins one.
    pub(super) async fn open(&self, retained: &Retained) -> Result<Runs, LogError> {
        let (live, next) = self.choose(retained).await?;
        let mut runs = Runs { live: None, next: None, turn: false, later: VecDeque::new() };
        if let Some(build) = live {
            runs.live = Some(self.open_run(retained, build, false).await?);
        }
        if let Some(build) = next {
            runs.next = Some(self.open_run(retained, build, true).await?);
        }
        self.pair(&mut runs);
        if let Some(served) = self.shelf.builds(&self.spec.name)?.served() {
            self.shared.serve(&Shelf::place(&self.spec.name, served.number));
        }
        self.publish(&mut runs);
        if let Some(live) = &runs.live {
            self.shared.position.send_replace(live.through);
        }
        Ok(runs)
    }

    /// What there is beside the log.
    pub(super) async fn retained(&self) -> Result<Retained, LogError> {
        Retained::of(&*self.log, &self.spec.name, &self.spec.filter).await
    }

    pub(super) fn definition(&self) -> String {
        self.shared.definition.read().clone()
    }

    /// Goes on with a build, or begins it with what its snapshot in a file holds.
    pub(super) async fn open_run(&self, retained: &Retained, build: Build, building: bool) -> Result<Run, LogError> {
        let place = Shelf::place(&self.spec.name, build.number);
        if self.shelf.checkpoint(&place)? == Position::ZERO
            && build.from > Position::ZERO
            && let Some(file) = retained.at(&build.definition, build.from)
        {
            self.fill(file.clone(), place, None).await?;
        }
        Run::open(&self.shelf, &self.spec, build, building)
    }

    /// Fills a new build with what a file holds, but for some keys.
    pub(super) async fn fill(&self, file: SnapshotInfo, to: String, without: Option<Keys>) -> Result<(), LogError> {
        let (files, shelf) = (self.log.snapshots(), self.shelf.clone());
        self.blocking(move || retained::copy(&files, &file, &shelf, &to, without.as_ref())).await
    }

    /// A build beside one that is kept up to date.
    pub(super) fn pair(&self, runs: &mut Runs) {
        if let Some(live) = &runs.live {
            let place = live.fold.place();
            runs.next = runs.next.take().map(|next| next.beside(place.to_owned()));
        }
    }

    /// Which builds to go on with; a new one when there is none of this definition.
    async fn choose(&self, retained: &Retained) -> Result<(Option<Build>, Option<Build>), LogError> {
        let (name, definition) = (&self.spec.name, self.definition());
        let head = self.log.head();
        let mut builds = self.shelf.builds(name)?;
        // A checkpoint beyond the head belongs to another log.
        let usable = |build: &Build| -> Result<bool, LogError> {
            let checkpoint = self.shelf.checkpoint(&Shelf::place(name, build.number))?;
            // What it was to begin with may have been replaced before it did.
            let begins = checkpoint > Position::ZERO
                || build.from == Position::ZERO
                || retained.at(&definition, build.from).is_some();
            Ok(build.definition == definition && checkpoint <= head && begins)
        };
        let live = match &builds.live {
            Some(live) if usable(live)? => self.with_gap(retained, &mut builds).await?,
            _ => None,
        };
        if let Some(next) = builds.next.clone() {
            if usable(&next)? {
                return Ok((live, Some(next)));
            }
            builds.next = None;
            self.shelf.save_builds(name, &builds)?;
            self.shelf.remove(&Shelf::place(name, next.number))?;
        }
        if live.is_some() {
            return Ok((live, None));
        }
        let quiet = self.began.unwrap_or(head).min(head);
        let next = self.begin(retained, quiet, false).await?;
        self.tell_gap(&next).await;
        Ok((None, Some(next)))
    }

    /// The live build, which can be gone on with, with what it lacks; `None` when a snapshot has got further than it did
    /// before events went.
    async fn with_gap(&self, retained: &Retained, builds: &mut Builds) -> Result<Option<Build>, LogError> {
        let Some(build) = builds.live.clone() else { return Ok(None) };
        let checkpoint = self.shelf.checkpoint(&Shelf::place(&self.spec.name, build.number))?;
        if checkpoint >= retained.gone || build.gap.as_ref().is_some_and(|gap| gap.through >= retained.gone) {
            return Ok(Some(build));
        }
        if retained.newest(&build.definition).is_some_and(|newest| newest.position > checkpoint) {
            return Ok(None);
        }
        let after = build.gap.as_ref().map_or(checkpoint, |gap| gap.after);
        let reason = "they were removed while it was not kept".to_owned();
        let build = Build { gap: Some(Gap { after, through: retained.gone, reason }), ..build };
        builds.live = Some(build.clone());
        self.shelf.save_builds(&self.spec.name, builds)?;
        self.tell_gap(&build).await;
        Ok(Some(build))
    }

    /// Begins a build: from the first event, or from the snapshot that stands for events that are gone. What it lacks is
    /// still to be told.
    pub(super) async fn begin(&self, retained: &Retained, quiet: Position, hold: bool) -> Result<Build, LogError> {
        let (name, definition) = (&self.spec.name, self.definition());
        let (files, known, of) = (self.log.snapshots(), retained.clone(), definition.clone());
        let (from, gap) = self.blocking(move || Ok(known.begin(&files, &of))).await?;
        let mut builds = self.shelf.builds(name)?;
        builds.made += 1;
        let build = Build { number: builds.made, definition, quiet, from, renewed: false, hold, gap };
        builds.next = Some(build.clone());
        builds.comparison = None;
        self.shelf.save_builds(name, &builds)?;
        tracing::info!(
            projection = name,
            events = quiet.get(),
            from = from.get(),
            "building a projection from history"
        );
        Ok(build)
    }

    /// Says what a build lacks: once, when it is begun or gone on with.
    pub(super) async fn tell_gap(&self, build: &Build) {
        let Some(gap) = &build.gap else { return };
        let name = &self.spec.name;
        let (after, through) = (gap.after.get(), gap.through.get());
        tracing::warn!(
            projection = name,
            after,
            through,
            reason = gap.reason,
            "a projection lacks events that are gone"
        );
        let data = json!({"projection": name, "after": after, "through": through, "reason": gap.reason});
        note(&*self.log, name, INCOMPLETE, &data, None).await;
    }
}
