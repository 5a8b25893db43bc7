//! The event log over HTTP: append, read, follow.

mod append;
mod chain;
mod query;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::Value;
use tidewire_api::List;
use tidewire_api::log::{AppendAnswer, EventsQuery};
use tidewire_log::{EventLog as _, Subscription};
use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;
use tidewire_model::query::Start;

use crate::app::{App, Core};
use crate::auth::Permission;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Query, Running};
use crate::web::route::{Route, Routes};

/// Largest body of an append, in bytes.
const APPEND_MAX: usize = 8 * 1024 * 1024;
/// Events read at a time for a follower.
const BATCH: usize = 256;

pub fn register(routes: &mut Routes) {
    let read = Permission::EventsRead;
    let append_route = Route::post(
        "/api/events",
        Permission::EventsAppend,
        "Appends CloudEvents in structured, batch or binary mode; `expectedversion` guards a stream",
    );
    routes.add(append_route.answers::<AppendAnswer>().status(201).body_max(APPEND_MAX), append::append);
    let list_route = Route::get("/api/events", read, "Reads events");
    routes.add(list_route.query::<EventsQuery>().answers::<List<Value>>(), list);
    let stream_route = Route::get("/api/events/stream", read, "Follows events (SSE); `Last-Event-ID` goes on after it");
    routes.add(stream_route.query::<EventsQuery>(), follow);
    routes.add(Route::get("/api/events/{id}", read, "One event, by position or id"), one);
    routes.add(Route::get("/api/events/{id}/why", read, "What led to an event, and what followed"), why);
}

/// An event as the API shows it.
pub fn to_json(event: &Event) -> Value {
    serde_json::to_value(event).unwrap_or(Value::Null)
}

async fn list(core: Running, Query(query): Query<EventsQuery>) -> ApiResult<axum::Json<List<Value>>> {
    let window = query::Window::of(&query)?;
    let (events, next) = window.read(&core).await?;
    let items = events.iter().map(|event| to_json(event)).collect();
    Ok(axum::Json(List { items, next: next.map(|next| next.to_string()) }))
}

/// Where a page that goes backwards begins: at a cursor, or at the end of the log.
pub(super) fn start(cursor: Option<&str>) -> Position {
    cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(Position::ZERO)
}

/// # Errors
/// When there is no such event.
pub(super) async fn find(core: &Core, id: &str) -> ApiResult<std::sync::Arc<Event>> {
    let by_position = match id.parse::<Position>() {
        Ok(position) => core.log.event_at(position).await?,
        Err(_) => None,
    };
    let found = match by_position {
        Some(event) => Some(event),
        None => core.log.event_by_id(EventId::from(id)).await?,
    };
    found.ok_or_else(|| ApiError::not_found(format!("there is no event with the position or id {id}")))
}

async fn one(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<Value>> {
    Ok(axum::Json(to_json(&*find(&core, &id).await?)))
}

async fn why(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<List<Value>>> {
    let event = find(&core, &id).await?;
    let chain = chain::of(&core, event).await?;
    Ok(axum::Json(List::whole(chain.iter().map(|event| to_json(event)).collect())))
}

async fn follow(
    State(app): State<App>,
    core: Running,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> ApiResult<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<Position>().ok());
    let window = query::Window::of(&query)?;
    let start = match (last, query.after, window.filter.from_time) {
        (Some(last), _, _) => Start::Position(last.next()),
        (None, Some(after), _) => Start::Position(Position::new(after).next()),
        (None, None, Some(time)) => Start::Time(time),
        (None, None, None) => Start::Now,
    };
    let subscription = core.log.subscribe(window.filter, start).await?;
    let events = stream::unfold(subscription, next_batch).flat_map(stream::iter).map(Ok);
    let events = events.take_until(app.shutdown.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

async fn next_batch(mut subscription: Subscription) -> Option<(Vec<SseEvent>, Subscription)> {
    match subscription.next_batch(BATCH).await {
        Ok(delivery) => {
            let events = delivery.events.iter().filter_map(|event| {
                let data = serde_json::to_string(&**event).ok()?;
                // Data is one line: the JSON writer breaks none.
                Some(SseEvent::default().id(event.position.to_string()).data(data))
            });
            Some((events.collect(), subscription))
        }
        Err(error) => {
            tracing::debug!(error = %error, "follower of events ended");
            None
        }
    }
}
