//! What led to an event, and what followed from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tidewire_log::EventLog as _;
use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

use crate::app::Core;
use crate::error::ApiResult;

/// Events of a chain that are shown.
const CHAIN_MAX: usize = 200;
/// Pages that are read for what followed.
const PAGES_MAX: usize = 200;

/// Events by position, and what is still to be done to find more.
struct Chain<'a> {
    core: &'a Core,
    events: BTreeMap<Position, Arc<Event>>,
    pages: usize,
}

impl Chain<'_> {
    fn is_full(&self) -> bool {
        self.events.len() >= CHAIN_MAX || self.pages >= PAGES_MAX
    }

    /// Takes in what a filter finds from a position on. Answers what was not known.
    async fn add(&mut self, filter: Filter, from: Position) -> ApiResult<Vec<Arc<Event>>> {
        let mut new = Vec::new();
        let mut next = Some(from);
        while let Some(from) = next.filter(|_| !self.is_full()) {
            let limit = CHAIN_MAX - self.events.len();
            let page = self.core.log.read(Query::forwards(filter.clone(), from, limit)).await?;
            self.pages += 1;
            for event in page.events {
                if self.events.insert(event.position, Arc::clone(&event)).is_none() {
                    new.push(event);
                }
            }
            next = page.next;
        }
        Ok(new)
    }
}

/// The causes of an event, what shares its correlation id, and what came of any of them, in order of position.
///
/// # Errors
/// When the log cannot be read.
pub(super) async fn of(core: &Core, event: Arc<Event>) -> ApiResult<Vec<Arc<Event>>> {
    let correlation = event.correlation_id.clone().unwrap_or_else(|| event.id.clone());
    let mut chain = Chain { core, events: BTreeMap::from([(event.position, Arc::clone(&event))]), pages: 0 };
    let mut cause = event.causation_id.clone();
    while let Some(id) = cause.take().filter(|_| !chain.is_full()) {
        if let Some(found) = core.log.event_by_id(id).await? {
            cause = found.causation_id.clone().filter(|_| !chain.events.contains_key(&found.position));
            chain.events.insert(found.position, found);
        }
    }
    // What follows cannot stand before its cause.
    let from = chain.events.keys().next().copied().unwrap_or(Position::FIRST);
    chain.add(Filter { correlation_id: Some(correlation), ..Filter::default() }, from).await?;
    let mut parents: VecDeque<(EventId, Position)> =
        chain.events.values().map(|event| (event.id.clone(), event.position)).collect();
    while let Some((id, position)) = parents.pop_front().filter(|_| !chain.is_full()) {
        let children = chain.add(Filter { causation_id: Some(id), ..Filter::default() }, position).await?;
        parents.extend(children.into_iter().map(|event| (event.id.clone(), event.position)));
    }
    Ok(chain.events.into_values().collect())
}
