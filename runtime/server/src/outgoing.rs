//! Outgoing HTTP of nodes: one client for all of them, whose connections are filtered by address.
//!
//! Redirects are never followed and no proxy is used: both would lead around the filter, and a redirect could carry a
//! secret to another host. No error text holds a URL, a header or a body.

mod policy;

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use tidewire_node_api::handles::{BoxFuture, HandleError, Http, HttpRequest, HttpResponse};

pub use policy::{Policy, Refusal};

/// Largest body in either direction, in bytes: notifications and their answers are small.
const BODY_MAX: usize = 1024 * 1024;

/// Longest time for a whole exchange, whatever a node asks for.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);

/// Time for name resolution, connection and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The [`Http`] handle. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Outgoing {
    client: reqwest::Client,
    policy: Policy,
}

impl Outgoing {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(policy: Policy) -> Result<Self, String> {
        // Fails when a provider is in place already, which is then ours: ring is the only one in this binary.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(FilteredDns(policy))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(60))
            .user_agent(concat!("tidewire/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("cannot set up outgoing HTTP: {}", reason(&error)))?;
        Ok(Outgoing { client, policy })
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, HandleError> {
        let url = checked_url(&request.url, self.policy)?;
        let host = host_of(&url);
        if request.body.len() > BODY_MAX {
            return Err(HandleError::new(format!("the request to {host} is larger than 1 MiB; send less")));
        }
        let method = Method::from_bytes(request.method.to_ascii_uppercase().as_bytes())
            .map_err(|_| HandleError::new("the HTTP method is not a valid word; use GET, POST or PUT"))?;
        let response = self
            .client
            .request(method, url)
            .headers(headers(&request.headers)?)
            .body(request.body)
            .timeout(request.timeout.min(TIMEOUT_MAX))
            .send()
            .await
            .map_err(|error| failure(&host, &error))?;
        read(response, &host).await
    }
}

impl Http for Outgoing {
    fn send(&self, request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>> {
        Box::pin(self.clone().exchange(request))
    }
}

async fn read(mut response: reqwest::Response, host: &str) -> Result<HttpResponse, HandleError> {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(host, &error))? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(HandleError::new(format!("the answer of {host} is larger than 1 MiB and was not read")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, headers, body: Bytes::from(body) })
}

/// The URL, if it may be asked. Addresses written as numbers are checked here, names when they are resolved.
fn checked_url(text: &str, policy: Policy) -> Result<Url, HandleError> {
    let url = Url::parse(text.trim())
        .map_err(|error| HandleError::new(format!("the URL is not valid ({error}); it should start with https://")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HandleError::new("the URL does not start with https:// or http://"));
    }
    let Some(host) = url.host_str() else { return Err(HandleError::new("the URL names no host")) };
    // The parser has read decimal, octal and short spellings of addresses into their plain form.
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    match literal.map(|ip| policy.check(ip, true)) {
        Some(Err(refusal)) => Err(HandleError::new(refusal.to_string())),
        _ => Ok(url),
    }
}

/// Host and port, for error texts: never the path or the user part, which may hold secrets.
fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "the host".to_owned(),
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, HandleError> {
    let mut map = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let key = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| HandleError::new(format!("\"{name}\" is not a valid header name")))?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| {
            HandleError::new(format!("the value of the header \"{name}\" has characters that HTTP forbids"))
        })?;
        // Keeps it out of debug output.
        value.set_sensitive(true);
        map.append(key, value);
    }
    Ok(map)
}

fn failure(host: &str, error: &reqwest::Error) -> HandleError {
    if let Some(refusal) = cause::<Refusal>(error) {
        return HandleError::new(refusal.to_string());
    }
    if error.is_timeout() {
        return HandleError::retryable(format!("{host} did not answer in time"));
    }
    if error.is_connect() {
        return HandleError::retryable(format!("cannot connect to {host}: {}", reason(error)));
    }
    if error.is_builder() {
        return HandleError::new(format!("the request to {host} cannot be made: {}", reason(error)));
    }
    HandleError::retryable(format!("the exchange with {host} broke off: {}", reason(error)))
}

/// The innermost reason: outer ones only say which step failed, and the outermost would show the URL.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if inner.is::<reqwest::Error>() { "unknown reason".to_owned() } else { inner.to_string() }
}

/// A cause of type `T` anywhere below an error, also inside `io::Error`, whose custom error is no `source`.
fn cause<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut here = Some(error);
    while let Some(error) = here {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let custom = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = custom.and_then(|custom| cause::<T>(custom)) {
            return Some(found);
        }
        here = error.source();
    }
    None
}

/// Resolves names with the system's resolver and leaves out what the policy forbids. What is left is what the
/// connection is made to, so an answer that changes afterwards changes nothing.
struct FilteredDns(Policy);

impl Resolve for FilteredDns {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
            let named = name == "localhost" || name.ends_with(".localhost");
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let mut refusal = None;
            let mut allowed = Vec::with_capacity(found.len());
            for address in found {
                match policy.check(address.ip(), named) {
                    Ok(()) => allowed.push(address),
                    Err(refused) => refusal = Some(refused),
                }
            }
            match (allowed.is_empty(), refusal) {
                (true, Some(refusal)) => Err(Box::new(refusal) as Box<dyn StdError + Send + Sync>),
                (true, None) => Err("the name has no address".into()),
                (false, _) => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests;
