//! Read models over HTTP, now and at a moment in the past.

use std::cmp::Ordering;
use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use tidewire_api::List;
use tidewire_api::log::{EntriesQuery, Projection, ProjectionEntry};
use tidewire_engine::projections::ProjectionStatus;
use tidewire_model::event::time::parse_rfc3339;
use tidewire_model::position::Position;
use tidewire_model::query::wildcard_matches;
use tidewire_model::value::to_json_value;
use tidewire_node_api::handles::{At, Entry, Projections as _};

use crate::app::Core;
use crate::auth::Permission;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Query, Running};
use crate::web::route::{Route, Routes};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Entries that are looked at when a list is filtered or sorted.
const SCAN_MAX: usize = 10_000;
/// Entries whose past is looked up in one request: each costs a look into history.
const PAST_MAX: usize = 100;
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
    routes.add(rebuild_route.status(202), rebuild);
}

fn public(status: ProjectionStatus) -> Projection {
    Projection {
        name: status.name,
        position: status.position.get(),
        lag: status.lag,
        parked: status.parked,
        building: status.building,
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
    let time = parse_rfc3339(text).or_else(|| text.strip_prefix('t')?.parse().ok());
    if let Some(time) = time {
        return Ok(Some(At::Time(time)));
    }
    let position = text.parse().map(At::Position);
    position.map(Some).map_err(|_| {
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
    if let Some(at) = at(&query)? {
        return past(&core, &name, at, limit).await;
    }
    if query.filter.is_none() && query.sort.is_none() {
        let mut page = core.projections.page(&name, "", query.cursor.as_deref(), limit + 1)?;
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|entry| entry.key.clone());
        return Ok(axum::Json(List { items: page.into_iter().map(public_entry).collect(), next }));
    }
    let all = core.projections.page(&name, "", None, SCAN_MAX)?;
    let mut all: Vec<ProjectionEntry> = all.into_iter().map(public_entry).collect();
    if let Some(filter) = &query.filter {
        let (path, pattern) = filter.split_once('=').ok_or_else(|| {
            ApiError::bad_request("invalid_query", format!("filter is '{filter}'; use key=text or value.path=text"))
        })?;
        all.retain(|entry| wildcard_matches(pattern, &text(&field(entry, path))));
    }
    if let Some(sort) = &query.sort {
        let (path, backwards) = sort.strip_prefix('-').map_or((sort.as_str(), false), |path| (path, true));
        all.sort_by(|a, b| {
            let order = compare(&field(a, path), &field(b, path));
            if backwards { order.reverse() } else { order }
        });
    }
    let start: usize = query.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let next = (start + limit < all.len()).then(|| (start + limit).to_string());
    Ok(axum::Json(List { items: all.into_iter().skip(start).take(limit).collect(), next }))
}

async fn past(core: &Core, name: &str, at: At, limit: usize) -> ApiResult<axum::Json<List<ProjectionEntry>>> {
    let keys = core.projections.page(name, "", None, PAST_MAX + 1)?;
    if keys.len() > PAST_MAX {
        let detail = format!("the past is shown for lists of up to {PAST_MAX} entries; ask for one key instead");
        return Err(ApiError::bad_request("too_many_entries", detail));
    }
    let mut items = Vec::new();
    for key in keys.into_iter().map(|entry| entry.key).take(limit) {
        items.extend(core.projections.get_at(name, &key, at).await?.map(public_entry));
    }
    Ok(axum::Json(List::whole(items)))
}

/// `key`, `time`, `position`, or a path into the value.
fn field(entry: &ProjectionEntry, path: &str) -> Value {
    match path {
        "key" => entry.key.as_str().into(),
        "time" => entry.time.into(),
        "position" => entry.position.into(),
        path => {
            let path = path.strip_prefix("value").unwrap_or(path);
            let mut parts = path.split('.').filter(|part| !part.is_empty());
            parts.try_fold(&entry.value, |value, part| value.get(part)).cloned().unwrap_or(Value::Null)
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => text(a).cmp(&text(b)),
    }
}

async fn rebuild(core: Running, Path(name): Path<String>) -> ApiResult<StatusCode> {
    if core.projections.status(&name)?.is_none() {
        return Err(unknown(&name));
    }
    core.projections.rebuild(&name)?;
    Ok(StatusCode::ACCEPTED)
}
