//! What the task that keeps a read model does between two events, because somebody asked.

use tidewire_log::{LogError, snapshots};
use tidewire_model::event::StreamName;
use tidewire_model::position::Position;

use super::asks::{Ask, Skipped};
use super::compare::compare;
use super::retained::{self, Retained};
use super::run::Run;
use super::shelf::{Build, Shelf};
use super::status::Parked;
use super::task::{Runs, Task};

impl Task {
    /// The new build has got as far as the one that is served: what differs is written down.
    pub(super) async fn meet(&self, live: &mut Run, next: &mut Run) -> Result<(), LogError> {
        self.commit(live, true).await?;
        self.commit(next, true).await?;
        if !next.build.renewed {
            self.write_comparison(live.fold.place(), next.fold.place()).await?;
        }
        next.ready = true;
        Ok(())
    }

    async fn write_comparison(&self, old: &str, new: &str) -> Result<(), LogError> {
        let (shelf, name, old, new) = (self.shelf.clone(), self.spec.name.clone(), old.to_owned(), new.to_owned());
        self.blocking(move || {
            let comparison = compare(&shelf, &old, &new)?;
            tracing::info!(projection = name, different = comparison.different, "builds of a projection compared");
            let mut builds = shelf.builds(&name)?;
            builds.comparison = Some(comparison);
            shelf.save_builds(&name, &builds)
        })
        .await
    }

    /// Does what was asked for.
    pub(super) async fn answer(&self, runs: &mut Runs) -> Result<(), LogError> {
        let mut asks = std::mem::take(&mut runs.later);
        asks.extend(self.shared.asks.take_all());
        for ask in asks {
            // An answer that nobody waits for any more is no loss.
            match ask {
                Ask::Rebuild { hold, answer } => {
                    let begun = self.rebuild(runs, hold).await?;
                    // Whoever looks once it is answered sees that it is being built.
                    self.publish(runs);
                    drop(answer.send(begun));
                }
                Ask::Renew(stream) => self.renew(runs, &stream).await?,
                Ask::Redefine => self.redefine(runs).await?,
                Ask::Swap(answer) => {
                    let waits = runs.next.as_mut().filter(|next| next.beside);
                    let known = waits.map(|next| next.build.hold = false);
                    self.settle(runs).await?;
                    drop(answer.send(known.ok_or_else(|| "no new build waits to be swapped in".to_owned())));
                }
                Ask::Cancel(answer) => drop(answer.send(self.cancel_build(runs).await?)),
                Ask::Retry { position, answer } => drop(answer.send(self.retry(runs, position).await?)),
                Ask::Skip { position, skipped, answer } => {
                    drop(answer.send(self.skip(runs, position, skipped).await?));
                }
                Ask::Snapshot { through, answer } => match runs.main() {
                    Some(run) if !run.building && run.through >= through => {
                        self.commit(run, true).await?;
                        let kept = self.keep_snapshot(run, through).await;
                        drop(answer.send(kept.map_err(|error| error.full_text())));
                    }
                    _ => runs.later.push_back(Ask::Snapshot { through, answer }),
                },
            }
        }
        Ok(())
    }

    /// Begins a build into which nothing goes of what was made before; at least not of one stream, where it is known where
    /// that is.
    async fn renew(&self, runs: &mut Runs, stream: &StreamName) -> Result<(), LogError> {
        let quiet = self.give_up(runs).await?;
        let (shelf, name) = (self.shelf.clone(), self.spec.name.clone());
        self.blocking(move || shelf.drop_snapshots(&name)).await?;
        let retained = self.retained().await?;
        let mut build = self.begin(&retained, quiet, false).await?;
        build.renewed = true;
        match self.keep_rest(&retained, &build, stream).await? {
            true => {}
            false => {
                snapshots::erase(&*self.log, &self.spec.name).await?;
                build.from = Position::ZERO;
                build.gap = retained.lack("its snapshot was removed with what an erased stream had left in it");
            }
        }
        let mut builds = self.shelf.builds(&self.spec.name)?;
        builds.next = Some(build.clone());
        self.shelf.save_builds(&self.spec.name, &builds)?;
        self.build_beside(runs, &retained, build).await
    }

    /// Begins a build with what its snapshot holds of other streams, and makes a snapshot of that in place of all there are.
    /// False when there is none, or when it cannot be told what is of which stream.
    async fn keep_rest(&self, retained: &Retained, build: &Build, stream: &StreamName) -> Result<bool, LogError> {
        let keys = self.spec.reducer.keys_of(stream);
        let (Some(keys), Some(file)) = (keys, retained.at(&build.definition, build.from).cloned()) else {
            return Ok(false);
        };
        let place = Shelf::place(&self.spec.name, build.number);
        self.fill(file, place.clone(), Some(keys)).await?;
        let of = (self.spec.name.as_str(), build.definition.as_str(), place.as_str());
        let writer = retained::write(&self.runtime, &*self.log, &self.shelf, of).await?;
        snapshots::keep_alone(&*self.log, writer).await?;
        Ok(true)
    }

    /// Begins a build of the definition as it is by now.
    async fn redefine(&self, runs: &mut Runs) -> Result<(), LogError> {
        let definition = self.definition();
        let newest = runs.next.as_ref().or(runs.live.as_ref());
        if newest.is_some_and(|run| run.build.definition == definition) {
            return Ok(());
        }
        self.build_anew(runs, false).await
    }

    /// Begins a build in place of one that is under way.
    async fn build_anew(&self, runs: &mut Runs, hold: bool) -> Result<(), LogError> {
        let quiet = self.give_up(runs).await?;
        let retained = self.retained().await?;
        let build = self.begin(&retained, quiet, hold).await?;
        self.build_beside(runs, &retained, build).await
    }

    /// Gives up a build that is under way; answers up to where another one in its place is history.
    async fn give_up(&self, runs: &mut Runs) -> Result<Position, LogError> {
        let quiet = match (&runs.live, &runs.next) {
            (None, Some(next)) => next.build.quiet,
            _ => Position::ZERO,
        };
        if let Some(next) = runs.next.take() {
            let (shelf, place) = (self.shelf.clone(), next.fold.place().to_owned());
            self.blocking(move || shelf.remove(&place)).await?;
        }
        Ok(quiet)
    }

    async fn build_beside(&self, runs: &mut Runs, retained: &Retained, build: Build) -> Result<(), LogError> {
        self.tell_gap(&build).await;
        runs.next = Some(self.open_run(retained, build, true).await?);
        self.pair(runs);
        Ok(())
    }

    async fn rebuild(&self, runs: &mut Runs, hold: bool) -> Result<Result<(), String>, LogError> {
        if runs.live.is_none() {
            return Ok(Err("the projection is being built already".to_owned()));
        }
        self.build_anew(runs, hold).await.map(Ok)
    }

    async fn cancel_build(&self, runs: &mut Runs) -> Result<Result<(), String>, LogError> {
        if runs.live.is_none() {
            let text = "nothing else is there to be kept up to date; deploy the former definition to go back to it";
            return Ok(Err(text.to_owned()));
        }
        let Some(next) = runs.next.take() else { return Ok(Err("no build is under way".to_owned())) };
        let (shelf, name, place) = (self.shelf.clone(), self.spec.name.clone(), next.fold.place().to_owned());
        self.blocking(move || {
            let mut builds = shelf.builds(&name)?;
            builds.next = None;
            shelf.save_builds(&name, &builds)?;
            shelf.remove(&place)
        })
        .await?;
        Ok(Ok(()))
    }

    async fn skip(
        &self,
        runs: &mut Runs,
        position: Position,
        skipped: Skipped,
    ) -> Result<Result<(), String>, LogError> {
        let Some(run) = runs.main() else { return Ok(Err("nothing is kept".to_owned())) };
        match self.shelf.parked_at(run.fold.place(), position)? {
            None => Ok(Err(format!("no event is parked at position {position}"))),
            Some(parked) if parked.skipped.is_some() => {
                Ok(Err(format!("the event at position {position} is skipped already")))
            }
            Some(parked) => {
                run.fold.skip(Parked { skipped: Some(skipped), ..parked });
                self.commit(run, true).await?;
                Ok(Ok(()))
            }
        }
    }

    async fn retry(&self, runs: &mut Runs, position: Position) -> Result<Result<(), String>, LogError> {
        let Some(run) = runs.main() else { return Ok(Err("nothing is kept".to_owned())) };
        if self.shelf.parked_at(run.fold.place(), position)?.is_none() {
            return Ok(Err(format!("no event is parked at position {position}")));
        }
        let Some(event) = self.log.event_at(position).await? else {
            return Ok(Err(format!("the event at position {position} is no longer in the log")));
        };
        let result = run.fold.retry(&event)?;
        self.commit(run, true).await?;
        Ok(result)
    }

    /// A snapshot for those who look back.
    pub(super) async fn snapshot(&self, run: &mut Run) -> Result<(), LogError> {
        run.since_snapshot = 0;
        let (shelf, name, build) = (self.shelf.clone(), self.spec.name.clone(), run.build.clone());
        self.blocking(move || shelf.take_snapshot(&name, &build)).await
    }

    /// Makes sure of a snapshot in a file, at or after a position. What has been committed goes into a new one, unless
    /// there is one that reaches far enough and is whole.
    async fn keep_snapshot(&self, run: &mut Run, through: Position) -> Result<Position, LogError> {
        let definition = &run.build.definition;
        let newest = self.retained().await?.newest(definition).filter(|one| one.position >= through).cloned();
        if let Some(newest) = newest {
            let (files, position) = (self.log.snapshots(), newest.position);
            match self.blocking(move || files.check(&newest)).await {
                Ok(()) => return Ok(position),
                Err(error) => {
                    let (projection, error) = (&self.spec.name, error.full_text());
                    tracing::warn!(projection, error, "a snapshot is made once more");
                }
            }
        }
        let of = (self.spec.name.as_str(), definition.as_str(), run.fold.place());
        retained::take(&self.runtime, &*self.log, &self.shelf, of).await
    }
}
