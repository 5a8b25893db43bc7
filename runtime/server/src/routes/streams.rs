//! Streams: names, versions, last change.

use axum::response::IntoResponse;
use tidewire_api::List;
use tidewire_api::log::{Stream, StreamsQuery};
use tidewire_log::{EventLog as _, StreamList, StreamMark, StreamOrder};
use tidewire_model::event::StreamName;
use tidewire_model::query::StreamHead;

use super::events::tag;
use crate::auth::Permission;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Path, Query, Running};
use crate::web::route::{Route, Routes};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

pub fn register(routes: &mut Routes) {
    let read = Permission::EventsRead;
    let list_route = Route::get("/api/streams", read, "Streams with their version and last change");
    routes.add(list_route.query::<StreamsQuery>().answers::<List<Stream>>(), list);
    routes.add(Route::get("/api/streams/{name}", read, "One stream").answers::<Stream>(), one);
}

fn public(head: &StreamHead) -> Stream {
    Stream {
        name: head.stream.to_string(),
        version: head.version,
        position: head.position.get(),
        time: head.recorded_time,
    }
}

/// The order that `sort` names.
fn order(sort: Option<&str>) -> ApiResult<StreamOrder> {
    Ok(match sort.unwrap_or("name") {
        "name" => StreamOrder::Name,
        "position" | "time" => StreamOrder::Oldest,
        "-position" | "-time" => StreamOrder::Newest,
        "version" => StreamOrder::Shortest,
        "-version" => StreamOrder::Longest,
        other => {
            let text = format!("sort is '{other}'; use name, position, time or version, with - in front from the end");
            return Err(ApiError::bad_request("invalid_query", text));
        }
    })
}

/// A cursor: `version.position.name`.
fn mark(cursor: &str) -> Option<StreamMark> {
    let mut parts = cursor.splitn(3, '.');
    let version = parts.next()?.parse().ok()?;
    let position = parts.next()?.parse().ok()?;
    Some(StreamMark { version, position, name: parts.next()?.into() })
}

async fn list(core: Running, Query(query): Query<StreamsQuery>) -> ApiResult<axum::Json<List<Stream>>> {
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let after = query.cursor.as_deref().map(|cursor| {
        let text = format!("cursor is '{cursor}'; give back `next` of the page before");
        mark(cursor).ok_or_else(|| ApiError::bad_request("invalid_query", text))
    });
    let wanted = StreamList {
        pattern: query.pattern.as_deref().map(Into::into),
        order: order(query.sort.as_deref())?,
        after: after.transpose()?,
        limit: limit + 1,
    };
    let mut heads = core.log.streams(wanted).await?;
    let more = heads.len() > limit;
    heads.truncate(limit);
    let next = heads.last().filter(|_| more);
    let next = next.map(|head| format!("{}.{}.{}", head.version, head.position, head.stream));
    Ok(axum::Json(List { items: heads.iter().map(public).collect(), next }))
}

async fn one(core: Running, Path(name): Path<String>) -> ApiResult<impl IntoResponse> {
    let unknown = || ApiError::not_found(format!("there is no stream '{name}'"));
    let stream = StreamName::reserved(name.as_str()).map_err(|_| unknown())?;
    let heads = core.log.heads(vec![stream]).await?;
    let head = heads.first().filter(|head| head.version > 0).ok_or_else(unknown)?;
    Ok((tag(head.version), axum::Json(public(head))))
}
