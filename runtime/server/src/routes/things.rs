//! Things, commands to them with their evidence, and notifications.

mod history;

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use tidewire_api::thing::{Command, CommandAccepted, CommandRequest, HistoryAnswer, HistoryQuery, Notification, Thing};
use tidewire_api::{List, PageQuery};
use tidewire_log::EventLog as _;
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion};
use tidewire_model::event::{Event, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query as LogQuery};
use tidewire_model::value::to_json_value;
use tidewire_node_api::handles::Entry;

use super::events::{self, to_json};
use crate::app::Core;
use crate::auth::{Permission, Principal, sessions};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Query, Running};
use crate::web::route::{Route, Routes};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Events of one command or notification that are shown.
const EVIDENCE_MAX: usize = 200;

pub fn register(routes: &mut Routes) {
    let read = Permission::ModelsRead;
    let list_route = Route::get("/api/things", read, "Things with their last known values");
    routes.add(list_route.query::<PageQuery>().answers::<List<Thing>>(), list);
    routes.add(Route::get("/api/things/{id}", read, "One thing").answers::<Thing>(), one);
    let history_route =
        Route::get("/api/things/{id}/history", read, "History of a numeric property in buckets, as JSON or CSV");
    routes.add(history_route.query::<HistoryQuery>().answers::<HistoryAnswer>(), history::history);
    let command_route = Route::post(
        "/api/things/{id}/commands",
        Permission::CommandsSend,
        "Gives a thing a command; `Idempotency-Key` makes repeating it harmless",
    );
    routes.add(command_route.body::<CommandRequest>().answers::<CommandAccepted>().status(202), command);
    let evidence_route = Route::get("/api/commands/{id}", read, "A command and what is known of it");
    routes.add(evidence_route.answers::<Command>(), evidence);
    let outbox_route = Route::get("/api/notifications", Permission::EventsRead, "Notifications, the latest first");
    routes.add(outbox_route.query::<PageQuery>().answers::<List<Notification>>(), notifications);
}

fn public(entry: Entry) -> Thing {
    let value = to_json_value(&entry.value);
    let number = |name: &str| value.get(name).and_then(Value::as_i64).unwrap_or(0);
    Thing {
        name: entry.key.clone(),
        id: entry.key,
        properties: value.get("properties").cloned().unwrap_or_else(|| json!({})),
        last_seen: number("lastSeen"),
        events: u64::try_from(number("events")).unwrap_or(0),
        position: entry.position.get(),
    }
}

async fn list(core: Running, Query(query): Query<PageQuery>) -> ApiResult<axum::Json<List<Thing>>> {
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let mut page = core.things.page(query.cursor.as_deref(), limit + 1)?;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|entry| entry.key.clone());
    Ok(axum::Json(List { items: page.into_iter().map(public).collect(), next }))
}

async fn one(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<Thing>> {
    let found = core.things.get(&id).await?;
    found
        .map(|entry| axum::Json(public(entry)))
        .ok_or_else(|| ApiError::not_found(format!("there is no thing \"{id}\"")))
}

async fn command(
    actor: Principal,
    core: Running,
    headers: HeaderMap,
    Path(thing): Path<String>,
    Json(body): Json<CommandRequest>,
) -> ApiResult<(StatusCode, axum::Json<CommandAccepted>)> {
    let bad = |text: &str| Err(ApiError::bad_request("invalid_command", text));
    let ttl = body.ttl.unwrap_or(60.0);
    if !(ttl > 0.0 && ttl <= 31_536_000.0) {
        return bad("ttl is a number of seconds above 0");
    }
    let (kind, name) = match (body.action, body.property) {
        (Some(action), None) => ("action", action),
        (None, Some(property)) => ("property", property),
        _ => return bad("say what to do: either \"action\" or \"property\""),
    };
    let name_of_actor = actor.actor();
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let seed = match key {
        Some(key) if key.len() > 200 => return bad("the Idempotency-Key has more than 200 characters"),
        // Two people who use the same key do not mean the same command.
        Some(key) => format!("{name_of_actor}\n{thing}\n{key}"),
        None => sessions::random_secret(),
    };
    let id = sessions::hash_of(&seed).get(..24).unwrap_or_default().to_owned();
    let mut data = json!({"command": id, "thing": thing, "value": body.value, "ttl": ttl});
    if let Some(data) = data.as_object_mut() {
        data.insert(kind.to_owned(), name.into());
    }
    let mut event = NewEvent::json("tidewire.command.requested", &data).with_id(format!("command-{id}").as_str());
    event.source = "/api/things".into();
    event.actor = Some(name_of_actor.as_str().into());
    let stream = StreamName::new(format!("command-{id}")).map_err(AppendError::from)?;
    let request = AppendRequest { stream, expected: ExpectedVersion::NoStream, events: vec![event] };
    core.log.append(vec![request]).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(CommandAccepted { command: id })))
}

/// The last word of an event type: `tidewire.command.sent` → `sent`.
fn state_of(event_type: &str) -> &str {
    event_type.rsplit('.').next().unwrap_or(event_type)
}

async fn life(core: &Core, stream: &str) -> ApiResult<Vec<std::sync::Arc<Event>>> {
    let page = core.log.read(LogQuery::forwards(Filter::stream(stream), Position::FIRST, EVIDENCE_MAX)).await?;
    Ok(page.events)
}

async fn evidence(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<Command>> {
    let unknown = || ApiError::not_found(format!("there is no command \"{id}\""));
    // A star would match other commands.
    if id.contains('*') {
        return Err(unknown());
    }
    let events = life(&core, &format!("command-{id}")).await?;
    let last =
        events.iter().rev().find(|event| event.event_type.starts_with("tidewire.command.")).ok_or_else(unknown)?;
    let state = state_of(&last.event_type).to_owned();
    Ok(axum::Json(Command { state, events: events.iter().map(|event| to_json(event)).collect(), id: id.clone() }))
}

async fn notifications(core: Running, Query(query): Query<PageQuery>) -> ApiResult<axum::Json<List<Notification>>> {
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let from = events::start(query.cursor.as_deref());
    let filter = Filter::types(["tidewire.notification.requested"]);
    let requested = core.log.read(LogQuery { filter, from, direction: Direction::Backwards, limit }).await?;
    let mut items = Vec::with_capacity(requested.events.len());
    for event in &requested.events {
        let stream = event.stream.as_str();
        let events = life(&core, stream).await?;
        let last = events.last().unwrap_or(event);
        let mut data = Map::new();
        for event in &events {
            if let Ok(Value::Object(part)) = event.data_json() {
                data.extend(part);
            }
        }
        items.push(Notification {
            id: stream.strip_prefix("notification-").unwrap_or(stream).to_owned(),
            state: state_of(&last.event_type).to_owned(),
            time: event.time,
            data: Value::Object(data),
            events: events.iter().map(|event| to_json(event)).collect(),
        });
    }
    Ok(axum::Json(List { items, next: requested.next.map(|next| next.to_string()) }))
}
