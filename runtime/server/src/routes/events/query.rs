//! Query parameters to log queries.

use std::sync::Arc;

use tidewire_api::log::{EventsQuery, FilterFailures};
use tidewire_log::EventLog as _;
use tidewire_model::event::time::parse_time;
use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;
use tidewire_model::query::{Condition, Direction, Filter, Query};
use tidewire_script::compile_condition;

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

pub(super) fn bad(name: &str, text: &str, mend: &str) -> ApiError {
    ApiError::bad_request("invalid_query", format!("{name} is '{text}'; {mend}"))
}

/// Compiles a condition; an empty one is none.
///
/// # Errors
/// It does not compile: what is wrong, and where.
pub fn condition(text: &str) -> ApiResult<Option<Condition>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    compile_condition(text).map(Some).map_err(|error| {
        let api = ApiError::bad_request("invalid_filter", format!("the filter does not compile: {error}"));
        [("line", error.line), ("column", error.column)]
            .into_iter()
            .fold(api, |api, (name, place)| if let Some(place) = place { api.with(name, place) } else { api })
    })
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
            matching: query.filter.as_deref().map(condition).transpose()?.flatten(),
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

    /// The same without a limit, unless the query names one.
    ///
    /// # Errors
    /// As [`Window::of`].
    pub fn whole(query: &EventsQuery) -> ApiResult<Window> {
        Ok(Window { limit: query.limit.unwrap_or(usize::MAX), ..Window::of(query)? })
    }

    /// Reads a page: events, and where the next page begins.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read(&self, core: &Core) -> ApiResult<(Vec<Arc<Event>>, Option<Position>)> {
        self.read_up_to(core, self.limit).await
    }

    /// As [`Window::read`], at most `max` events.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read_up_to(&self, core: &Core, max: usize) -> ApiResult<(Vec<Arc<Event>>, Option<Position>)> {
        let wanted = self.limit.min(max);
        let mut events = Vec::new();
        let mut next = Some(self.from);
        for _ in 0..STEPS_MAX {
            let Some(from) = next else { break };
            let limit = wanted - events.len();
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
            if events.len() >= wanted {
                break;
            }
        }
        Ok((events, next))
    }

    /// Moves on behind what was read. Answers whether there is more to read.
    pub fn go_on(&mut self, count: usize, next: Option<Position>) -> bool {
        self.limit = self.limit.saturating_sub(count);
        self.from = next.unwrap_or(self.from);
        next.is_some() && self.limit > 0
    }
}

/// On how many events a filter's condition failed, if it did.
pub fn failures(filter: &Filter) -> Option<FilterFailures> {
    let condition = filter.matching.as_ref()?;
    let last = condition.0.last_failure()?;
    Some(FilterFailures { count: condition.0.failures(), last })
}
