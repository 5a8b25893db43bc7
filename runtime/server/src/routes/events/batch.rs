//! A page of events as a CloudEvents batch: a JSON array, and nothing around it.

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tidewire_api::log::EventsQuery;

use crate::web::extract::accepts;

pub(super) const BATCH: &str = "application/cloudevents-batch+json";

/// Whether somebody asks for a batch. Nobody gets one who does not: CloudEvents says so.
pub(super) fn is_wanted(query: &EventsQuery, headers: &HeaderMap) -> bool {
    query.format.as_deref().map_or_else(|| accepts(headers, BATCH), |format| format == "batch")
}

/// The batch. Where the next one is stands in the header `Link`.
pub(super) fn answer(events: Vec<Value>, next: Option<&str>, uri: &Uri) -> Response {
    let mut response = axum::Json(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(BATCH));
    let link = next.map(|next| HeaderValue::try_from(link(uri, next)));
    if let Some(Ok(link)) = link {
        headers.insert(header::LINK, link);
    }
    response
}

fn link(uri: &Uri, cursor: &str) -> String {
    let asked = uri.query().unwrap_or("").split('&');
    let kept: String =
        asked.filter(|part| !part.is_empty() && !part.starts_with("cursor=")).map(|part| format!("{part}&")).collect();
    format!("<{}?{kept}cursor={cursor}>; rel=\"next\"", uri.path())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_next_page_asks_for_the_same() {
        let text = |uri: &str| link(&uri.parse().unwrap(), "7");
        assert_eq!(text("/api/events"), "</api/events?cursor=7>; rel=\"next\"");
        assert_eq!(
            text("/api/events?limit=2&cursor=5&stream=a%20b"),
            "</api/events?limit=2&stream=a%20b&cursor=7>; rel=\"next\""
        );
    }
}
