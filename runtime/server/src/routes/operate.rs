//! Pressing buttons, sending messages, and the sockets that show what happens.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value as Json;
use tidewire_api::live::{Frame, TapQuery};
use tidewire_model::{Map, Message, Value};
use tidewire_node_api::Signal;

use crate::app::App;
use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::live::session;
use crate::web::extract::{Json as Body, OptionalJson, Path, Query, Running};
use crate::web::guard::Caller;
use crate::web::route::{Route, Routes};
use crate::{comms, taps, wire};

/// Largest message that is sent to a node, in bytes.
const MESSAGE_MAX: usize = 8 * 1024 * 1024;
/// Largest frame that a client may send over a socket, in bytes.
const SOCKET_MAX: usize = 256 * 1024;

pub fn register(routes: &mut Routes) {
    let operate = Permission::Operate;
    routes.add(Route::post("/inject/{id}", operate, "Presses a node's button"), inject);
    routes.add(Route::post("/debug/{id}/{state}", operate, "Switches a debug node: enable or disable"), debug_one);
    routes.add(Route::post("/debug/{state}", operate, "Switches debug nodes: a JSON list of ids"), debug_many);
    let send_route = Route::post("/api/nodes/{id}/send", operate, "Sends a message to a node's input");
    routes.add(send_route.query::<SendQuery>().body_max(MESSAGE_MAX).status(202), send);
    let live_route = Route::get("/api/live", Permission::FlowsRead, "What changes, at most four times a second");
    routes.add(live_route.answers::<Frame>().socket(), live);
    let taps_route = Route::get("/api/taps", Permission::MessagesRead, "Each message of some nodes");
    routes.add(taps_route.query::<TapQuery>().socket(), tap);
    // Signs in by its first message, as Node-RED's own clients do.
    routes.add(Route::get("/comms", Permission::Public, "Node-RED's socket").socket(), comms_socket);
}

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct SendQuery {
    /// 1: deliver it as it is, without adding `_msgid`.
    raw: Option<String>,
}

async fn inject(core: Running, Path(id): Path<String>, OptionalJson(body): OptionalJson) -> ApiResult<StatusCode> {
    let body = body.as_ref().map_or(Value::Undefined, wire::from_json);
    // An empty object is what editors send when there is nothing to say.
    let body = if body.as_object().is_some_and(Map::is_empty) { Value::Undefined } else { body };
    core.engine.signal(&id, Signal::Trigger(body))?;
    Ok(StatusCode::OK)
}

fn on_or_off(state: &str) -> ApiResult<bool> {
    match state {
        "enable" => Ok(true),
        "disable" => Ok(false),
        _ => Err(ApiError::not_found("a debug node is switched with enable or disable")),
    }
}

async fn debug_one(core: Running, Path((id, state)): Path<(String, String)>) -> ApiResult<StatusCode> {
    let on = on_or_off(&state)?;
    core.engine.signal(&id, Signal::Enable(on))?;
    // Node-RED's clients tell by the status what came of it.
    Ok(if on { StatusCode::OK } else { StatusCode::CREATED })
}

async fn debug_many(
    core: Running,
    Path(state): Path<String>,
    OptionalJson(body): OptionalJson,
) -> ApiResult<StatusCode> {
    let on = on_or_off(&state)?;
    let ids = body.as_ref().and_then(|body| body.get("nodes").unwrap_or(body).as_array().cloned());
    let ids =
        ids.ok_or_else(|| ApiError::bad_request("invalid_body", "send the ids of debug nodes: {\"nodes\": [\"…\"]}"))?;
    for id in ids.iter().filter_map(Json::as_str) {
        core.engine.signal(id, Signal::Enable(on))?;
    }
    Ok(if on { StatusCode::OK } else { StatusCode::CREATED })
}

async fn send(
    core: Running,
    Path(id): Path<String>,
    Query(query): Query<SendQuery>,
    Body(body): Body<Json>,
) -> ApiResult<StatusCode> {
    let Value::Object(map) = wire::from_json(&body) else {
        return Err(ApiError::bad_request("invalid_message", "a message is a JSON object, such as {\"payload\": 1}"));
    };
    let body = Map::clone(&map);
    let message = match query.raw.as_deref() {
        Some("1" | "true") => Message::new(0, body),
        _ => core.engine.new_message(body),
    };
    core.engine.send(&id, message).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn live(
    State(app): State<App>,
    core: Running,
    principal: Principal,
    caller: Caller,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.max_message_size(SOCKET_MAX);
    upgrade.on_upgrade(move |socket| session::run(socket, app, core.0, principal, caller))
}

async fn tap(
    State(app): State<App>,
    core: Running,
    caller: Caller,
    Query(query): Query<TapQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.max_message_size(SOCKET_MAX);
    upgrade.on_upgrade(move |socket| taps::run(socket, app, core.0, caller, query.nodes))
}

async fn comms_socket(State(app): State<App>, core: Running, caller: Caller, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.max_message_size(SOCKET_MAX);
    upgrade.on_upgrade(move |socket| comms::run(socket, app, core.0, caller))
}
