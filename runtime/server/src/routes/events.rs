//! The event log over HTTP: append, read, follow.

mod append;
mod batch;
mod chain;
mod export;
mod follow;
mod precondition;
mod query;
mod single;

pub(super) use follow::parse_start;
pub(super) use precondition::tag;
pub(super) use query::{condition, failures};

use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tidewire_api::List;
use tidewire_api::log::{AppendAnswer, AppendQuery, EventQuery, EventsPage, EventsQuery};
use tidewire_log::EventLog as _;
use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;

use crate::app::Core;
use crate::auth::Permission;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Path, Query, Running};
use crate::web::route::{Route, Routes};

/// Largest body of an append, in bytes.
const APPEND_MAX: usize = 8 * 1024 * 1024;

pub fn register(routes: &mut Routes) {
    let read = Permission::EventsRead;
    let append_route = Route::post(
        "/api/events",
        Permission::EventsAppend,
        "Appends CloudEvents in structured, batch or binary mode; `expectedversion` or `If-Match` guards a stream",
    );
    routes.add(
        append_route.query::<AppendQuery>().answers::<AppendAnswer>().status(201).body_max(APPEND_MAX),
        append::append,
    );
    let list_route = Route::get(
        "/api/events",
        read,
        "Reads events: pages of JSON or CloudEvents batches, or all as JSON Lines or CSV (`format`, `Accept`)",
    );
    routes.add(list_route.query::<EventsQuery>().answers::<EventsPage>(), list);
    let stream_route = Route::get("/api/events/stream", read, "Follows events (SSE); `Last-Event-ID` goes on after it");
    routes.add(stream_route.query::<EventsQuery>(), follow::sse);
    let socket_route =
        Route::get("/api/events/socket", read, "Follows events (WebSocket), with acknowledgements if wanted");
    routes.add(socket_route.query::<EventsQuery>().socket(), follow::socket);
    let one_route = Route::get("/api/events/{id}", read, "One event, by position or id, also as a CloudEvent");
    routes.add(one_route.query::<EventQuery>(), one);
    routes.add(Route::get("/api/events/{id}/why", read, "What led to an event, and what followed"), why);
}

/// An event as the API shows it.
pub fn to_json(event: &Event) -> Value {
    serde_json::to_value(event).unwrap_or(Value::Null)
}

/// An event as it is stored, or in the form of the latest schema.
fn in_form(event: &Event, raw: bool) -> &Event {
    if raw { event.as_stored() } else { event }
}

fn is_set(flag: Option<&str>) -> bool {
    flag.is_some_and(|flag| !matches!(flag, "" | "0" | "false"))
}

async fn list(core: Running, uri: Uri, headers: HeaderMap, Query(query): Query<EventsQuery>) -> ApiResult<Response> {
    if let Some(format) = export::wanted(&query, &headers)? {
        return Ok(export::answer(core.0, query::Window::whole(&query)?, format));
    }
    let window = query::Window::of(&query)?;
    let (events, next) = window.read(&core).await?;
    let raw = is_set(query.raw.as_deref());
    let items = events.iter().map(|event| to_json(in_form(event, raw))).collect();
    let next = next.map(|next| next.to_string());
    if batch::is_wanted(&query, &headers) {
        return Ok(batch::answer(items, next.as_deref(), &uri));
    }
    Ok(axum::Json(EventsPage { items, next, filter_failures: failures(&window.filter) }).into_response())
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

async fn one(
    core: Running,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> ApiResult<Response> {
    let event = find(&core, &id).await?;
    single::answer(in_form(&event, is_set(query.raw.as_deref())), &query, &headers)
}

async fn why(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<List<Value>>> {
    let event = find(&core, &id).await?;
    let chain = chain::of(&core, event).await?;
    Ok(axum::Json(List::whole(chain.iter().map(|event| to_json(event)).collect())))
}
