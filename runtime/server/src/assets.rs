//! The editor's files and the demo flows, embedded in the binary. Debug builds read them from disk.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::error::ApiError;

// The build script refuses a release without the bundle, so a missing folder is a debug build's business only.
#[derive(RustEmbed)]
#[folder = "../../editor-ui/dist"]
#[allow_missing = true]
struct Editor;

#[derive(RustEmbed)]
#[folder = "../../flows"]
#[allow_missing = true]
struct Flows;

const MISSING: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Tidewire</title>\
                       <h1>The editor is not built</h1><p>Run <code>make ui</code>, then reload this page. The API \
                       works without it: <a href=/api/docs>/api/docs</a>.</html>";

/// Paths that belong to the API: what is not found there is an error, never the editor.
const API: [&str; 14] = [
    "/api/",
    "/flows",
    "/flow/",
    "/nodes",
    "/settings",
    "/inject/",
    "/debug/",
    "/credentials/",
    "/context/",
    "/auth/",
    "/comms",
    "/diagnostics",
    "/library/",
    "/icons/",
];

/// The demo that runs after the first start.
pub fn demo_flows() -> Option<String> {
    let file = Flows::get("greenhouse.json")?;
    String::from_utf8(file.data.into_owned()).ok()
}

/// Answers what no route does: a file of the editor, or the editor itself for its own paths.
pub async fn serve(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    if API.iter().any(|prefix| path.starts_with(prefix)) || !matches!(method, Method::GET | Method::HEAD) {
        return ApiError::not_found(format!("there is no {path} here; /api/docs lists what there is")).into_response();
    }
    let name = path.trim_start_matches('/');
    if let Some(file) = Editor::get(name).filter(|_| !name.is_empty()) {
        let hashed = name.starts_with("assets/");
        return answer(file, if hashed { "public, max-age=31536000, immutable" } else { "no-cache" });
    }
    if name.rsplit('/').next().is_some_and(|last| last.contains('.')) {
        return ApiError::not_found(format!("there is no file {path}")).into_response();
    }
    match Editor::get("index.html") {
        Some(file) => answer(file, "no-cache"),
        None => (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], MISSING).into_response(),
    }
}

fn answer(file: rust_embed::EmbeddedFile, cache: &'static str) -> Response {
    let kind = HeaderValue::from_str(file.metadata.mimetype()).unwrap_or(HeaderValue::from_static("text/plain"));
    let body = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Body::from(bytes),
        std::borrow::Cow::Owned(bytes) => Body::from(bytes),
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static(cache))];
    (headers, body).into_response()
}
