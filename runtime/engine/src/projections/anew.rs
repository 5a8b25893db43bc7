//! Making read models anew because their events are not what they were: erased, or read in another form.

use std::time::Duration;

use tidewire_log::snapshots;
use tidewire_model::event::StreamName;
use tidewire_model::query::{Filter, wildcard_matches};
use tidewire_node_api::handles::{HandleError, ProjectionSpec};

use super::asks::Ask;
use super::shelf::Builds;
use super::{Inner, Kept, ProjectionService, Shelf};
use crate::log_handle::handle_error;

/// How often a build that makes no step is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Stands for the form in which the events of a filter are read.
pub(super) type Form = Box<dyn Fn(&Filter) -> String + Send + Sync>;

impl Inner {
    /// A stream, and those that are erased with it.
    fn erased_with(&self, stream: &StreamName) -> Vec<StreamName> {
        let mut all = self.log.bodies().belonging_to(stream);
        all.push(stream.clone());
        all
    }

    /// What a read model is made from: once its events are read in another form, it is made anew.
    pub(super) fn definition(&self, spec: &ProjectionSpec) -> String {
        let form = self.form.get().map(|form| form(&spec.filter)).unwrap_or_default();
        if form.is_empty() { spec.definition.clone() } else { format!("{} {form}", spec.definition) }
    }
}

impl ProjectionService {
    /// Makes every read model anew that may hold something of a stream, and sees to it that nothing of the old ones is
    /// left on the disk. Answers how many there were. Read models that no node keeps are removed: what they were made
    /// from is not known any more.
    ///
    /// # Errors
    /// When the store cannot be read or written, or when a read model cannot be made anew; it may be called again.
    pub async fn forget(&self, stream: &StreamName) -> Result<usize, HandleError> {
        let streams = self.inner.erased_with(stream);
        streams.iter().for_each(|stream| self.inner.erasing.go_on(stream));
        self.inner.past.lock().clear();
        let mut count = 0;
        for name in self.names()? {
            let again = match self.inner.kept(&name).filter(Kept::is_running) {
                Some(kept) => {
                    let found: Vec<_> = streams.iter().filter(|stream| kept.spec.filter.may_find(stream)).collect();
                    for stream in &found {
                        self.build_again(&name, &kept, stream).await?;
                    }
                    !found.is_empty()
                }
                None => {
                    let erased = snapshots::erase(&*self.inner.log, &name).await;
                    erased.map_err(|error| handle_error(&error))?;
                    self.drop_all(&name).await?
                }
            };
            streams.iter().for_each(|stream| self.inner.erasing.cleaned(stream, &name));
            count += usize::from(again);
        }
        let (shelf, store) = (self.inner.shelf.clone(), self.inner.log.projections());
        self.inner.blocking(move || shelf.remove_forgotten().and_then(|()| store.renew())).await?;
        self.show_again(stream);
        Ok(count)
    }

    /// Shows nothing any more that may come of a stream, until [`ProjectionService::forget`] is done, once for each time, or
    /// [`ProjectionService::show_again`] says so.
    pub fn withhold(&self, stream: &StreamName) {
        self.inner.erased_with(stream).iter().for_each(|stream| self.inner.erasing.begin(stream));
        self.inner.past.lock().clear();
    }

    /// Takes [`ProjectionService::withhold`] back: the stream is not erased after all.
    pub fn show_again(&self, stream: &StreamName) {
        self.inner.erased_with(stream).iter().for_each(|stream| self.inner.erasing.end(stream));
    }

    /// Says how to tell in which form the events of a filter are read. Counts for what is kept from then on.
    pub fn read_as(&self, form: impl Fn(&Filter) -> String + Send + Sync + 'static) {
        // Whoever comes second has nothing new to say.
        let _ = self.inner.form.set(Box::new(form));
    }

    /// Makes every read model anew that uses events of a type, beside the one that is served: they are read in another
    /// form than before.
    pub fn build_anew(&self, event_type: &str) {
        for kept in self.inner.kept.lock().values().filter(|kept| kept.is_running()) {
            let types = &kept.spec.filter.event_types;
            if types.is_empty() || types.iter().any(|pattern| wildcard_matches(pattern, event_type)) {
                *kept.shared.definition.write() = self.inner.definition(&kept.spec);
                kept.shared.ask(Ask::Redefine);
            }
        }
    }

    async fn build_again(&self, name: &str, kept: &Kept, stream: &StreamName) -> Result<(), HandleError> {
        let before = self.builds(name).await?.made;
        let mut position = kept.shared.position.subscribe();
        kept.shared.ask(Ask::Renew(stream.clone()));
        loop {
            let builds = self.builds(name).await?;
            let served = || builds.served().map(|build| Shelf::place(name, build.number));
            // Readers see the new build a moment after the shelf does.
            if builds.made > before && builds.next.is_none() && served() == *kept.shared.place.read() {
                return Ok(());
            }
            if !kept.is_running() {
                // Whoever keeps it next finds another definition, or goes on with the build under way; nobody does
                // neither, so the rest is done when this is called again.
                return Err(HandleError::retryable(format!("the projection \"{name}\" was ended meanwhile")));
            }
            let _ = tokio::time::timeout(LOOK_EVERY, position.changed()).await;
        }
    }

    async fn builds(&self, name: &str) -> Result<Builds, HandleError> {
        let (shelf, name) = (self.inner.shelf.clone(), name.to_owned());
        self.inner.blocking(move || shelf.builds(&name)).await
    }

    async fn drop_all(&self, name: &str) -> Result<bool, HandleError> {
        let (shelf, name) = (self.inner.shelf.clone(), name.to_owned());
        self.inner
            .blocking(move || {
                let builds = shelf.builds(&name)?;
                shelf.drop_snapshots(&name)?;
                let all: Vec<_> = builds.live.iter().chain(&builds.next).map(|build| build.number).collect();
                for number in &all {
                    shelf.remove(&Shelf::place(&name, *number))?;
                }
                shelf.save_builds(&name, &Builds { made: builds.made, ..Default::default() })?;
                Ok(!all.is_empty())
            })
            .await
    }
}
