//! Which builds of a read model are kept: those that there are, or a new one.

use std::collections::VecDeque;

use tidewire_log::LogError;
use tidewire_model::position::Position;

use super::run::Run;
use super::shelf::{Build, Shelf};
use super::task::{Runs, Task};

impl Task {
    /// Goes on with the builds that there are, or begins one.
    pub(super) fn open(&self) -> Result<Runs, LogError> {
        let (live, next) = self.choose()?;
        let open = |build: Build, building| Run::open(&self.shelf, &self.spec, build, building);
        let mut runs = Runs {
            live: live.map(|build| open(build, false)).transpose()?,
            next: next.map(|build| open(build, true)).transpose()?,
            turn: false,
            later: VecDeque::new(),
        };
        self.pair(&mut runs);
        if let Some(served) = self.shelf.builds(&self.spec.name)?.served() {
            self.shared.serve(&Shelf::place(&self.spec.name, served.number));
        }
        if let Some(live) = &runs.live {
            self.shared.position.send_replace(live.through);
        }
        self.publish(&mut runs);
        Ok(runs)
    }

    /// A build beside one that is kept up to date.
    pub(super) fn pair(&self, runs: &mut Runs) {
        if let Some(live) = &runs.live {
            let place = live.fold.place();
            runs.next = runs.next.take().map(|next| next.beside(place.to_owned()));
        }
    }

    /// Which builds to go on with; a new one when there is none of this definition.
    fn choose(&self) -> Result<(Option<Build>, Option<Build>), LogError> {
        let (name, definition) = (&self.spec.name, &self.spec.definition);
        let head = self.log.head();
        let mut builds = self.shelf.builds(name)?;
        // A checkpoint beyond the head belongs to another log.
        let usable = |build: &Build| -> Result<bool, LogError> {
            let checkpoint = self.shelf.checkpoint(&Shelf::place(name, build.number))?;
            Ok(build.definition == *definition && checkpoint <= head)
        };
        let live = match &builds.live {
            Some(live) if usable(live)? => Some(live.clone()),
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
        Ok((None, Some(self.begin(quiet, false)?)))
    }

    /// Begins a build: from the first event, or from the snapshot that stands for events that may be gone.
    pub(super) fn begin(&self, quiet: Position, hold: bool) -> Result<Build, LogError> {
        let (name, definition) = (&self.spec.name, &self.spec.definition);
        let mut builds = self.shelf.builds(name)?;
        let pinned = builds.snapshots.iter().rfind(|one| one.pinned && one.definition == *definition);
        let from = pinned.map_or(Position::ZERO, |one| one.position);
        builds.made += 1;
        let build = Build { number: builds.made, definition: definition.clone(), quiet, from, renewed: false, hold };
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
}
