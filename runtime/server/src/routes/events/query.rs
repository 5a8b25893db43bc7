//! Query parameters to log queries.

use std::sync::Arc;

use tidewire_api::log::EventsQuery;
use tidewire_log::EventLog as _;
use tidewire_model::event::time::parse_time;
use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query};

use crate::app::Core;
use crate::error::{ApiError, ApiResult};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Steps of the log that one request may take while it skips what does not match.
const STEPS_MAX: usize = 50;

/// Which events, and how many.
pub struct Window {
    pub filter: Filter,
    direction: Direction,
    from: Position,
    /// The first position that is not wanted any more, in reading order.
    end: Option<Position>,
    limit: usize,
}

fn bad(name: &str, text: &str, mend: &str) -> ApiError {
    ApiError::bad_request("invalid_query", format!("{name} is '{text}'; {mend}"))
}

fn time(name: &str, text: Option<&String>) -> ApiResult<Option<i64>> {
    let mend = "use RFC 3339 such as 2026-03-14T15:09:26Z, or milliseconds since 1970";
    text.map(|text| parse_time(text).ok_or_else(|| bad(name, text, mend))).transpose()
}

fn position(name: &str, text: Option<&String>) -> ApiResult<Option<Position>> {
    text.map(|text| text.parse().map_err(|_| bad(name, text, "use a position, a whole number"))).transpose()
}

impl Window {
    /// # Errors
    /// A parameter that cannot be understood.
    pub fn of(query: &EventsQuery) -> ApiResult<Window> {
        let types = query.event_type.as_deref().unwrap_or("").split(',').filter(|name| !name.is_empty());
        let filter = Filter {
            stream: query.stream.as_deref().map(Into::into),
            category: query.category.as_deref().map(Into::into),
            event_types: types.map(Into::into).collect(),
            from_time: time("from", query.from.as_ref())?,
            to_time: time("to", query.to.as_ref())?,
            correlation_id: query.correlation.as_deref().map(EventId::from),
            causation_id: query.causation.as_deref().map(EventId::from),
            matching: None,
            text: query.q.as_deref().filter(|text| !text.is_empty()).map(Into::into),
        };
        let direction = match query.order.as_deref() {
            None | Some("asc") => Direction::Forwards,
            Some("desc") => Direction::Backwards,
            Some(other) => return Err(bad("order", other, "use asc or desc")),
        };
        let cursor = position("cursor", query.cursor.as_ref())?;
        let after = query.after.map(Position::new);
        let before = position("before", query.before.as_ref())?;
        let (from, end) = match direction {
            Direction::Forwards => (after.map_or(Position::FIRST, Position::next), before),
            // Position zero means from the head.
            Direction::Backwards => (before.map_or(Position::ZERO, Position::previous), after),
        };
        let nothing = direction == Direction::Backwards && before.is_some_and(|before| before <= Position::FIRST);
        let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
        let end = if nothing { Some(Position::MAX) } else { end };
        Ok(Window { filter, direction, from: cursor.unwrap_or(from), end, limit })
    }

    fn is_over(&self, position: Position) -> bool {
        self.end.is_some_and(|end| match self.direction {
            Direction::Forwards => position >= end,
            Direction::Backwards => position <= end,
        })
    }

    /// Reads a page: events, and where the next page begins.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read(&self, core: &Core) -> ApiResult<(Vec<Arc<Event>>, Option<Position>)> {
        let mut events = Vec::new();
        let mut next = Some(self.from);
        for _ in 0..STEPS_MAX {
            let Some(from) = next else { break };
            let limit = self.limit - events.len();
            let query = Query { filter: self.filter.clone(), from, direction: self.direction, limit };
            let page = core.log.read(query).await?;
            next = page.next.filter(|next| !self.is_over(*next));
            for event in page.events {
                if self.is_over(event.position) {
                    next = None;
                    break;
                }
                events.push(event);
            }
            if events.len() >= self.limit {
                break;
            }
        }
        Ok((events, next))
    }
}
