//! Liveness, readiness, metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tidewire_log::{EventLog as _, StoreHealth};

use crate::app::App;
use crate::auth::Permission;
use crate::metrics;
use crate::web::extract::Running;
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    routes.add(Route::get("/healthz", Permission::Public, "Says that the process answers"), healthz);
    routes
        .add(Route::get("/readyz", Permission::Public, "Says whether everything runs, and what does not yet"), readyz);
    routes.add(Route::get("/metrics", Permission::MetricsRead, "Figures in Prometheus' text form"), figures);
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(app): State<App>) -> Response {
    let mut waiting: Vec<String> = app.starting().iter().map(ToString::to_string).collect();
    if let Some(core) = app.core() {
        let health = core.log.health();
        match health.store {
            StoreHealth::Ready => {}
            StoreHealth::Opening => waiting.push("event store".to_owned()),
            StoreHealth::Rebuilding { progress } => waiting.push(format!("event store ({:.0} %)", progress * 100.0)),
            StoreHealth::Failed { reason } => waiting.push(format!("event store: {reason}")),
        }
        if let Some(reason) = health.read_only {
            waiting.push(format!("event log is read-only: {reason}"));
        }
    } else if waiting.is_empty() {
        waiting.push("stopping".to_owned());
    }
    let status = if waiting.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({"ready": waiting.is_empty(), "waiting": waiting}))).into_response()
}

async fn figures(State(app): State<App>, core: Running) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let usage = core.log.usage().await.ok();
    // A log that cannot be read has no groups to tell of; the rest is told all the same.
    let groups = core.consumers.list().await.unwrap_or_default();
    (kind, metrics::render(&app, &core, usage.as_ref(), &groups)).into_response()
}
