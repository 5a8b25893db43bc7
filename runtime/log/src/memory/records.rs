//! The events of a log in memory, and what is known of their streams.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;

use crate::LogError;
use crate::live::Head;
use crate::plan::Stored;
use crate::retention::DroppedGroups;

#[derive(Default)]
pub(super) struct Records {
    /// In order of position; those that retention dropped are missing.
    pub(super) events: Vec<Arc<Event>>,
    pub(super) head: Position,
    pub(super) last_time: Option<i64>,
    /// What retention dropped.
    pub(super) gone: DroppedGroups,
    pub(super) ids: HashMap<EventId, Position, foldhash::fast::RandomState>,
    pub(super) streams: BTreeMap<StreamName, Stream>,
}

/// The events of a stream, and its last one, which may have been dropped.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) positions: Vec<Position>,
    pub(super) head: Head,
}

impl Records {
    pub(super) fn at(&self, position: Position) -> Option<&Arc<Event>> {
        self.events.get(self.index(position)).filter(|event| event.position == position)
    }

    /// Where the first event at or after a position stands.
    pub(super) fn index(&self, position: Position) -> usize {
        self.events.partition_point(|event| event.position < position)
    }

    pub(super) const fn head(&self) -> Position {
        self.head
    }

    pub(super) fn position_at_time(&self, time: i64) -> Position {
        let index = self.events.partition_point(|event| event.recorded_time < time);
        self.events.get(index).map_or(self.head.next(), |event| event.position)
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.ids.insert(event.id.clone(), event.position);
        let stream = self.streams.entry(event.stream.clone()).or_default();
        stream.positions.push(event.position);
        stream.head =
            Head { version: event.version, position: event.position.get(), recorded_time: event.recorded_time };
        self.head = event.position;
        self.last_time = Some(event.recorded_time);
        self.events.push(event);
    }
}

impl Stored for Records {
    fn version(&self, stream: &StreamName) -> u64 {
        self.streams.get(stream).map_or(0, |stream| stream.head.version)
    }

    fn find(&self, id: &EventId) -> Result<Option<Arc<Event>>, LogError> {
        Ok(self.ids.get(id).and_then(|position| self.at(*position)).cloned())
    }
}
