//! What people do with read models: look at parked events, build anew, compare, swap, look back.

use std::sync::Arc;

use serde_json::json;
use tidewire_log::snapshots::{SnapshotInfo, Snapshots};
use tidewire_log::{Dropping, LogError};
use tidewire_model::position::Position;
use tidewire_model::query::Filter;
use tidewire_node_api::handles::{At, Entry, HandleError};
use tidewire_node_api::selection::{Selected, Selection, SelectionError};
use tokio::sync::oneshot;

use super::asks::{Answer, Ask, Skipped};
use super::erasing::refusal;
use super::past::{self, Past};
use super::retained::{Retained, gone, take};
use super::shelf::Shelf;
use super::snapshot::Snapshot;
use super::status::{Parked, ProjectionDetails};
use super::watch::note;
use super::{Kept, ProjectionService, beside, handle_error, not_kept};

/// Results of looking back that are kept at hand, for their next pages.
const PAST_KEPT: usize = 4;

impl ProjectionService {
    async fn ask<T>(&self, name: &str, make: impl FnOnce(Answer<T>) -> Ask) -> Result<T, HandleError> {
        let Some(kept) = self.inner.kept(name).filter(Kept::is_running) else { return Err(not_kept(name)) };
        let (answer, answered) = oneshot::channel();
        kept.shared.ask(make(answer));
        match answered.await {
            Ok(answer) => answer.map_err(HandleError::new),
            Err(_) => Err(HandleError::retryable(format!("the projection \"{name}\" failed meanwhile; try again"))),
        }
    }

    /// Events that a read model could not apply, oldest first, and why; also those that are to be left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn parked(&self, name: &str, limit: usize) -> Result<Vec<Parked>, HandleError> {
        if !self.inner.readable(name)?.is_nothing() {
            return Err(refusal(name));
        }
        let read = || match self.inner.place(name)? {
            Some(place) => self.inner.shelf.parked(&place, limit),
            None => Ok(Vec::new()),
        };
        read().map_err(|error| handle_error(&error))
    }

    /// Applies a parked event once more, to the state as it is now.
    ///
    /// # Errors
    /// When it cannot be applied: it stays parked.
    pub async fn retry(&self, name: &str, position: Position, by: &str) -> Result<(), HandleError> {
        self.ask(name, |answer| Ask::Retry { position, answer }).await?;
        let data = json!({"projection": name, "position": position});
        note(&*self.inner.log, name, "tidewire.projection.retried", &data, Some(by)).await;
        Ok(())
    }

    /// Marks a parked event as left out for good. It stays in the list, with who said so and why.
    ///
    /// # Errors
    /// When no such event is parked.
    pub async fn skip(&self, name: &str, position: Position, skipped: Skipped) -> Result<(), HandleError> {
        let told = skipped.clone();
        self.ask(name, |answer| Ask::Skip { position, skipped, answer }).await?;
        let data = json!({"projection": name, "position": position, "reason": told.reason});
        note(&*self.inner.log, name, "tidewire.projection.skipped", &data, Some(&told.by)).await;
        Ok(())
    }

    /// Builds a read model once more, beside the one that is served and kept up to date until then. Does not wait.
    ///
    /// # Errors
    /// When no node keeps it.
    pub fn rebuild(&self, name: &str) -> Result<(), HandleError> {
        let Some(kept) = self.inner.kept(name).filter(Kept::is_running) else { return Err(not_kept(name)) };
        kept.shared.ask(Ask::Rebuild { hold: false, answer: oneshot::channel().0 });
        Ok(())
    }

    /// As [`ProjectionService::rebuild`], and waits until it has begun. With `hold`, the new build takes the place of the
    /// old one only at [`ProjectionService::swap`].
    ///
    /// # Errors
    /// When no node keeps it, or it is being built for the first time.
    pub async fn rebuild_beside(&self, name: &str, hold: bool) -> Result<(), HandleError> {
        self.ask(name, |answer| Ask::Rebuild { hold, answer }).await
    }

    /// Lets a build take the place of the one that is served.
    ///
    /// # Errors
    /// When none is being made.
    pub async fn swap(&self, name: &str) -> Result<(), HandleError> {
        self.ask(name, Ask::Swap).await
    }

    /// Gives up a build that is being made.
    ///
    /// # Errors
    /// When there is none, or nothing else to fall back to.
    pub async fn cancel_rebuild(&self, name: &str) -> Result<(), HandleError> {
        self.ask(name, Ask::Cancel).await
    }

    /// Entries that are selected: those there are, or those there were.
    pub(super) async fn select_entries(
        self,
        name: String,
        selection: Selection,
        at: Option<At>,
    ) -> Result<Selected, SelectionError> {
        let prefix = selection.prefix().to_owned();
        if let Some(at) = at {
            let past = self.list_at(&name, at).await?;
            return selection.run(&mut |after, count| {
                let start =
                    past.entries.partition_point(|entry| after.is_some_and(|after| entry.key.as_str() <= after));
                let rest = past.entries.iter().skip(start).filter(|entry| entry.key.starts_with(&prefix));
                Ok(rest.take(count).cloned().collect())
            });
        }
        self.inner.log.ready().await.map_err(|error| handle_error(&error))?;
        let inner = Arc::clone(&self.inner);
        // A large read model takes a while, which others need not wait for.
        let select = move || selection.run(&mut |after, count| inner.page(&name, &prefix, after, count));
        match beside(&self.inner.runtime, select).await {
            Ok(found) => found,
            Err(error) => Err(HandleError::retryable(format!("the entries were not read: {error}")).into()),
        }
    }

    /// Several entries by key, in the order asked for; those that there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn many(&self, name: &str, keys: Vec<String>) -> Result<Vec<Entry>, HandleError> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        inner.log.ready().await.map_err(|error| handle_error(&error))?;
        let withheld = inner.readable(&name)?;
        if keys.iter().any(|key| withheld.has(key)) {
            return Err(refusal(&name));
        }
        let read = move || {
            inner.read(&name, |place| {
                let mut found = Vec::new();
                for key in &keys {
                    found.extend(inner.shelf.entry(place, key)?.map(|stored| stored.into_entry(key.as_str())));
                }
                Ok(found)
            })
        };
        self.inner.blocking(read).await.map(Option::unwrap_or_default)
    }

    /// Snapshots, and what the last exchange of builds changed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn details(&self, name: &str) -> Result<ProjectionDetails, HandleError> {
        let failed = |error| handle_error(&error);
        let builds = self.inner.shelf.builds(name).map_err(failed)?;
        let filter = self.inner.kept(name).map(|kept| kept.spec.filter.clone());
        let retained =
            Retained::of(&*self.inner.log, name, &filter.clone().unwrap_or_default()).await.map_err(failed)?;
        let mut snapshots: Vec<Position> = builds.snapshots.iter().map(|one| one.position).collect();
        snapshots.extend(retained.positions());
        snapshots.sort_unstable();
        snapshots.dedup();
        let served = builds.served();
        let shown = self.inner.readable(name).is_ok_and(|withheld| withheld.is_nothing());
        Ok(ProjectionDetails {
            snapshots,
            begun_from: served.map_or(Position::ZERO, |build| build.from),
            // Of one that nobody keeps it is not known which events it uses.
            thinned: filter.map_or(Position::ZERO, |_| retained.gone),
            gap: served.and_then(|build| build.gap.clone()),
            comparison: builds.comparison.filter(|_| shown),
        })
    }

    /// Makes sure that every read model that uses events which are to be dropped has a snapshot in a file, from which it
    /// can be built again once they are gone. Answers each name with where its snapshot stands, or why there is none. To
    /// be called, and waited for, before events go.
    pub async fn snapshot_before(&self, dropping: &Dropping) -> Vec<(String, Result<Position, HandleError>)> {
        let names = match self.names() {
            Ok(names) => names,
            Err(error) => return vec![("*".to_owned(), Err(error))],
        };
        let mut results = Vec::new();
        for name in names {
            let result = match self.inner.kept(&name).filter(Kept::is_running) {
                Some(kept) if gone(&dropping.groups, &kept.spec.filter) == Position::ZERO => continue,
                Some(_) => self.ask(&name, |answer| Ask::Snapshot { through: dropping.through, answer }).await,
                // Somebody may keep it again, and would go on from there.
                None => match self.snapshot_at_rest(&name).await {
                    Ok(Some(position)) => Ok(position),
                    Ok(None) => continue,
                    Err(error) => Err(handle_error(&error)),
                },
            };
            results.push((name, result));
        }
        results
    }

    /// A snapshot of a read model that nobody keeps, as it was left.
    async fn snapshot_at_rest(&self, name: &str) -> Result<Option<Position>, LogError> {
        let inner = &self.inner;
        let Some(live) = inner.shelf.builds(name)?.live else { return Ok(None) };
        let place = Shelf::place(name, live.number);
        let position = inner.shelf.checkpoint(&place)?;
        let known = Retained::of(&*inner.log, name, &Filter::default()).await?;
        if known.newest(&live.definition).is_some_and(|newest| newest.position >= position) {
            return Ok(None);
        }
        take(&inner.runtime, &*inner.log, &inner.shelf, (name, &live.definition, &place)).await.map(Some)
    }

    /// The whole read model as it was, by key: from the nearest snapshot on, folded again.
    ///
    /// # Errors
    /// When no node keeps it, when the events of then are gone, or when it would take too long.
    pub async fn list_at(&self, name: &str, at: At) -> Result<Arc<Past>, HandleError> {
        let inner = &self.inner;
        let failed = |error| handle_error(&error);
        let until = past::position_at(&*inner.log, at).await.map_err(failed)?;
        let Some(kept) = inner.kept(name) else { return Err(not_kept(name)) };
        if !inner.readable(name)?.is_nothing() {
            return Err(refusal(name));
        }
        let definition = kept.shared.definition.read().clone();
        let known = inner.past.lock().iter().find(|past| past.is(name, &definition, until)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let start = inner.start_at(name, &kept, until).await?;
        let (shelf, spec) = (inner.shelf.clone(), Arc::clone(&kept.spec));
        let begun = inner.blocking(move || start.entries(&shelf, &spec)).await?;
        let past = Arc::new(past::list_at(&inner.log, &kept.spec, definition, until, begun).await?);
        let mut all = inner.past.lock();
        all.insert(0, Arc::clone(&past));
        all.truncate(PAST_KEPT);
        Ok(past)
    }
}

/// Where looking back begins.
pub(super) enum StartAt {
    /// At the first event.
    Beginning,
    /// With a snapshot in the store.
    Stored(Snapshot),
    /// With a snapshot in a file.
    File(Arc<Snapshots>, SnapshotInfo),
}

impl super::Inner {
    /// Works on the store, on a thread that may wait for it.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, HandleError> {
        match beside(&self.runtime, work).await {
            Ok(done) => done.map_err(|error| handle_error(&error)),
            Err(error) => Err(HandleError::retryable(format!("the store of read models does not answer: {error}"))),
        }
    }

    /// What a look back begins from.
    pub(super) async fn start_at(&self, name: &str, kept: &Kept, until: Position) -> Result<StartAt, HandleError> {
        let failed = |error| handle_error(&error);
        let retained = Retained::of(&*self.log, name, &kept.spec.filter).await.map_err(failed)?;
        let builds = self.shelf.builds(name).map_err(failed)?;
        let definition = kept.shared.definition.read().clone();
        let stored = builds.nearest(&definition, retained.gone, until);
        let file = retained.nearest(&definition, until);
        if let Some(file) = file.filter(|file| stored.is_none_or(|stored| stored.position < file.position)) {
            return Ok(StartAt::File(self.log.snapshots(), file.clone()));
        }
        if let Some(stored) = stored {
            return Ok(StartAt::Stored(stored.clone()));
        }
        // One that lacks what is gone is shown as it is: without it.
        let lacks = builds
            .served()
            .and_then(|build| build.gap.as_ref())
            .is_some_and(|gap| gap.after == Position::ZERO && gap.through >= retained.gone && until >= gap.through);
        if retained.gone == Position::ZERO || lacks {
            return Ok(StartAt::Beginning);
        }
        let from = retained.newest(&definition).map_or(retained.gone, |file| file.position);
        let text = format!(
            "events up to position {} were removed by retention; \"{name}\" can be shown from position {from} on",
            retained.gone
        );
        Err(HandleError::new(text))
    }
}
