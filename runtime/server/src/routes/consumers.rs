//! Groups of competing consumers: members fetch events and answer for them.

use std::time::Duration;

use axum::http::StatusCode;
use tidewire_api::consumer::{
    Fetch, Fetched, GroupInfo, GroupMember, GroupSpec, GroupStrategy, Leased, ParkedEvent, SettleEvents, Settled,
    Unpark,
};
use tidewire_api::log::FollowerInfo;
use tidewire_api::{List, PageQuery};
use tidewire_log::EventLog as _;
use tidewire_log::consumers::{ConsumerError, GroupConfig, GroupStatus, Settle, Strategy};
use tidewire_model::position::Position;
use tidewire_model::query::Filter;

use super::events::{condition, failures, parse_start, to_json};
use crate::app::Core;
use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Query, Running};
use crate::web::route::{Route, Routes};

/// The longest wait for events.
const WAIT_MAX: Duration = Duration::from_secs(30);
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

pub fn register(routes: &mut Routes) {
    let read = Permission::EventsRead;
    let change = Permission::EventsAppend;
    let list_route = Route::get("/api/consumers", read, "Consumer groups, with lag and what their members hold");
    routes.add(list_route.answers::<List<GroupInfo>>(), list);
    let one_route = Route::get("/api/consumers/{group}", read, "One consumer group");
    routes.add(one_route.answers::<GroupInfo>(), one);
    let put_route = Route::put("/api/consumers/{group}", change, "Creates a consumer group, or changes one");
    routes.add(put_route.body::<GroupSpec>().answers::<GroupInfo>(), put);
    let delete_route = Route::delete("/api/consumers/{group}", change, "Forgets a consumer group and its place");
    routes.add(delete_route.status(204), delete);
    let fetch_route =
        Route::post("/api/consumers/{group}/fetch", change, "Leases events to a member, waiting for them if wanted");
    routes.add(fetch_route.body::<Fetch>().answers::<Fetched>(), fetch);
    let settle = |path, summary| Route::post(path, change, summary).body::<SettleEvents>().answers::<Settled>();
    routes.add(settle("/api/consumers/{group}/ack", "Events are dealt with"), ack);
    routes.add(settle("/api/consumers/{group}/nak", "Events are to be handed out again, after `delay_ms`"), nak);
    routes.add(settle("/api/consumers/{group}/extend", "A member still works on events"), extend);
    routes.add(settle("/api/consumers/{group}/park", "Events are put aside, with a reason"), park);
    let parked_route = Route::get("/api/consumers/{group}/parked", read, "Events that were put aside, and why");
    routes.add(parked_route.query::<PageQuery>().answers::<List<ParkedEvent>>(), parked);
    let replay_route = Route::post("/api/consumers/{group}/parked/replay", change, "Takes up again what was put aside");
    routes.add(replay_route.body::<Unpark>().answers::<Settled>(), replay);
    let drop_route =
        Route::post("/api/consumers/{group}/parked/drop", change, "Drops what was put aside, with a reason");
    routes.add(drop_route.body::<Unpark>().answers::<Settled>(), drop_parked);
}

impl From<ConsumerError> for ApiError {
    fn from(error: ConsumerError) -> Self {
        match error {
            ConsumerError::Unknown(_) => ApiError::new(StatusCode::NOT_FOUND, "group_not_found", error.to_string()),
            ConsumerError::Invalid(text) => ApiError::bad_request("invalid_group", text),
            ConsumerError::Log(error) => error.into(),
            ConsumerError::Append(error) => error.into(),
        }
    }
}

/// A group as it is answered.
pub fn info(status: GroupStatus) -> GroupInfo {
    let config = status.config;
    GroupInfo {
        name: status.name.to_string(),
        filter: serde_json::to_value(&config.filter).unwrap_or_default(),
        strategy: match config.strategy {
            Strategy::RoundRobin => GroupStrategy::RoundRobin,
            Strategy::ByStream => GroupStrategy::ByStream,
        },
        in_flight_max: config.in_flight_max,
        lease_ms: config.lease_ms,
        deliveries_max: config.deliveries_max,
        position: status.floor.get(),
        lag: status.lag,
        in_flight: status.in_flight,
        waiting: status.waiting,
        parked: status.parked,
        delivered: status.delivered,
        redelivered: status.redelivered,
        acknowledged: status.acknowledged,
        members: status
            .members
            .into_iter()
            .map(|member| GroupMember { name: member.name, in_flight: member.in_flight, seen: member.seen })
            .collect(),
    }
}

/// The groups as those who follow the log.
pub(super) async fn followers(core: &Core) -> ApiResult<Vec<FollowerInfo>> {
    let groups = core.consumers.list().await?;
    let follower = |status: GroupStatus| FollowerInfo {
        kind: "group".to_owned(),
        name: status.name.to_string(),
        actor: None,
        filter: serde_json::to_value(&status.config.filter).ok(),
        position: status.floor.get(),
        lag: status.lag,
        under_way: Some(status.in_flight),
        since: None,
        filter_failures: failures(&status.config.filter),
    };
    Ok(groups.into_iter().map(follower).collect())
}

async fn list(core: Running) -> ApiResult<axum::Json<List<GroupInfo>>> {
    Ok(axum::Json(List::whole(core.consumers.list().await?.into_iter().map(info).collect())))
}

async fn one(core: Running, Path(group): Path<String>) -> ApiResult<axum::Json<GroupInfo>> {
    Ok(axum::Json(info(core.consumers.status(&group).await?)))
}

async fn put(
    core: Running,
    Path(group): Path<String>,
    Json(spec): Json<GroupSpec>,
) -> ApiResult<(StatusCode, axum::Json<GroupInfo>)> {
    let filter = Filter {
        stream: spec.stream.map(Into::into),
        category: spec.category.map(Into::into),
        event_types: spec.types.into_iter().map(Into::into).collect(),
        matching: spec.filter.as_deref().map(condition).transpose()?.flatten(),
        ..Filter::default()
    };
    let start = parse_start(spec.start.as_deref().unwrap_or("beginning"))?;
    let usual = GroupConfig::default();
    let config = GroupConfig {
        filter,
        strategy: match spec.strategy {
            GroupStrategy::RoundRobin => Strategy::RoundRobin,
            GroupStrategy::ByStream => Strategy::ByStream,
        },
        in_flight_max: spec.in_flight_max.unwrap_or(usual.in_flight_max),
        lease_ms: spec.lease_ms.unwrap_or(usual.lease_ms),
        deliveries_max: spec.deliveries_max.unwrap_or(usual.deliveries_max),
    };
    let new = core.consumers.set(&group, config, start).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(info(core.consumers.status(&group).await?))))
}

async fn delete(core: Running, Path(group): Path<String>) -> ApiResult<StatusCode> {
    core.consumers.remove(&group).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn fetch(core: Running, Path(group): Path<String>, Json(ask): Json<Fetch>) -> ApiResult<axum::Json<Fetched>> {
    let wait = Duration::from_millis(ask.wait_ms).min(WAIT_MAX);
    let leased = core.consumers.fetch(&group, &ask.member, ask.max, wait).await?;
    let items = leased.iter().map(|leased| Leased { event: to_json(&leased.event), delivery: leased.delivery });
    let lease_ms = core.consumers.lease_ms(&group).await?;
    Ok(axum::Json(Fetched { items: items.collect(), lease_ms }))
}

async fn settle(core: &Core, group: &str, asked: SettleEvents, how: &Settle) -> ApiResult<axum::Json<Settled>> {
    let answers = asked.positions.iter().map(|position| (Position::new(*position), how.clone())).collect();
    let held = core.consumers.settle(group, &asked.member, answers).await?;
    let of = |wanted: bool| {
        asked.positions.iter().zip(&held).filter(|(_, held)| **held == wanted).map(|(position, _)| *position).collect()
    };
    Ok(axum::Json(Settled { settled: of(true), lost: of(false) }))
}

async fn ack(
    core: Running,
    Path(group): Path<String>,
    Json(asked): Json<SettleEvents>,
) -> ApiResult<axum::Json<Settled>> {
    settle(&core, &group, asked, &Settle::Ack).await
}

async fn nak(
    core: Running,
    Path(group): Path<String>,
    Json(asked): Json<SettleEvents>,
) -> ApiResult<axum::Json<Settled>> {
    let how = Settle::Nak { delay_ms: asked.delay_ms, reason: asked.reason.clone() };
    settle(&core, &group, asked, &how).await
}

async fn extend(
    core: Running,
    Path(group): Path<String>,
    Json(asked): Json<SettleEvents>,
) -> ApiResult<axum::Json<Settled>> {
    settle(&core, &group, asked, &Settle::Extend).await
}

fn given(reason: Option<String>) -> ApiResult<String> {
    let missing = || ApiError::bad_request("reason_missing", "say why, as `reason`");
    reason.filter(|reason| !reason.trim().is_empty()).ok_or_else(missing)
}

async fn park(
    core: Running,
    Path(group): Path<String>,
    Json(asked): Json<SettleEvents>,
) -> ApiResult<axum::Json<Settled>> {
    let how = Settle::Park { reason: given(asked.reason.clone())? };
    settle(&core, &group, asked, &how).await
}

async fn parked(
    core: Running,
    Path(group): Path<String>,
    Query(page): Query<PageQuery>,
) -> ApiResult<axum::Json<List<ParkedEvent>>> {
    put_aside(&core, &group, &page).await.map(axum::Json)
}

/// A page of what a group put aside.
///
/// # Errors
/// There is no such group, or the log cannot be read.
pub async fn put_aside(core: &Core, group: &str, page: &PageQuery) -> ApiResult<List<ParkedEvent>> {
    let limit = page.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let after = super::events::start(page.cursor.as_deref());
    let mut found = core.consumers.parked(group, after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(position, _)| position.to_string());
    let mut items = Vec::with_capacity(found.len());
    for (position, parked) in found {
        let event = core.log.event_at(position).await?;
        items.push(ParkedEvent {
            position: position.get(),
            reason: parked.reason,
            deliveries: parked.deliveries,
            time: parked.time,
            by: parked.by,
            event: event.map(|event| to_json(&event)),
        });
    }
    Ok(List { items, next })
}

/// Takes up again what a group put aside, or drops it for a reason.
///
/// # Errors
/// There is no such group, or the log refuses.
pub async fn unpark(
    core: &Core,
    group: &str,
    by: &str,
    positions: Option<Vec<u64>>,
    dropped: Option<&str>,
) -> ApiResult<Settled> {
    let wanted = positions.clone().map(|positions| positions.into_iter().map(Position::new).collect());
    let done = core.consumers.unpark(group, wanted, dropped, by).await?;
    let settled: Vec<u64> = done.into_iter().map(Position::get).collect();
    let lost = positions.unwrap_or_default().into_iter().filter(|position| !settled.contains(position)).collect();
    Ok(Settled { settled, lost })
}

async fn replay(
    core: Running,
    by: Principal,
    Path(group): Path<String>,
    Json(asked): Json<Unpark>,
) -> ApiResult<axum::Json<Settled>> {
    unpark(&core, &group, &by.actor(), asked.positions, None).await.map(axum::Json)
}

async fn drop_parked(
    core: Running,
    by: Principal,
    Path(group): Path<String>,
    Json(asked): Json<Unpark>,
) -> ApiResult<axum::Json<Settled>> {
    let reason = given(asked.reason)?;
    unpark(&core, &group, &by.actor(), asked.positions, Some(&reason)).await.map(axum::Json)
}
