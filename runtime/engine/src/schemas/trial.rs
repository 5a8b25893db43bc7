//! What would become of events with the schemas that there are, or with one more, without storing anything.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use tidewire_model::Problem;
use tidewire_model::event::{Event, EventId, NewEvent, Place, StreamName};
use tidewire_model::position::Position;

use super::registry::{AllFigures, Known, Record};
use super::{REGISTERED, Registration, SchemaError, Schemas, data_of, reading};

/// Schemas to try events on.
pub struct Trial {
    known: Known,
}

/// What would become of an event.
#[derive(Debug)]
pub struct Tried {
    /// The schema that it would be checked against when it is appended; none: any data is taken.
    pub schema: Option<CompactString>,
    /// What is wrong with its data.
    pub problems: Vec<Problem>,
    /// How it would be read, stored as it is.
    pub read: Arc<Event>,
}

impl Schemas {
    /// What is registered, and perhaps one more version of a type.
    ///
    /// # Errors
    /// When that version could not be registered.
    pub fn trial(&self, more: Option<(&str, u32, &Registration)>) -> Result<Trial, SchemaError> {
        let mut known = Known::clone(&self.inner.known.load());
        if let Some((event_type, version, registration)) = more {
            let problems = self.problems(event_type, version, registration);
            if !problems.is_empty() {
                return Err(SchemaError::Invalid(problems));
            }
            let record = Record::read(&data_of(event_type, version, registration));
            known.apply_record(REGISTERED, &record, Position::ZERO);
        }
        Ok(Trial { known })
    }
}

impl Trial {
    /// Tries an event of a stream.
    #[must_use]
    pub fn of(&self, stream: StreamName, event: NewEvent) -> Tried {
        let schemas = self.known.types.get(&event.event_type);
        let meant = schemas.and_then(|schemas| schemas.meant_by(event.data_schema.as_deref()));
        let schema = meant.map(|(number, _)| format_compact!("{}/{number}", event.event_type));
        let problems = meant.map(|(_, version)| version.problems(&event)).unwrap_or_default();
        let recorded_time = event.time.unwrap_or_default();
        let place = Place { stream, position: Position::FIRST, version: 1, recorded_time };
        let stored = Arc::new(event.record(|| EventId::Bits(0), place));
        let read = reading::upcast(&self.known, &AllFigures::default(), &stored).unwrap_or(stored);
        Tried { schema, problems, read }
    }
}
