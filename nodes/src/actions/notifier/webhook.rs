//! Webhook: any address that takes a request.
//!
//! Nothing is known of who answers: every 2xx counts as taken, and the status alone decides the rest.

use bytes::Bytes;
use serde_json::{Value as Json, json};
use tidewire_node_api::handles::{HttpRequest, HttpResponse};

use super::channel::{Channel, Notice, TIMEOUT, Target, Verdict, by_status, json_body, retry_after};

pub(super) const CHANNEL: Channel = Channel { name: "webhook", request, classify, missing, pace: None, monthly: None };

/// Stands for the token in the URL or in a header.
const PLACEHOLDER: &str = "{token}";

fn missing(target: &Target) -> Option<&'static str> {
    let wants = |text: &str| text.contains(PLACEHOLDER) && target.token.trim().is_empty();
    if url(target).is_empty() {
        Some("URL")
    } else if wants(&target.url) || target.headers.iter().any(|(_, value)| wants(value)) {
        Some("token")
    } else {
        None
    }
}

fn url(target: &Target) -> &str {
    match target.url.trim() {
        "" => target.base_url.trim(),
        url => url,
    }
}

pub(crate) fn request(target: &Target, notice: &Notice) -> HttpRequest {
    let token = target.token.trim();
    let body = match notice.body.is_empty() {
        true => json!({"id": notice.id, "title": notice.title, "message": notice.message}).to_string(),
        false => notice.body.clone(),
    };
    let placed =
        url(target).contains(PLACEHOLDER) || target.headers.iter().any(|(_, value)| value.contains(PLACEHOLDER));
    let mut headers: Vec<(String, String)> =
        target.headers.iter().map(|(name, value)| (name.clone(), value.replace(PLACEHOLDER, token))).collect();
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if !has(&headers, "content-type") {
        let kind = if serde_json::from_str::<Json>(&body).is_ok() { "application/json" } else { "text/plain" };
        headers.push(("Content-Type".to_owned(), format!("{kind}; charset=utf-8")));
    }
    if !token.is_empty() && !placed && !has(&headers, "authorization") {
        headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }
    // Receivers that know the header take a repetition once.
    if !has(&headers, "idempotency-key") {
        headers.push(("Idempotency-Key".to_owned(), notice.id.clone()));
    }
    let method = if target.method.trim().is_empty() { "POST" } else { target.method.trim() };
    let body = if method.eq_ignore_ascii_case("GET") { Bytes::new() } else { Bytes::from(body) };
    HttpRequest {
        method: method.to_owned(),
        url: url(target).replace(PLACEHOLDER, token),
        headers,
        body,
        timeout: TIMEOUT,
    }
}

pub(crate) fn classify(response: &HttpResponse) -> Verdict {
    let text = match json_body(response) {
        Some(Json::Object(body)) => ["message", "error", "detail", "description", "title"]
            .iter()
            .find_map(|key| body.get(*key).and_then(Json::as_str))
            .unwrap_or_default()
            .to_owned(),
        // A page made for people says nothing in one line.
        _ if response.body.starts_with(b"<") => String::new(),
        _ => String::from_utf8_lossy(&response.body).into_owned(),
    };
    match (by_status(response, &text), response.header("retry-after")) {
        // Some say when they are back although the fault is theirs.
        (Verdict::Transient(text), Some(_)) => Verdict::Throttled(text, retry_after(response)),
        (verdict, _) => verdict,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::channel::Wait;
    use super::super::channel::test_kit::answer;
    use super::*;

    fn notice() -> Notice {
        Notice { id: "01J".into(), title: "Dry".into(), message: "Soil 18 %".into(), ..Notice::default() }
    }

    #[test]
    fn the_usual_body_names_title_and_message() {
        let request =
            request(&Target { url: "https://h/x".into(), token: "t1".into(), ..Target::default() }, &notice());
        assert_eq!(&request.body[..], br#"{"id":"01J","title":"Dry","message":"Soil 18 %"}"#);
        assert!(request.headers.contains(&("Authorization".into(), "Bearer t1".into())));
        assert!(request.headers.contains(&("Content-Type".into(), "application/json; charset=utf-8".into())));
        assert!(request.headers.contains(&("Idempotency-Key".into(), "01J".into())));
    }

    #[test]
    fn the_token_goes_where_the_address_has_its_place() {
        let target =
            Target { url: "https://h/{token}/x".into(), token: "t1".into(), method: "put".into(), ..Target::default() };
        let request = request(&target, &Notice { body: "plain".into(), ..notice() });
        assert_eq!((request.method.as_str(), request.url.as_str()), ("put", "https://h/t1/x"));
        assert!(!request.headers.iter().any(|(name, _)| name == "Authorization"));
        assert!(request.headers.contains(&("Content-Type".into(), "text/plain; charset=utf-8".into())));
        assert_eq!(missing(&Target { token: String::new(), ..target }), Some("token"));
        assert_eq!(missing(&Target::default()), Some("URL"));
    }

    #[test]
    fn any_answer_of_2xx_is_taken_and_others_show_what_they_say() {
        assert!(matches!(classify(&answer(204, &[], "")), Verdict::Sent { .. }));
        assert_eq!(classify(&answer(404, &[], "no_service")), Verdict::BadRequest("no_service (HTTP 404)".into()));
        let busy = answer(503, &[("Retry-After", "30")], "<html>");
        assert_eq!(classify(&busy), Verdict::Throttled("HTTP 503".into(), Wait::For(30_000)));
    }
}
