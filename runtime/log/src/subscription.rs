//! Following the log: catch-up that goes over to live.
//!
//! A subscription remembers one number, the next position, and reads on from there whenever the head has moved.
//! Hence no gap and no duplicate, and nothing is buffered for a slow reader: it simply reads later, from memory if
//! it is close behind, else from the store.

use std::sync::Arc;

use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query, Start};
use tokio::sync::watch;

use crate::{EventLog, LogError};

/// A reader is told how far it is at the latest after so many positions without an event for it.
const MARK_EVERY: u64 = 1_024;

/// A reader that follows the log.
pub struct Subscription {
    log: Arc<dyn EventLog>,
    filter: Filter,
    next: Position,
    /// How far the reader knows that it is.
    told: Position,
    head: watch::Receiver<Position>,
    told_caught_up: bool,
}

/// What a subscription hands over at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The events, oldest first. Empty when much was skipped, or when the reader has just caught up.
    pub events: Vec<Arc<Event>>,
    /// Everything up to here has been delivered or did not match: the value to store as a checkpoint once the
    /// events are dealt with.
    pub through: Position,
    /// Whether this reached the head of the log as it was.
    pub caught_up: bool,
}

/// The position that a start means.
pub(crate) async fn first_position(log: &dyn EventLog, start: Start) -> Result<Position, LogError> {
    Ok(match start {
        Start::Beginning => Position::FIRST,
        Start::Position(position) => position.max(Position::FIRST),
        Start::Time(time) => log.position_at_time(time).await?,
        Start::Now => {
            log.ready().await?;
            log.head().next()
        }
        Start::Checkpoint(name) => log.checkpoint(name).await?.unwrap_or_default().next(),
    })
}

impl Subscription {
    /// Follows a log from a start on.
    ///
    /// # Errors
    /// When the start cannot be found because the store cannot be read.
    pub async fn new(log: Arc<dyn EventLog>, filter: Filter, start: Start) -> Result<Self, LogError> {
        let head = log.watch_head();
        let next = first_position(&*log, start).await?;
        Ok(Self { log, filter, next, told: next.previous(), head, told_caught_up: false })
    }

    /// The position that comes next.
    #[must_use]
    pub const fn next_position(&self) -> Position {
        self.next
    }

    /// Waits for the next events, at most `max` of them. Safe to drop while waiting: nothing is lost.
    ///
    /// # Errors
    /// When the store cannot be read, or when the log was closed and everything in it has been delivered.
    pub async fn next_batch(&mut self, max: usize) -> Result<Delivery, LogError> {
        loop {
            let head = *self.head.borrow_and_update();
            if self.next <= head || !self.told_caught_up {
                let page = self.log.read(Query::forwards(self.filter.clone(), self.next, max)).await?;
                let through = page.next.map_or(page.head, Position::previous).max(self.next.previous());
                let caught_up = page.next.is_none();
                self.next = through.next();
                let first_time = caught_up && !self.told_caught_up;
                self.told_caught_up |= caught_up;
                let much_skipped = through.get() - self.told.get() >= MARK_EVERY;
                if !page.events.is_empty() || first_time || !caught_up || much_skipped {
                    self.told = through;
                    return Ok(Delivery { events: page.events, through, caught_up });
                }
            } else if self.log.is_closed() || self.head.changed().await.is_err() {
                return Err(LogError::Closed);
            }
        }
    }
}
