//! `GET /api/things/{id}/history`: what a chart needs, in one request.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use tidewire_api::thing::{HistoryAnswer, HistoryBucket, HistoryQuery};
use tidewire_engine::{Clock as _, SystemClock};
use tidewire_model::event::time::{format_rfc3339, parse_time};

use crate::error::{ApiError, ApiResult};
use crate::history::{Asked, Bucket};
use crate::web::extract::{Path, Query, Running, accepts};

const DAY: i64 = 86_400_000;
const POINTS: i64 = 300;

fn invalid(text: String) -> ApiError {
    ApiError::bad_request("invalid_query", text)
}

fn time(name: &str, text: Option<&str>, otherwise: i64) -> ApiResult<i64> {
    let Some(text) = text else { return Ok(otherwise) };
    parse_time(text)
        .ok_or_else(|| invalid(format!("{name} is '{text}'; use 2026-03-14T15:09:26Z or milliseconds since 1970")))
}

fn bucket(bucket: &Bucket) -> HistoryBucket {
    HistoryBucket {
        time: bucket.time,
        count: bucket.count,
        min: bucket.min,
        max: bucket.max,
        mean: bucket.mean(),
        last: bucket.last,
    }
}

/// Whether a table is wanted.
fn wants_csv(query: &HistoryQuery, headers: &HeaderMap) -> ApiResult<bool> {
    match query.format.as_deref() {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(other) => Err(invalid(format!("format is '{other}'; use json or csv"))),
        None => Ok(accepts(headers, "text/csv")),
    }
}

fn csv(items: &[HistoryBucket]) -> String {
    let mut out = "time,count,min,max,mean,last\n".to_owned();
    for item in items {
        let time = format_rfc3339(item.time);
        out.push_str(&format!("{time},{},{},{},{},{}\n", item.count, item.min, item.max, item.mean, item.last));
    }
    out
}

pub(super) async fn history(
    core: Running,
    headers: HeaderMap,
    Path(thing): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> ApiResult<Response> {
    let now = SystemClock.now_ms();
    let to = time("to", query.to.as_deref(), now)?;
    let from = time("from", query.from.as_deref(), to.saturating_sub(DAY))?;
    if from >= to {
        return Err(invalid("from has to be before to".to_owned()));
    }
    if query.step.is_some_and(|step| step < 1) || query.points.is_some_and(|points| points < 1) {
        return Err(invalid("step is a number of seconds and points a number of buckets, both from 1 on".to_owned()));
    }
    let as_csv = wants_csv(&query, &headers)?;
    let properties = core.history.properties(&thing).await?;
    if properties.is_empty() {
        return Err(ApiError::not_found(format!("no numbers of a thing \"{thing}\" are known")));
    }
    let asked = Asked { from, to, step: query.step, points: query.points.unwrap_or(POINTS) };
    let mut answer = HistoryAnswer {
        thing,
        property: query.property.clone(),
        properties,
        from,
        to,
        step: 0,
        resolution: 0,
        items: Vec::new(),
    };
    if let Some(property) = &query.property {
        if !answer.properties.contains(property) {
            let text = format!(
                "\"{}\" has no numeric property \"{property}\"; it has: {}",
                answer.thing,
                answer.properties.join(", ")
            );
            return Err(ApiError::not_found(text));
        }
        let range = core.history.read(&answer.thing, property, asked, now).await?;
        answer.step = range.step;
        answer.resolution = range.resolution.bucket() / 1_000;
        answer.items = range.buckets.iter().map(bucket).collect();
    }
    if as_csv {
        return Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&answer.items)).into_response());
    }
    Ok(axum::Json(answer).into_response())
}
