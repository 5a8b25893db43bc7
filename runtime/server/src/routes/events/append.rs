//! Appends in the three modes of CloudEvents over HTTP.

use std::borrow::Cow;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tidewire_api::log::{AppendAnswer, AppendQuery, Refused, StoredEvent};
use tidewire_log::EventLog as _;
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::event::json::{Incoming, parse_incoming, parse_incoming_batch};
use tidewire_model::event::{EventId, StreamName};

use super::batch::BATCH;
use super::precondition;
use crate::app::App;
use crate::auth::Principal;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Query, Running, body};

/// Streams that only the server itself writes: who could add a deploy could run anything.
const OWN_CATEGORIES: [&str; 3] = ["flow", "user", "session"];

pub(super) async fn append(
    State(app): State<App>,
    actor: Principal,
    core: Running,
    Query(query): Query<AppendQuery>,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let body = body(request, &app).await?;
    let incoming = read(&headers, &body)?;
    if incoming.is_empty() {
        // A batch may be empty, says CloudEvents.
        return Ok(axum::Json(AppendAnswer { position: 0, items: Vec::new() }).into_response());
    }
    let name = actor.actor();
    app.ingest.take(&name, incoming.len(), Instant::now()).map_err(too_many)?;
    let key = idempotency_key(&headers)?;
    let mut requests = Vec::with_capacity(incoming.len());
    for (index, Incoming { stream, expected, mut event }) in (0..).zip(incoming) {
        check(&stream, &event.event_type)?;
        event.actor = Some(name.as_str().into());
        if let Some(key) = key.filter(|_| event.id.is_none()) {
            // The same key of the same sender gives the same ids: a repetition stores nothing twice.
            event.id = Some(EventId::derived(&EventId::from(key), &format!("idempotency-key/{name}"), 0, index));
        }
        requests.push(AppendRequest { stream, expected, events: vec![event] });
    }
    let asked = precondition::of(&headers)?;
    if let Some(expected) = asked {
        precondition::ask(&mut requests, expected)?;
    }
    let refused = |error| precondition::refused(error, asked.is_some());
    let names: Vec<(Option<String>, String)> = requests
        .iter()
        .map(|request| {
            let id = request.events.first().and_then(|event| event.id.as_ref()).map(ToString::to_string);
            (id, request.stream.to_string())
        })
        .collect();
    let stored: Vec<Result<Appended, AppendError>> = if query.atomic.unwrap_or(true) {
        core.log.append(requests).await.map_err(refused)?.into_iter().map(Ok).collect()
    } else {
        core.log.append_each(requests).await
    };
    if let [Err(error)] = stored.as_slice() {
        return Err(refused(error.clone()));
    }
    let items: Vec<StoredEvent> = names.into_iter().zip(stored).map(|(name, stored)| item(name, stored)).collect();
    let taken = || items.iter().filter(|item| item.error.is_none());
    let position = taken().map(|item| item.position).min().unwrap_or(0);
    let one_stream = items.windows(2).all(|pair| matches!(pair, [a, b] if a.stream == b.stream));
    let version = taken().map(|item| item.version).max();
    let answer = (StatusCode::CREATED, axum::Json(AppendAnswer { position, items }));
    Ok(match version.filter(|_| one_stream) {
        Some(version) => (precondition::tag(version), answer).into_response(),
        None => answer.into_response(),
    })
}

fn item((id, stream): (Option<String>, String), stored: Result<Appended, AppendError>) -> StoredEvent {
    match stored {
        Ok(stored) => StoredEvent {
            id,
            stream,
            position: stored.first_position.get(),
            version: stored.version,
            deduplicated: stored.deduplicated,
            error: None,
        },
        Err(error) => {
            let error = ApiError::from(error);
            let refused = Refused { code: error.code.to_owned(), detail: error.detail };
            StoredEvent { id, stream, position: 0, version: 0, deduplicated: false, error: Some(refused) }
        }
    }
}

/// The header `Idempotency-Key`: whoever repeats a request with it gets the first answer again.
fn idempotency_key(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(|key| key.trim_matches('"')).filter(|key| (1..=200).contains(&key.len()));
    let text = "the header Idempotency-Key has to be 1 to 200 printable ASCII characters";
    key.map(Some).ok_or_else(|| ApiError::bad_request("invalid_idempotency_key", text))
}

fn too_many(seconds: u64) -> ApiError {
    let detail = "more events come than --append-rate allows; send fewer, or later";
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_events", detail);
    ApiError { retry_after: Some(seconds), ..error }
}

fn check(stream: &StreamName, event_type: &str) -> ApiResult<()> {
    let refuse = |text: String| Err(ApiError::bad_request("reserved", text));
    if let Err(error) = StreamName::new(stream.as_str()) {
        return refuse(error.to_string());
    }
    if OWN_CATEGORIES.contains(&stream.category()) {
        return refuse(format!("the stream '{stream}' is written by the server only; choose another name"));
    }
    if event_type.starts_with("tidewire.") {
        return refuse(format!("the event type '{event_type}' is the server's own; choose one without tidewire."));
    }
    Ok(())
}

fn read(headers: &HeaderMap, body: &[u8]) -> ApiResult<Vec<Incoming>> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let bad = |error: &dyn std::fmt::Display| ApiError::bad_request("invalid_event", format!("no CloudEvent: {error}"));
    match essence.as_str() {
        BATCH => parse_incoming_batch(body).map_err(|error| bad(&error)),
        "application/cloudevents+json" => Ok(vec![parse_incoming(body).map_err(|error| bad(&error))?]),
        _ if headers.contains_key("ce-specversion") => {
            let text = binary(headers, kind, body)?;
            Ok(vec![parse_incoming(text.as_bytes()).map_err(|error| bad(&error))?])
        }
        "application/json" if body.trim_ascii_start().starts_with(b"[") => {
            parse_incoming_batch(body).map_err(|error| bad(&error))
        }
        "application/json" => Ok(vec![parse_incoming(body).map_err(|error| bad(&error))?]),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_cloudevents",
            "send application/cloudevents+json, application/cloudevents-batch+json, or any type with ce- headers",
        )),
    }
}

/// The structured form of a binary-mode event: attributes stand in `ce-` headers.
fn binary(headers: &HeaderMap, kind: &str, body: &[u8]) -> ApiResult<String> {
    let mut event = Map::new();
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix("ce-") else { continue };
        let refuse = |text: &str| ApiError::bad_request("invalid_event", format!("the header {header} {text}"));
        if matches!(name, "data" | "data_base64" | "datacontenttype") {
            return Err(refuse("cannot be; the data is the body, and its type is Content-Type"));
        }
        let text = value.to_str().map_err(|_| refuse("has characters that belong percent-encoded"))?;
        let text = decode(&unquote(text)).ok_or_else(|| refuse("is percent-encoded, but not as UTF-8"))?;
        if event.insert(name.to_owned(), typed(name, text)).is_some() {
            return Err(refuse("stands there twice"));
        }
    }
    if !kind.is_empty() {
        event.insert("datacontenttype".to_owned(), kind.into());
    }
    if !body.is_empty() {
        event.insert("data_base64".to_owned(), STANDARD.encode(body).into());
    }
    Ok(Value::Object(event).to_string())
}

/// Headers carry texts; two of our attributes are a number and a truth.
fn typed(name: &str, text: String) -> Value {
    let typed = match name {
        "rawqos" => text.parse::<u8>().ok().map(Value::from),
        "rawretain" => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    typed.unwrap_or(Value::String(text))
}

/// What stands in double quotes, as older senders write texts with spaces.
fn unquote(text: &str) -> Cow<'_, str> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else { return Cow::Borrowed(text) };
    let mut escaped = false;
    Cow::Owned(
        inner
            .chars()
            .filter(|c| {
                escaped = *c == '\\' && !escaped;
                !escaped
            })
            .collect(),
    )
}

/// Headers carry what is not ASCII percent-encoded; `None` when that is no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or("");
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn percent_encoded_headers_are_read() {
        for (text, read) in [
            ("thing-%C3%A4%20b", "thing-ä b"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            (r#""say \"hi\" %25\\""#, r#"say "hi" %\"#),
            (r#"a"b"#, r#"a"b"#),
        ] {
            assert_eq!(decode(&unquote(text)).as_deref(), Some(read), "{text}");
        }
        assert_eq!(decode("%C0%A0"), None, "an overlong space");
    }

    #[test]
    fn binary_mode_refuses_what_it_cannot_carry() {
        let text = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            binary(&headers, "text/plain", b"hi").map_err(|error| error.detail)
        };
        let good = text(&[("ce-type", "read"), ("ce-rawqos", "1"), ("ce-subject", "thing-%C3%A4")]).unwrap();
        assert!(good.contains(r#""rawqos":1"#) && good.contains("thing-ä") && good.contains(r#""data_base64":"aGk=""#));
        assert!(text(&[("ce-data", "x")]).unwrap_err().contains("body"));
        assert!(text(&[("ce-id", "a"), ("ce-id", "b")]).unwrap_err().contains("twice"));
    }

    #[test]
    fn nobody_writes_the_servers_own_streams_and_types() {
        let stream = |name: &str| StreamName::reserved(name).unwrap();
        assert!(check(&stream("thing-a"), "reading-reported").is_ok());
        for (name, event_type) in
            [("flow-main", "x"), ("user-anna", "x"), ("$x", "x"), ("thing-a", "tidewire.flows.deployed")]
        {
            assert_eq!(check(&stream(name), event_type).unwrap_err().code, "reserved", "{name} {event_type}");
        }
    }
}
