//! Events of a log, page by page, for a replay on another thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::handles::{HandleError, Log};
use tokio::runtime::Handle;

/// Events read at a time.
const PAGE: usize = 1_000;

/// Pages read ahead.
const AHEAD: usize = 2;

/// The events of a log that a filter takes, oldest first. Reading them blocks; dropping this ends it.
pub struct Recorded {
    pages: Receiver<Result<Vec<Arc<Event>>, HandleError>>,
    page: std::vec::IntoIter<Arc<Event>>,
}

impl Recorded {
    /// Reads from `log`, on a thread of its own beside `runtime`.
    pub fn of(log: Arc<dyn Log>, filter: Filter, runtime: &Handle) -> Self {
        let (sender, pages) = sync_channel(AHEAD);
        let reader = runtime.clone();
        runtime.spawn_blocking(move || {
            let mut query = Query::forwards(filter, Position::FIRST, PAGE);
            loop {
                let page = reader.block_on(log.read(query.clone()));
                let next = page.as_ref().ok().and_then(|page| page.next);
                // Nobody reads any more, or there is nothing more to read.
                if sender.send(page.map(|page| page.events)).is_err() || next.is_none() {
                    return;
                }
                query.from = next.unwrap_or_default();
            }
        });
        Recorded { pages, page: Vec::new().into_iter() }
    }
}

impl Iterator for Recorded {
    type Item = Result<Arc<Event>, HandleError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.page.next() {
                return Some(Ok(event));
            }
            match self.pages.recv().ok()? {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
