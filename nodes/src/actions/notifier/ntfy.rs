//! ntfy: <https://docs.ntfy.sh/publish/>, also self-hosted.
//!
//! It names no time to wait when it refuses for being asked too often, so its own allowance is kept here.

use base64::Engine;
use serde_json::{Map, Value as Json};
use tidewire_node_api::handles::{HttpRequest, HttpResponse};

use super::channel::{
    Channel, Notice, Pace, Target, Verdict, Wait, base, by_status, cut_bytes, json_body, not_the_vendor, post_json,
};

pub(super) const CHANNEL: Channel = Channel {
    name: "ntfy",
    request,
    classify,
    missing: |target| if target.topic.trim().is_empty() { Some("topic") } else { None },
    pace: Some(Pace { burst: 60, every_ms: 5_000 }),
    monthly: None,
};

/// Longer messages become attachments.
const MESSAGE_MAX: usize = 4_096;

pub(crate) fn request(target: &Target, notice: &Notice) -> HttpRequest {
    let mut body = Map::new();
    body.insert("topic".into(), target.topic.trim().into());
    if !notice.title.is_empty() {
        body.insert("title".into(), notice.title.as_str().into());
    }
    body.insert("message".into(), cut_bytes(&notice.message, MESSAGE_MAX).into());
    if (1..=5).contains(&target.priority) && target.priority != 3 {
        body.insert("priority".into(), target.priority.into());
    }
    if !target.tags.is_empty() {
        body.insert("tags".into(), target.tags.clone().into());
    }
    if !notice.click.is_empty() {
        body.insert("click".into(), notice.click.as_str().into());
    }
    let authorization = authorization(target.token.trim());
    // JSON goes to the root of the server, not to the topic.
    let url = format!("{}/", base(target, "https://ntfy.sh"));
    let headers = authorization.map(|value| ("Authorization".to_owned(), value));
    post_json(url, &Json::Object(body), headers.into_iter().collect())
}

/// An access token, or `user:password`. Public topics need neither.
fn authorization(token: &str) -> Option<String> {
    match token {
        "" => None,
        pair if pair.contains(':') => Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))),
        token => Some(format!("Bearer {token}")),
    }
}

pub(crate) fn classify(response: &HttpResponse) -> Verdict {
    let body = json_body(response);
    let text = |key: &str| body.as_ref().and_then(|body| body.get(key)).and_then(Json::as_str).unwrap_or_default();
    if (200..300).contains(&response.status) {
        return match text("id") {
            "" => not_the_vendor(response, "ntfy"),
            id => Verdict::Sent { provider_id: Some(id.to_owned()), pause: None },
        };
    }
    match (by_status(response, text("error")), body.as_ref().and_then(|body| body.get("code")).and_then(Json::as_i64)) {
        // The day's messages are used up: nothing else helps than another day.
        (Verdict::Throttled(text, Wait::Blind), Some(42908)) => Verdict::Throttled(text, Wait::NextDay),
        (verdict, _) => verdict,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::channel::test_kit::answer;
    use super::*;

    fn target() -> Target {
        Target { topic: " farm-7 ".into(), priority: 4, tags: vec!["warning".into()], ..Target::default() }
    }

    #[test]
    fn the_request_is_what_ntfy_documents() {
        let notice =
            Notice { title: "Dry".into(), message: "Soil 18 %".into(), click: "https://x".into(), ..Notice::default() };
        let request = request(&Target { token: " tk_1\n".into(), ..target() }, &notice);
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://ntfy.sh/"));
        assert!(request.headers.contains(&("Authorization".into(), "Bearer tk_1".into())));
        let body: Json = serde_json::from_slice(&request.body).unwrap();
        let expected = r#"{"topic":"farm-7","title":"Dry","message":"Soil 18 %","priority":4,"tags":["warning"],"click":"https://x"}"#;
        assert_eq!(body.to_string(), expected);
    }

    #[test]
    fn a_user_and_password_are_sent_as_such_and_no_token_as_nothing() {
        let with = |token: &str| request(&Target { token: token.into(), ..target() }, &Notice::default()).headers;
        assert!(with("phil:mypass").contains(&("Authorization".into(), "Basic cGhpbDpteXBhc3M=".into())));
        assert!(!with("").iter().any(|(name, _)| name == "Authorization"));
    }

    #[test]
    fn a_long_message_is_cut_by_bytes() {
        let notice = Notice { message: "é".repeat(4_000), ..Notice::default() };
        let body: Json = serde_json::from_slice(&request(&target(), &notice).body).unwrap();
        assert_eq!(body["message"].as_str().unwrap().len(), 4_096);
    }

    #[test]
    fn answers_are_understood() {
        let ok = answer(200, &[], r#"{"id":"abc","time":1735941000,"event":"message","topic":"farm-7"}"#);
        assert_eq!(classify(&ok), Verdict::Sent { provider_id: Some("abc".into()), pause: None });
        let limit = |code: u32| answer(429, &[], &format!(r#"{{"code":{code},"http":429,"error":"limit reached"}}"#));
        assert!(matches!(classify(&limit(42901)), Verdict::Throttled(_, Wait::Blind)));
        assert!(matches!(classify(&limit(42908)), Verdict::Throttled(_, Wait::NextDay)));
        let bad = answer(400, &[], r#"{"code":40009,"http":400,"error":"invalid request: topic invalid"}"#);
        assert_eq!(classify(&bad), Verdict::BadRequest("invalid request: topic invalid (HTTP 400)".into()));
        assert!(matches!(classify(&answer(403, &[], r#"{"code":40301,"error":"forbidden"}"#)), Verdict::Auth(_)));
        assert!(matches!(classify(&answer(200, &[], "<html>login</html>")), Verdict::Transient(_)));
        assert!(matches!(classify(&answer(502, &[], "<html>bad gateway</html>")), Verdict::Transient(_)));
    }
}
