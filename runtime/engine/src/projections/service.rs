//! What people do with read models: look at parked events, build anew, compare, swap, look back.

use std::sync::Arc;

use serde_json::json;
use tidewire_model::position::Position;
use tidewire_node_api::handles::{At, Entry, HandleError};
use tokio::sync::oneshot;

use super::asks::{Answer, Ask, Skipped};
use super::past::{self, Past};
use super::snapshot::Snapshot;
use super::status::{Parked, ProjectionDetails};
use super::watch::note;
use super::{Kept, ProjectionService, handle_error, not_kept};

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

    /// Several entries by key, in the order asked for; those that there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn many(&self, name: &str, keys: Vec<String>) -> Result<Vec<Entry>, HandleError> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        inner.log.ready().await.map_err(|error| handle_error(&error))?;
        let read = move || {
            inner.read(&name, |place| {
                let mut found = Vec::new();
                for key in &keys {
                    found.extend(inner.shelf.entry(place, key)?.map(|stored| stored.into_entry(key.as_str())));
                }
                Ok(found)
            })
        };
        match super::beside(&self.inner.runtime, read).await {
            Ok(found) => found.map(Option::unwrap_or_default).map_err(|error| handle_error(&error)),
            Err(error) => Err(HandleError::retryable(format!("the entries were not read: {error}"))),
        }
    }

    /// Snapshots, and what the last exchange of builds changed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn details(&self, name: &str) -> Result<ProjectionDetails, HandleError> {
        let builds = self.inner.shelf.builds(name).map_err(|error| handle_error(&error))?;
        Ok(ProjectionDetails {
            snapshots: builds.snapshots.iter().map(|one| one.position).collect(),
            begun_from: builds.served().map_or(Position::ZERO, |build| build.from),
            thinned: builds.thinned,
            comparison: builds.comparison,
        })
    }

    /// Makes sure that every read model that is kept has a snapshot from which it can be built again when events up to
    /// `position` are gone. Answers each name with where its snapshot stands, or why there is none. To be called, and
    /// waited for, before events go.
    pub async fn snapshot_through(&self, position: Position) -> Vec<(String, Result<Position, HandleError>)> {
        let all = self.inner.kept.lock().clone();
        let mut results = Vec::new();
        for name in all.into_iter().filter(|(_, kept)| kept.is_running()).map(|(name, _)| name) {
            let result = self.ask(&name, |answer| Ask::Snapshot { through: position, answer }).await;
            results.push((name, result));
        }
        results
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
        let known = inner.past.lock().iter().find(|past| past.is(name, &kept.spec.definition, until)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let start = inner.start_at(name, &kept.spec, until)?;
        let past = Arc::new(past::list_at(&inner.log, &inner.shelf, &kept.spec, until, start).await?);
        let mut all = inner.past.lock();
        all.insert(0, Arc::clone(&past));
        all.truncate(PAST_KEPT);
        Ok(past)
    }
}

/// Where looking back begins.
pub(super) struct StartAt(pub(super) Option<Snapshot>);

impl super::Inner {
    /// The snapshot that a look back begins from.
    pub(super) fn start_at(
        &self,
        name: &str,
        spec: &tidewire_node_api::handles::ProjectionSpec,
        until: Position,
    ) -> Result<StartAt, HandleError> {
        let builds = self.shelf.builds(name).map_err(|error| handle_error(&error))?;
        if until < builds.thinned {
            let text = format!(
                "events up to position {} may have been removed by retention; \"{name}\" can be shown from there on",
                builds.thinned
            );
            return Err(HandleError::new(text));
        }
        Ok(StartAt(builds.nearest(&spec.definition, until).cloned()))
    }
}
