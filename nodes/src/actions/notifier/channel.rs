//! What a channel is: how a notice becomes its vendor's request, and what the vendor's answer means.
//!
//! A channel is a file with two pure functions and a line in [`Channel::of`]. Nothing here sends anything.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value as Json;
use tidewire_node_api::handles::{HttpRequest, HttpResponse};

use super::config::ChannelName;
use super::{ntfy, pushbullet, webhook};
use crate::actions::cut;

/// Longest time to wait for a vendor.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// Longest vendor text that is kept, in characters.
const TEXT_MAX: usize = 300;

/// What is to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The entry's id, which vendors that know such a thing use to recognise a repetition.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) message: String,
    /// Opened when the notification is tapped.
    pub(crate) click: String,
    /// Body of a webhook, when it is not the usual one.
    pub(crate) body: String,
}

/// Where and how, from the node's configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    pub(crate) base_url: String,
    pub(crate) token: String,
    pub(crate) topic: String,
    pub(crate) priority: u8,
    pub(crate) tags: Vec<String>,
    pub(crate) device: String,
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// How long to wait before the vendor may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The vendor does not say: back off.
    Blind,
    /// Milliseconds from now.
    For(i64),
    /// Milliseconds since 1970.
    Until(i64),
    /// Until the next day begins, in UTC.
    NextDay,
    /// Until the next month begins, in UTC.
    NextMonth,
}

/// What a vendor's answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken. `pause`: the allowance is used up until then.
    Sent { provider_id: Option<String>, pause: Option<Wait> },
    /// This notice will never be taken.
    BadRequest(String),
    /// The token is not accepted: nothing will be taken until it changes.
    Auth(String),
    /// Too many: later.
    Throttled(String, Wait),
    /// Something is broken for now.
    Transient(String),
}

/// Requests the vendor takes in a row, and the time after which one more is free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) burst: u32,
    pub(crate) every_ms: i64,
}

/// A way to reach people.
pub(crate) struct Channel {
    pub(crate) name: &'static str,
    pub(crate) request: fn(&Target, &Notice) -> HttpRequest,
    pub(crate) classify: fn(&HttpResponse) -> Verdict,
    /// What is still to be configured, such as `token`.
    pub(crate) missing: fn(&Target) -> Option<&'static str>,
    pub(crate) pace: Option<Pace>,
    /// Notifications a month without a paid account.
    pub(crate) monthly: Option<u32>,
}

impl Channel {
    pub(crate) fn of(name: ChannelName) -> &'static Channel {
        match name {
            ChannelName::Ntfy => &ntfy::CHANNEL,
            ChannelName::Pushbullet => &pushbullet::CHANNEL,
            ChannelName::Webhook => &webhook::CHANNEL,
        }
    }
}

pub(super) fn post_json(url: String, body: &Json, headers: Vec<(String, String)>) -> HttpRequest {
    let mut all = vec![("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned())];
    all.extend(headers);
    let body = Bytes::from(body.to_string());
    HttpRequest { method: "POST".to_owned(), url, headers: all, body, timeout: TIMEOUT }
}

/// The base URL, or the vendor's own, without a slash at the end.
pub(super) fn base<'t>(target: &'t Target, usual: &'t str) -> &'t str {
    let base = target.base_url.trim();
    (if base.is_empty() { usual } else { base }).trim_end_matches('/')
}

/// The body as JSON, if it is JSON.
pub(super) fn json_body(response: &HttpResponse) -> Option<Json> {
    serde_json::from_slice(&response.body).ok()
}

/// The verdict that the status alone gives, with `text` from the vendor.
pub(super) fn by_status(response: &HttpResponse, text: &str) -> Verdict {
    let text = match text.trim() {
        "" => format!("HTTP {}", response.status),
        text => format!("{} (HTTP {})", cut(text, TEXT_MAX), response.status),
    };
    match response.status {
        200..=299 => Verdict::Sent { provider_id: None, pause: None },
        300..=399 => Verdict::BadRequest(format!("{text}: the address redirects elsewhere; enter the final one")),
        401 | 403 => Verdict::Auth(text),
        429 => Verdict::Throttled(text, retry_after(response)),
        400 | 404..=407 | 409..=424 | 426..=499 => Verdict::BadRequest(text),
        _ => Verdict::Transient(text),
    }
}

/// A 2xx answer that is not what the vendor answers: a portal or a proxy stands in between, or the address is another's.
pub(super) fn not_the_vendor(response: &HttpResponse, vendor: &str) -> Verdict {
    Verdict::Transient(format!(
        "the address answers, but not as {vendor} does (HTTP {}): check the address, and whether a proxy or a login page \
         stands in between",
        response.status
    ))
}

/// `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(response: &HttpResponse) -> Wait {
    let Some(text) = response.header("retry-after").map(str::trim) else { return Wait::Blind };
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| (0.0..1.0e7).contains(seconds)) {
        return Wait::For((seconds * 1000.0).ceil() as i64);
    }
    match jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text) {
        Ok(time) => Wait::Until(time.as_millisecond()),
        Err(_) => Wait::Blind,
    }
}

/// At most `max` bytes, whole characters.
pub(super) fn cut_bytes(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Scheme and host of a URL: all of it that may be shown, since paths, queries and user parts hold secrets.
pub(crate) fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = if rest.len() > authority.len() + 1 { "/…" } else { "/" };
    format!("{scheme}://{host}{path}")
}

/// Takes secrets out of a text that came from outside.
pub(crate) fn scrubbed(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= 4) {
        text = text.replace(secret, "***");
    }
    text
}

#[cfg(test)]
pub(super) mod test_kit {
    use super::*;

    pub(in super::super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> HttpResponse {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpResponse { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::test_kit::answer;
    use super::*;

    #[test]
    fn the_status_tells_whether_trying_again_makes_sense() {
        for status in [400, 404, 405, 413, 422, 410, 302] {
            assert!(matches!(by_status(&answer(status, &[], ""), ""), Verdict::BadRequest(_)), "{status}");
        }
        for status in [500, 502, 503, 504, 408, 425] {
            assert!(matches!(by_status(&answer(status, &[], ""), ""), Verdict::Transient(_)), "{status}");
        }
        assert_eq!(by_status(&answer(401, &[], ""), "bad token"), Verdict::Auth("bad token (HTTP 401)".into()));
        let slow = by_status(&answer(429, &[("Retry-After", "64.57")], ""), "slow down");
        assert_eq!(slow, Verdict::Throttled("slow down (HTTP 429)".into(), Wait::For(64_570)));
        let dated = answer(429, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], "");
        assert_eq!(retry_after(&dated), Wait::Until(1_445_412_480_000));
    }

    #[test]
    fn secrets_do_not_come_through() {
        assert_eq!(redacted("https://u:p@hooks.example.org:8443/T0/B0/XX?sig=1"), "https://hooks.example.org:8443/…");
        assert_eq!(redacted("https://ntfy.sh/"), "https://ntfy.sh/");
        assert_eq!(scrubbed("token o.ABCDEF is invalid", &["o.ABCDEF", ""]), "token *** is invalid");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut_bytes("aé", 2), "a");
        assert_eq!(cut("äöü", 2), "äö…");
    }
}
