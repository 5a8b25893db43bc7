//! The event log itself: what it takes, and what it drops.

use axum::http::StatusCode;
use tidewire_api::log::{CompactLog, IndexHealth, IndexState, LogHealth, Retention, Scrub};
use tidewire_log::{Compacted, EventLog as _, StoreHealth, Usage, policies, set_policies};
use tidewire_model::retention::RetentionPolicy;

use crate::auth::{Permission, Principal};
use crate::compaction;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, OptionalJson, Running, bad_json};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let usage_route = Route::get(
        "/api/log/usage",
        Permission::MetricsRead,
        "Bytes of the event log and its parts, the room that is left, and in how many days it will be gone",
    );
    routes.add(usage_route.answers::<Usage>(), usage);
    let told = "Whether the event log takes events, how its index is, and what was found and mended when it was opened";
    routes.add(Route::get("/api/log/health", Permission::EventsRead, told).answers::<LogHealth>(), health);
    let get_route = Route::get("/api/log/retention", Permission::EventsRead, "Which events are dropped when");
    routes.add(get_route.answers::<Retention>(), shown);
    let put_route = Route::put("/api/log/retention", Permission::LogManage, "Says which events are dropped when");
    routes.add(put_route.body::<Retention>().answers::<Retention>(), put);
    let compact_route = Route::post(
        "/api/log/compact",
        Permission::LogManage,
        "Drops now what the retention policies say, or tells what that would be",
    );
    routes.add(compact_route.body::<CompactLog>().answers::<Compacted>(), compact);
    let told = "How far the scrub of the event log is, and what the last one found";
    routes.add(Route::get("/api/log/scrub", Permission::EventsRead, told).answers::<Scrub>(), scrub);
    let begin = "Begins to read the whole event log, slowly, to find damage";
    routes.add(Route::post("/api/log/scrub", Permission::LogManage, begin).answers::<Scrub>().status(202), begin_scrub);
    let cancel = "Gives up the scrub that is under way";
    routes.add(Route::delete("/api/log/scrub", Permission::LogManage, cancel).answers::<Scrub>(), cancel_scrub);
}

async fn usage(core: Running) -> ApiResult<axum::Json<Usage>> {
    Ok(axum::Json(core.log.usage().await?))
}

async fn health(core: Running) -> axum::Json<LogHealth> {
    let health = core.log.health();
    let (index, progress, reason) = match health.store {
        StoreHealth::Opening => (IndexState::Opening, None, None),
        StoreHealth::Rebuilding { progress } => (IndexState::Rebuilding, Some(progress), None),
        StoreHealth::Ready => (IndexState::Ready, None, None),
        StoreHealth::Failed { reason } => (IndexState::Failed, None, Some(reason)),
    };
    axum::Json(LogHealth {
        read_only: health.read_only,
        index: IndexHealth { state: index, progress, reason, lag: health.store_lag },
        notices: health.notices,
        head: health.head.get(),
        room: health.space,
    })
}

async fn scrub(core: Running) -> ApiResult<axum::Json<Scrub>> {
    Ok(axum::Json(core.scrubs.tell(&core).await?))
}

async fn begin_scrub(core: Running) -> ApiResult<(StatusCode, axum::Json<Scrub>)> {
    let running = "a scrub is under way; wait for it or cancel it";
    if !core.scrubs.begin(&core.0) {
        return Err(ApiError::new(StatusCode::CONFLICT, "scrub_running", running));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(core.scrubs.tell(&core).await?)))
}

async fn cancel_scrub(core: Running) -> ApiResult<axum::Json<Scrub>> {
    core.scrubs.cancel();
    Ok(axum::Json(core.scrubs.tell(&core).await?))
}

async fn shown(core: Running) -> ApiResult<axum::Json<Retention>> {
    Ok(axum::Json(Retention { policies: policies(&*core.log).await? }))
}

async fn put(core: Running, Json(wanted): Json<Retention>) -> ApiResult<axum::Json<Retention>> {
    let problems = RetentionPolicy::check(&wanted.policies);
    if !problems.is_empty() {
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_retention", texts.join("; "));
        return Err(error.with("problems", serde_json::json!(problems)));
    }
    set_policies(&*core.log, &wanted.policies).await?;
    Ok(axum::Json(wanted))
}

async fn compact(
    core: Running,
    principal: Principal,
    OptionalJson(body): OptionalJson,
) -> ApiResult<axum::Json<Compacted>> {
    let wanted: CompactLog = match body {
        Some(body) => serde_json::from_value(body).map_err(|error| bad_json(&error))?,
        None => CompactLog::default(),
    };
    let order = compaction::order(&core, &principal.actor(), wanted.dry_run);
    Ok(axum::Json(core.log.compact(order).await?))
}
