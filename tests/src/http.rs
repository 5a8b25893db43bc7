//! A small HTTP client for tests: JSON in, JSON out, and a check of every error's form.

use std::sync::OnceLock;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value as Json;

/// Talks to one server, as one principal.
#[derive(Clone)]
pub struct Http {
    base: String,
    headers: HeaderMap,
}

fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // Tests use plain HTTP, but the client library wants a provider to exist. An error means there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // No pool: every test has a Tokio runtime of its own, and a kept connection would belong to one that has ended.
        Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("the client has no options that can fail")
    })
}

impl Http {
    /// A client without credentials, such as a browser that has just been opened.
    pub fn new(base: impl Into<String>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("x-requested-by", HeaderValue::from_static("tidewire"));
        Http { base: base.into(), headers }
    }

    /// The same with one more header on each request.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    /// The same without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The same with a bearer token, as tools send it.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The same with a session cookie, as browsers send it.
    #[must_use]
    pub fn cookie(self, cookie: &str) -> Self {
        self.with("cookie", cookie)
    }

    /// The address without a path.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends one request; `body` goes as JSON. `None` when nobody answers.
    pub async fn try_send(&self, method: Method, path: &str, body: Option<&Json>) -> Option<Answer> {
        let mut request = client().request(method, format!("{}{path}", self.base)).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.body(body.to_string());
            if !self.headers.contains_key(CONTENT_TYPE) {
                request = request.header(CONTENT_TYPE, "application/json");
            }
        }
        Answer::of(request.send().await.ok()?, path).await
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        let request = client().request(method, format!("{}{path}", self.base)).headers(self.headers.clone()).body(body);
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        Answer::of(answer, path).await.unwrap_or_else(|| panic!("{path}: the answer broke off"))
    }

    /// Opens a stream and gives the answer before its body.
    pub async fn open(&self, path: &str) -> reqwest::Response {
        client().get(format!("{}{path}", self.base)).headers(self.headers.clone()).send().await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Json>) -> Answer {
        self.try_send(method, path, body).await.unwrap_or_else(|| panic!("nobody answered {path}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Json) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Json) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Body of a `GET` that must succeed.
    pub async fn json(&self, path: &str) -> Json {
        self.get(path).await.expect(200).json()
    }

    /// Every item of a list, page by page.
    pub async fn items(&self, path: &str) -> Vec<Json> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(cursor) => self.json(&format!("{path}{join}cursor={}", encode(cursor))).await,
                None => self.json(path).await,
            };
            items.extend(page["items"].as_array().unwrap_or_else(|| panic!("{path}: no items in {page}")).clone());
            match &page["next"] {
                Json::String(next) => cursor = Some(next.clone()),
                Json::Number(next) => cursor = Some(next.to_string()),
                _ => return items,
            }
        }
    }
}

/// Percent-encodes what is not plain in a query or a path segment.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    path: String,
}

impl Answer {
    async fn of(response: reqwest::Response, path: &str) -> Option<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        Some(Answer { status, headers, body: response.bytes().await.ok()?.to_vec(), path: path.to_owned() })
    }

    /// The same answer, which must have this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.path, self.text());
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.path, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// An error as RFC 9457 has it, with the status; gives its stable code.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.path, self.text());
        assert_eq!(
            self.header("content-type").map(|kind| kind.split(';').next().unwrap_or_default().to_owned()).as_deref(),
            Some("application/problem+json"),
            "{}: {}",
            self.path,
            self.text()
        );
        let body = self.json();
        assert_eq!(body["status"], status, "{}: {body}", self.path);
        assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{}: {body}", self.path);
        body["code"].as_str().unwrap_or_else(|| panic!("{}: no code in {body}", self.path)).to_owned()
    }

    /// The cookies it sets, as a browser would send them back.
    pub fn cookies(&self) -> String {
        let cookies = self.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
    }
}
