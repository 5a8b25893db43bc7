//! One event in the form that is asked for: plain JSON, or CloudEvents in structured or binary mode.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tidewire_api::log::EventQuery;
use tidewire_model::event::{Body as EventBody, Event};

use super::{query, to_json};
use crate::error::ApiResult;
use crate::web::extract::accepts;

const STRUCTURED: &str = "application/cloudevents+json";

/// # Errors
/// A mode that is not known.
pub(super) fn answer(event: &Event, query: &EventQuery, headers: &HeaderMap) -> ApiResult<Response> {
    match query.mode.as_deref() {
        Some("binary") if event.body == EventBody::Whole => Ok(binary(event)),
        Some("structured" | "binary") => Ok(structured(event)),
        None if accepts(headers, STRUCTURED) => Ok(structured(event)),
        None | Some("") => Ok(axum::Json(to_json(event)).into_response()),
        Some(other) => Err(query::bad("mode", other, "use structured or binary")),
    }
}

fn structured(event: &Event) -> Response {
    let mut response = axum::Json(to_json(event)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(STRUCTURED));
    response
}

/// Attributes in `ce-` headers, the data as the body.
fn binary(event: &Event) -> Response {
    let mut response = Body::from(event.data.clone()).into_response();
    let headers = response.headers_mut();
    let attributes = to_json(event);
    for (name, value) in attributes.as_object().into_iter().flatten() {
        if matches!(name.as_str(), "data" | "data_base64" | "datacontenttype") {
            continue;
        }
        let text = match value {
            Value::String(text) => encode(text),
            other => other.to_string(),
        };
        let name = HeaderName::try_from(format!("ce-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(text)) {
            headers.insert(name, value);
        }
    }
    let kind = HeaderValue::try_from(event.data_content_type.as_str());
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    // Whatever somebody stored is not shown as a page of this server.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    response
}

/// Percent-encodes as CloudEvents says for HTTP headers.
fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_carry_any_text() {
        assert_eq!(encode("thing-ä b%\""), "thing-%C3%A4%20b%25%22");
    }
}
