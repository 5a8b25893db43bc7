//! What stands in front of every route: which hosts and origins may ask, who is asking, and the headers of each answer.
//!
//! It authenticates; whether a route may be used is decided beside the route, by [`check`].

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::auth::principal::{Principal, authorize};
use crate::auth::{Origin, Permission};
use crate::error::{ApiError, ApiResult};
use crate::settings::Settings;
use crate::web::client::{self, Peer};

/// Cookie of a session over plain HTTP on loopback, and over TLS.
pub const COOKIE: &str = "sid";
pub const SECURE_COOKIE: &str = "__Host-sid";

/// Header that a page of another origin cannot set without being asked about it first.
const REQUESTED_BY: &str = "x-requested-by";

/// Who is asking, and how that is known.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    pub principal: Option<Principal>,
    /// By a cookie, which browsers send along without being told to.
    pub by_cookie: bool,
    /// The session's or token's secret.
    pub secret: Option<String>,
}

/// Runs in front of every route.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map_or(Peer::Socket(false), |info| info.0);
    let response = match admit(&app, peer, &mut request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    app.http.count(response.status(), began.elapsed());
    with_headers(response, app.settings.behind_proxy)
}

fn admit(app: &App, peer: Peer, request: &mut Request) -> ApiResult<()> {
    let headers = request.headers();
    if let Peer::Network(_) = peer {
        check_host(&app.settings, request)?;
        check_origin(request)?;
    }
    let caller = identify(app, peer, headers, request.uri().query());
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("").to_owned();
    let address = client::address(peer, headers, app.settings.behind_proxy);
    request.extensions_mut().insert(Origin { address, agent });
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The decision beside each route.
///
/// # Errors
/// Nobody is signed in, who is signed in may not, or a browser may have been tricked into asking.
pub fn check(permission: Permission, request: &Request) -> ApiResult<()> {
    let nobody = Caller::default();
    let caller = request.extensions().get::<Caller>().unwrap_or(&nobody);
    authorize(caller.principal.as_ref(), permission)?;
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && caller.by_cookie && !request.headers().contains_key(REQUESTED_BY) {
        let text = "a change needs the header X-Requested-By: tidewire";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "header_missing", text));
    }
    Ok(())
}

fn identify(app: &App, peer: Peer, headers: &HeaderMap, query: Option<&str>) -> Caller {
    let known = |principal| Caller { principal: Some(principal), ..Caller::default() };
    match peer {
        Peer::Socket(true) => return known(Principal::local()),
        Peer::Socket(false) => return Caller::default(),
        Peer::Network(_) => {}
    }
    if !app.auth.enabled {
        return known(Principal::anybody());
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim).or_else(|| in_query(query));
    let (secret, by_cookie) = match bearer {
        Some(secret) => (secret.to_owned(), false),
        None => match cookie(headers) {
            Some(secret) => (secret, true),
            None => return Caller::default(),
        },
    };
    let principal = app.auth.by_secret(&secret, app.now_ms());
    Caller { principal, by_cookie, secret: Some(secret) }
}

/// `?access_token=`, which Node-RED's tools use for sockets.
fn in_query(query: Option<&str>) -> Option<&str> {
    query?.split('&').find_map(|pair| pair.strip_prefix("access_token=")).filter(|token| !token.is_empty())
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|value| value.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        matches!(name, COOKIE | SECURE_COOKIE).then(|| value.to_owned())
    })
}

/// A name that an attacker's DNS could point here is refused; addresses and loopback names cannot be pointed.
fn check_host(settings: &Settings, request: &Request) -> ApiResult<()> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().host()).unwrap_or("");
    if host_allowed(host, &settings.allow_hosts) {
        return Ok(());
    }
    let text = "this host name is not known here; use an address or localhost, or add it with --allow-host NAME";
    Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", text))
}

fn host_allowed(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|allowed| name.eq_ignore_ascii_case(allowed))
}

/// Changes and sockets are for pages of this origin, and for programs, which send no origin.
fn check_origin(request: &Request) -> ApiResult<()> {
    let headers = request.headers();
    let upgrade = headers.get(header::UPGRADE).is_some();
    if !upgrade && matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let refuse = || {
        let text = "the request comes from a page of another origin; open this server's own page instead";
        Err(ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", text))
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("")) {
        Some(origin) => {
            let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) { Ok(()) } else { refuse() }
        }
        None => match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => refuse(),
        },
    }
}

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                   connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                   require-trusted-types-for 'script'";

const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), usb=(), payment=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

fn with_headers(mut response: Response, behind_proxy: bool) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if behind_proxy {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// The cookie that opens (or, without a secret, ends) a session.
pub fn session_cookie(secret: Option<&str>, secure: bool) -> HeaderValue {
    let (name, flag) = if secure { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
    let (value, age) = match secret {
        Some(secret) => (secret, crate::auth::sessions::ABSOLUTE_MS / 1000),
        None => ("", 0),
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{flag}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_that_dns_could_point_here_are_refused() {
        let names = ["tide.example.org".to_owned()];
        for good in ["127.0.0.1:1880", "localhost", "LOCALHOST:1", "[::1]:1880", "192.168.1.5", "Tide.example.org:443"]
        {
            assert!(host_allowed(good, &names), "{good}");
        }
        for bad in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[evil]"] {
            assert!(!host_allowed(bad, &names), "{bad}");
        }
    }

    fn request(method: Method, headers: &[(&str, &str)]) -> Request {
        let mut builder = axum::http::Request::builder().method(method).uri("/flows");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(axum::body::Body::empty()).unwrap()
    }

    #[test]
    fn pages_of_other_origins_cannot_change_anything_or_open_sockets() {
        let own = ("origin", "http://127.0.0.1:1880");
        let host = ("host", "127.0.0.1:1880");
        let ok = |method, headers: &[(&str, &str)]| check_origin(&request(method, headers)).is_ok();
        assert!(ok(Method::POST, &[host, own]));
        assert!(ok(Method::POST, &[host]), "programs send no origin");
        assert!(!ok(Method::POST, &[host, ("origin", "http://127.0.0.1:9999")]));
        assert!(!ok(Method::POST, &[host, ("origin", "null")]));
        assert!(!ok(Method::POST, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!ok(Method::GET, &[host, ("upgrade", "websocket"), ("origin", "http://evil.example")]));
        assert!(ok(Method::GET, &[host, ("upgrade", "websocket"), own]));
    }

    #[test]
    fn a_cookie_alone_does_not_authorise_a_change() {
        let caller = Caller { principal: Some(Principal::anybody()), by_cookie: true, secret: None };
        let mut plain = request(Method::POST, &[]);
        plain.extensions_mut().insert(caller.clone());
        assert_eq!(check(Permission::FlowsWrite, &plain).unwrap_err().code, "header_missing");
        let mut marked = request(Method::POST, &[(REQUESTED_BY, "tidewire")]);
        marked.extensions_mut().insert(caller);
        assert!(check(Permission::FlowsWrite, &marked).is_ok());
    }

    #[test]
    fn cookies_are_strict_and_secure_behind_tls() {
        let plain = session_cookie(Some("s"), false);
        assert_eq!(plain, "sid=s; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800");
        let secure = session_cookie(None, true);
        assert_eq!(secure, "__Host-sid=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure");
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; sid=secret"));
        assert_eq!(cookie(&headers).unwrap(), "secret");
    }
}
