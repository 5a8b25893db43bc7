//! The history of deploys: what changed, and the way back.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tidewire_api::flows::{Changes, Deploy, DeployAnswer, RestoreRequest};
use tidewire_api::{List, PageQuery};
use tidewire_engine::{DEPLOY_STREAM, DEPLOYED};
use tidewire_log::EventLog as _;
use tidewire_model::event::Event;
use tidewire_model::flow::FlowDiff;
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query as LogQuery};

use super::events;
use super::flows::deploy;
use crate::app::{Core, Deployment};
use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{OptionalJson, Path, Query, Running, bad_json};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let read = Permission::FlowsRead;
    let list_route = Route::get("/api/deploys", read, "Deploys, the latest first");
    routes.add(list_route.query::<PageQuery>().answers::<List<Deploy>>(), list);
    let one_route = Route::get("/api/deploys/{rev}", read, "One deploy with its flows, by revision or position");
    routes.add(one_route.answers::<Deploy>(), one);
    let restore_route = Route::post(
        "/api/deploys/{rev}/restore",
        Permission::FlowsWrite,
        "Deploys the flows of an earlier deploy again",
    );
    routes.add(restore_route.body::<RestoreRequest>().answers::<DeployAnswer>(), restore);
}

#[derive(Deserialize)]
struct Recorded {
    rev: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    restored: Option<String>,
    #[serde(default)]
    diff: FlowDiff,
    flows: Value,
}

/// A deploy as its event has it; `whole` with diff and flows.
fn read(event: &Event, whole: bool) -> Option<Deploy> {
    let Recorded { rev, kind, author, restored, diff, flows } = serde_json::from_slice(&event.data).ok()?;
    Some(Deploy {
        rev,
        number: event.version,
        kind,
        author,
        time: event.recorded_time,
        position: event.position.get(),
        restored,
        changes: Changes::from(&diff),
        diff: whole.then_some(diff),
        flows: whole.then_some(flows),
    })
}

fn filter() -> Filter {
    Filter { event_types: vec![DEPLOYED.into()], ..Filter::stream(DEPLOY_STREAM) }
}

async fn list(core: Running, Query(query): Query<PageQuery>) -> ApiResult<axum::Json<List<Deploy>>> {
    let limit = query.limit.unwrap_or(20).clamp(1, 100);
    let from = events::start(query.cursor.as_deref());
    let page = core.log.read(LogQuery { filter: filter(), from, direction: Direction::Backwards, limit }).await?;
    let items = page.events.iter().filter_map(|event| read(event, false)).collect();
    Ok(axum::Json(List { items, next: page.next.map(|next| next.to_string()) }))
}

async fn find(core: &Core, wanted: &str) -> ApiResult<Deploy> {
    let unknown = || ApiError::not_found(format!("there is no deploy \"{wanted}\""));
    if let Ok(position) = wanted.parse::<Position>() {
        let event = core.log.event_at(position).await?;
        let event: Option<Arc<Event>> = event.filter(|event| event.event_type == DEPLOYED);
        return event.and_then(|event| read(&event, true)).ok_or_else(unknown);
    }
    let mut from = Some(Position::ZERO);
    while let Some(start) = from {
        let query = LogQuery { filter: filter(), from: start, direction: Direction::Backwards, limit: 20 };
        let page = core.log.read(query).await?;
        let rev = |event: &Arc<Event>| event.flow_rev.as_deref() == Some(wanted);
        if let Some(event) = page.events.iter().find(|event| rev(event)) {
            return read(event, true).ok_or_else(unknown);
        }
        from = page.next;
    }
    Err(unknown())
}

async fn one(core: Running, Path(rev): Path<String>) -> ApiResult<axum::Json<Deploy>> {
    Ok(axum::Json(find(&core, &rev).await?))
}

async fn restore(
    actor: Principal,
    core: Running,
    Path(rev): Path<String>,
    OptionalJson(body): OptionalJson,
) -> ApiResult<axum::Json<DeployAnswer>> {
    let body: Option<RestoreRequest> =
        body.map(serde_json::from_value).transpose().map_err(|error| bad_json(&error))?;
    let Deploy { rev, flows, .. } = find(&core, &rev).await?;
    let deployment = Deployment {
        expected_rev: body.and_then(|body| body.rev),
        restored: Some(rev),
        ..Deployment::of(flows.unwrap_or_default())
    };
    Ok(axum::Json(deploy(&core, &actor, deployment).await?))
}
