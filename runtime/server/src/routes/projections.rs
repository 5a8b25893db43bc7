//! Read models over HTTP, now and at a moment in the past, and how they are kept.

use std::time::Duration;

use axum::http::StatusCode;
use tidewire_api::log::{EntriesQuery, Projection, ProjectionEntry};
use tidewire_api::projection::{
    Comparison, Difference, MissingEvents, ProjectionStatus as Details, RebuildQuery, SkipRequest, SkippedEvent,
    UnappliedEvent,
};
use tidewire_api::{List, PageQuery};
use tidewire_engine::projections::{Parked, ProjectionDetails, ProjectionStatus, Skipped};
use tidewire_engine::{Clock as _, SystemClock};
use tidewire_model::event::time::parse_point;
use tidewire_model::position::Position;
use tidewire_model::value::to_json_value;
use tidewire_node_api::handles::{At, Entry, HandleError, Projections as _};
use tidewire_node_api::selection::{Selection, SelectionError};

use crate::app::Core;
use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Query, Running};
use crate::web::route::{Route, Routes};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Parked events that are kept of one read model.
const PARKED_MAX: usize = 1_000;
const REASON_MAX: usize = 500;
/// How long `min_position` waits.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn register(routes: &mut Routes) {
    let read = Permission::ModelsRead;
    routes.add(Route::get("/api/projections", read, "Read models").answers::<List<Projection>>(), list);
    let entries_route = Route::get("/api/projections/{name}", read, "Entries of a read model");
    routes.add(entries_route.query::<EntriesQuery>().answers::<List<ProjectionEntry>>(), entries);
    let entry_route = Route::get("/api/projections/{name}/{key}", read, "One entry of a read model");
    routes.add(entry_route.query::<EntriesQuery>().answers::<ProjectionEntry>(), entry);
    let rebuild_route = Route::post(
        "/api/projections/{name}/rebuild",
        Permission::FlowsWrite,
        "Builds a read model once more from the first event, beside the one that is served",
    );
    routes.add(rebuild_route.query::<RebuildQuery>().status(202), rebuild);
    register_keeping(routes);
}

fn register_keeping(routes: &mut Routes) {
    let (read, write) = (Permission::ModelsRead, Permission::FlowsWrite);
    let status_route = Route::get("/api/projections/{name}/keeping/status", read, "How a read model is kept");
    routes.add(status_route.answers::<Details>(), status);
    let cancel_route = Route::delete("/api/projections/{name}/rebuild", write, "Gives up a new build");
    routes.add(cancel_route.status(204), cancel);
    let swap_route =
        Route::post("/api/projections/{name}/swap", write, "Lets a new build take the place of the one that is served");
    routes.add(swap_route.status(202), swap);
    let parked_route =
        Route::get("/api/projections/{name}/keeping/parked", read, "Events that a read model could not apply, and why");
    routes.add(parked_route.query::<PageQuery>().answers::<List<UnappliedEvent>>(), parked);
    let retry_route =
        Route::post("/api/projections/{name}/parked/{position}/retry", write, "Applies a parked event once more");
    routes.add(retry_route.status(204), retry);
    let skip_route =
        Route::post("/api/projections/{name}/parked/{position}/skip", write, "Leaves a parked event out for good");
    routes.add(skip_route.body::<SkipRequest>().status(204), skip);
}

fn public(status: ProjectionStatus) -> Projection {
    Projection {
        name: status.name,
        position: status.position.get(),
        lag: status.lag,
        parked: status.parked,
        keys: status.keys,
        building: status.building,
        build_rate: status.build.map(|build| build.events_per_s),
        build_eta: status.build.and_then(|build| build.eta_s),
        ready: status.build.is_some_and(|build| build.ready),
        failed: status.failed,
        kept: status.kept,
    }
}

fn public_entry(entry: Entry) -> ProjectionEntry {
    ProjectionEntry {
        key: entry.key,
        value: to_json_value(&entry.value),
        position: entry.position.get(),
        time: entry.time,
    }
}

async fn list(core: Running) -> ApiResult<axum::Json<List<Projection>>> {
    let mut items = Vec::new();
    for name in core.projections.names()?.into_iter().filter(|name| !name.starts_with('$')) {
        items.extend(core.projections.status(&name)?.map(public));
    }
    Ok(axum::Json(List::whole(items)))
}

fn unknown(name: &str) -> ApiError {
    ApiError::not_found(format!("there is no projection \"{name}\"; deploy a projector with this name"))
}

/// Checks the name and waits for the position that the reader has written.
async fn prepare(core: &Core, name: &str, query: &EntriesQuery) -> ApiResult<()> {
    if core.projections.status(name)?.is_none() {
        return Err(unknown(name));
    }
    if let Some(position) = query.min_position {
        let wait = core.projections.wait_for(name, Position::new(position));
        let late = |_| ApiError {
            retry_after: Some(1),
            ..ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_yet",
                format!("the projection \"{name}\" has not got to position {position}; try again in a moment"),
            )
        };
        tokio::time::timeout(PATIENCE, wait).await.map_err(late)??;
    }
    Ok(())
}

fn at(query: &EntriesQuery) -> ApiResult<Option<At>> {
    let Some(text) = query.at.as_deref() else { return Ok(None) };
    parse_point(text).map(Some).ok_or_else(|| {
        let detail = format!("at is '{text}'; use a position, or a time such as 2026-03-14T15:09:26Z");
        ApiError::bad_request("invalid_query", detail)
    })
}

async fn entry(
    core: Running,
    Path((name, key)): Path<(String, String)>,
    Query(query): Query<EntriesQuery>,
) -> ApiResult<axum::Json<ProjectionEntry>> {
    prepare(&core, &name, &query).await?;
    let found = match at(&query)? {
        Some(at) => core.projections.get_at(&name, &key, at).await?,
        None => core.projections.get(&name, &key).await?,
    };
    let missing = || ApiError::not_found(format!("the projection \"{name}\" has no entry \"{key}\""));
    found.map(|entry| axum::Json(public_entry(entry))).ok_or_else(missing)
}

async fn entries(
    core: Running,
    Path(name): Path<String>,
    Query(query): Query<EntriesQuery>,
) -> ApiResult<axum::Json<List<ProjectionEntry>>> {
    prepare(&core, &name, &query).await?;
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let parsed = Selection::parse(query.filter.as_deref(), query.sort.as_deref(), query.cursor.clone(), limit);
    let found = core.projections.select(&name, parsed.map_err(unselected)?, at(&query)?).await.map_err(unselected)?;
    let items = found.items.into_iter().map(public_entry).collect();
    Ok(axum::Json(List { items, next: found.next }))
}

fn unselected(error: SelectionError) -> ApiError {
    match error {
        SelectionError::Read(error) => error.into(),
        SelectionError::Filter(_) => ApiError::bad_request("invalid_query", error.to_string()),
        SelectionError::Passed | SelectionError::Sorted => ApiError::bad_request("too_many_entries", error.to_string()),
    }
}

async fn status(core: Running, Path(name): Path<String>) -> ApiResult<axum::Json<Details>> {
    let status = core.projections.status(&name)?.ok_or_else(|| unknown(&name))?;
    Ok(axum::Json(details(status, core.projections.details(&name).await?)))
}

/// A read model as it is answered.
pub(crate) fn details(status: ProjectionStatus, details: ProjectionDetails) -> Details {
    let comparison = details.comparison.map(|one| Comparison {
        old_position: one.old_position.get(),
        new_position: one.new_position.get(),
        old_keys: one.old_keys,
        new_keys: one.new_keys,
        different: one.different,
        sample: one.sample.into_iter().map(|one| Difference { key: one.key, old: one.old, new: one.new }).collect(),
    });
    Details {
        projection: public(status),
        snapshots: details.snapshots.into_iter().map(Position::get).collect(),
        begun_from: details.begun_from.get(),
        thinned: details.thinned.get(),
        gap: details.gap.map(|gap| MissingEvents {
            after: gap.after.get(),
            through: gap.through.get(),
            reason: gap.reason,
        }),
        comparison,
    }
}

async fn parked(
    core: Running,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> ApiResult<axum::Json<List<UnappliedEvent>>> {
    if core.projections.status(&name)?.is_none() {
        return Err(unknown(&name));
    }
    let limit = query.limit.unwrap_or(LIMIT_MAX).clamp(1, LIMIT_MAX);
    let after: u64 = query.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    // No more are kept than fit.
    let all = core.projections.parked(&name, PARKED_MAX)?;
    let mut rest = all.into_iter().filter(|one| one.position.get() > after);
    let items: Vec<UnappliedEvent> = rest.by_ref().take(limit).map(public_parked).collect();
    let next = rest.next().and_then(|_| items.last().map(|one| one.position.to_string()));
    Ok(axum::Json(List { items, next }))
}

fn public_parked(parked: Parked) -> UnappliedEvent {
    UnappliedEvent {
        position: parked.position.get(),
        event: parked.event,
        reason: parked.reason,
        skipped: parked.skipped.map(|one| SkippedEvent { by: one.by, reason: one.reason, time: one.time }),
    }
}

async fn retry(actor: Principal, core: Running, Path((name, position)): Path<(String, u64)>) -> ApiResult<StatusCode> {
    core.projections.retry(&name, Position::new(position), &actor.actor()).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn skip(
    actor: Principal,
    core: Running,
    Path((name, position)): Path<(String, u64)>,
    Json(body): Json<SkipRequest>,
) -> ApiResult<StatusCode> {
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() || reason.len() > REASON_MAX {
        let text = format!("say in up to {REASON_MAX} characters why the event is left out: {{\"reason\": …}}");
        return Err(ApiError::bad_request("invalid_reason", text));
    }
    let skipped = Skipped { by: actor.actor(), reason, time: SystemClock.now_ms() };
    core.projections.skip(&name, Position::new(position), skipped).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the task that keeps a read model does not do, and why.
fn refused(error: HandleError) -> ApiError {
    if error.retryable {
        return error.into();
    }
    ApiError::new(StatusCode::CONFLICT, "refused", error.text)
}

fn there_is(core: &Core, name: &str) -> ApiResult<()> {
    core.projections.status(name)?.map(drop).ok_or_else(|| unknown(name))
}

async fn rebuild(core: Running, Path(name): Path<String>, Query(query): Query<RebuildQuery>) -> ApiResult<StatusCode> {
    there_is(&core, &name)?;
    let hold = match query.swap.as_deref() {
        None | Some("auto") => false,
        Some("manual") => true,
        Some(other) => {
            let text = format!("swap is '{other}'; use auto or manual");
            return Err(ApiError::bad_request("invalid_query", text));
        }
    };
    core.projections.rebuild_beside(&name, hold).await.map_err(refused)?;
    Ok(StatusCode::ACCEPTED)
}

async fn swap(core: Running, Path(name): Path<String>) -> ApiResult<StatusCode> {
    there_is(&core, &name)?;
    core.projections.swap(&name).await.map_err(refused)?;
    Ok(StatusCode::ACCEPTED)
}

async fn cancel(core: Running, Path(name): Path<String>) -> ApiResult<StatusCode> {
    there_is(&core, &name)?;
    core.projections.cancel_rebuild(&name).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
