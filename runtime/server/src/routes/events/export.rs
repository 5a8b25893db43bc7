//! Reads as JSON Lines and CSV, streamed page by page: neither the server nor a client that reads along holds all of it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use std::sync::Arc;
use tidewire_api::log::EventsQuery;

use super::query::{self, Window};
use crate::app::Core;
use crate::error::ApiResult;
use crate::tabular::{Columns, Format};
use crate::web::extract::accepts;

/// Events rendered at a time.
const STEP: usize = 500;

/// The form in which events are wanted other than as pages of JSON, by `format` or by the `Accept` header.
///
/// # Errors
/// A form or a column that is not known.
pub(super) fn wanted(query: &EventsQuery, headers: &HeaderMap) -> ApiResult<Option<Format>> {
    let csv = || {
        let columns = Columns::parse(query.columns.as_deref().unwrap_or(""));
        columns.map(Format::Csv).map_err(|text| query::bad("columns", query.columns.as_deref().unwrap_or(""), &text))
    };
    match query.format.as_deref() {
        Some("ndjson" | "jsonl") => Ok(Some(Format::JsonLines)),
        Some("csv") => csv().map(Some),
        Some("json" | "batch" | "") => Ok(None),
        Some(other) => Err(query::bad("format", other, "use json, batch, ndjson or csv")),
        None if accepts(headers, "application/x-ndjson") || accepts(headers, "application/jsonl") => {
            Ok(Some(Format::JsonLines))
        }
        None if accepts(headers, "text/csv") => csv().map(Some),
        None => Ok(None),
    }
}

/// Streams a window. It ends when the client goes away.
pub(super) fn answer(core: Arc<Core>, window: Window, format: Format) -> Response {
    let kind = format.content_type();
    let name = format!("attachment; filename=\"events.{}\"", format.extension());
    let head = stream::iter(format.head().map(|head| Ok::<_, std::io::Error>(Bytes::from(head))));
    let state = Some((core, window, Arc::new(format)));
    let rows = stream::unfold(state, async |state| {
        let (core, mut window, format) = state?;
        let (events, next) = match window.read_up_to(&core, STEP).await {
            Ok(page) => page,
            // The answer breaks off, so that nobody takes it for whole.
            Err(error) => return Some((Err(std::io::Error::other(error.detail)), None)),
        };
        let mut text = Vec::with_capacity(events.len() * 200);
        events.iter().for_each(|event| format.row(event, &mut text));
        let more = window.go_on(events.len(), next);
        Some((Ok(Bytes::from(text)), more.then_some((core, window, format))))
    });
    let mut response = Body::from_stream(head.chain(rows)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}
