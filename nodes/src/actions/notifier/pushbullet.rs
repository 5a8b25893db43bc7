//! Pushbullet: <https://docs.pushbullet.com/>.
//!
//! A free account has 500 pushes a month; the next one is answered with HTTP 400 and `pushbullet_pro_required`.

use serde_json::{Map, Value as Json};
use tidewire_node_api::handles::{HttpRequest, HttpResponse};

use super::channel::{Channel, Notice, Target, Verdict, Wait, base, by_status, json_body, not_the_vendor, post_json};

pub(super) const CHANNEL: Channel = Channel {
    name: "pushbullet",
    request,
    classify,
    missing: |target| if target.token.trim().is_empty() { Some("token") } else { None },
    pace: None,
    monthly: Some(500),
};

pub(crate) fn request(target: &Target, notice: &Notice) -> HttpRequest {
    let mut body = Map::new();
    body.insert("type".into(), if notice.click.is_empty() { "note" } else { "link" }.into());
    body.insert("title".into(), notice.title.as_str().into());
    body.insert("body".into(), notice.message.as_str().into());
    if !notice.click.is_empty() {
        body.insert("url".into(), notice.click.as_str().into());
    }
    if !target.device.trim().is_empty() {
        body.insert("device_iden".into(), target.device.trim().into());
    }
    // A push that is sent again with the same guid appears once.
    body.insert("guid".into(), notice.id.as_str().into());
    let url = format!("{}/v2/pushes", base(target, "https://api.pushbullet.com"));
    // A blank at the end of a pasted token is the most frequent reason for "invalid token".
    post_json(url, &Json::Object(body), vec![("Access-Token".to_owned(), target.token.trim().to_owned())])
}

pub(crate) fn classify(response: &HttpResponse) -> Verdict {
    let body = json_body(response).unwrap_or_default();
    let error = body.get("error");
    let text = |value: Option<&Json>, key: &str| -> String {
        value.and_then(|value| value.get(key)).and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let used_up = response.header("x-ratelimit-remaining").and_then(|left| left.trim().parse::<i64>().ok()) == Some(0);
    if (200..300).contains(&response.status) {
        return match text(Some(&body), "iden").as_str() {
            "" => not_the_vendor(response, "Pushbullet"),
            iden => Verdict::Sent { provider_id: Some(iden.to_owned()), pause: reset(response).filter(|_| used_up) },
        };
    }
    let message = text(error, "message");
    let codes = [text(error, "code"), text(Some(&body), "error_code")];
    let has = |code: &str| codes.iter().any(|found| found == code);
    let verdict = by_status(response, &message);
    match verdict {
        Verdict::BadRequest(text) if has("pushbullet_pro_required") => Verdict::Throttled(text, Wait::NextMonth),
        // The code of this one was empty for years.
        Verdict::BadRequest(text) if has("invalid_access_token") || message.starts_with("Access token is missing") => {
            Verdict::Auth(text)
        }
        Verdict::Throttled(text, Wait::Blind) => Verdict::Throttled(text, reset(response).unwrap_or(Wait::Blind)),
        verdict => verdict,
    }
}

/// When the allowance is renewed: `X-Ratelimit-Reset`, in seconds since 1970.
fn reset(response: &HttpResponse) -> Option<Wait> {
    let seconds: i64 = response.header("x-ratelimit-reset")?.trim().parse().ok()?;
    Some(Wait::Until(seconds.checked_mul(1000)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::channel::test_kit::answer;
    use super::*;

    #[test]
    fn the_request_is_what_pushbullet_documents() {
        let notice = Notice { id: "01J".into(), title: "Dry".into(), message: "Soil 18 %".into(), ..Notice::default() };
        let request = request(&Target { token: "o.XYZ \n".into(), ..Target::default() }, &notice);
        assert_eq!(request.url, "https://api.pushbullet.com/v2/pushes");
        assert!(request.headers.contains(&("Access-Token".into(), "o.XYZ".into())));
        let body: Json = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body.to_string(), r#"{"type":"note","title":"Dry","body":"Soil 18 %","guid":"01J"}"#);
    }

    #[test]
    fn the_months_quota_is_no_bad_request() {
        let body = r#"{"error":{"code":"pushbullet_pro_required","type":"invalid_request",
            "message":"Pushbullet Pro is required to make this call.","cat":"🙀"},"error_code":"pushbullet_pro_required"}"#;
        let expected = "Pushbullet Pro is required to make this call. (HTTP 400)";
        assert_eq!(classify(&answer(400, &[], body)), Verdict::Throttled(expected.into(), Wait::NextMonth));
    }

    #[test]
    fn answers_are_understood() {
        let ok = r#"{"active":true,"iden":"ujpah72o0","type":"note","created":1412047948.579}"#;
        assert_eq!(
            classify(&answer(200, &[], ok)),
            Verdict::Sent { provider_id: Some("ujpah72o0".into()), pause: None }
        );
        let last = [("X-Ratelimit-Remaining", "0"), ("X-Ratelimit-Reset", "1432447070")];
        let Verdict::Sent { pause, .. } = classify(&answer(200, &last, ok)) else { panic!("sent") };
        assert_eq!(pause, Some(Wait::Until(1_432_447_070_000)));
        let old = r#"{"error":{"code":"","type":"invalid_request","message":"Access token is missing or invalid.","cat":"x"}}"#;
        assert!(matches!(classify(&answer(401, &[], old)), Verdict::Auth(_)));
        assert!(matches!(classify(&answer(400, &[], old)), Verdict::Auth(_)));
        let slow =
            r#"{"error":{"code":"ratelimited","message":"You have been ratelimited"},"error_code":"ratelimited"}"#;
        let Verdict::Throttled(_, wait) = classify(&answer(429, &last, slow)) else { panic!("throttled") };
        assert_eq!(wait, Wait::Until(1_432_447_070_000));
        let bad = r#"{"error":{"type":"invalid_request","message":"The param 'type' is missing.","cat":"x"}}"#;
        assert_eq!(
            classify(&answer(400, &[], bad)),
            Verdict::BadRequest("The param 'type' is missing. (HTTP 400)".into())
        );
        assert!(matches!(classify(&answer(200, &[], "<html>")), Verdict::Transient(_)));
    }
}
