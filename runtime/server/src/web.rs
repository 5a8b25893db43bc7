//! HTTP: the route registry, the guard in front of it, and what both need.

pub mod client;
pub mod docs;
pub mod extract;
pub mod guard;
mod linger;
pub mod openapi;
pub mod route;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::App;
use crate::error::ApiError;
use crate::routes;

/// The whole service.
pub fn service(app: &App) -> Router {
    let routes = routes::all();
    app.set_route_table(routes.table());
    routes
        .into_router()
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().gzip(true))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(linger::linger))
        .with_state(app.clone())
}

async fn method_not_allowed() -> ApiError {
    let detail = "this path does not know that method; /api/docs lists what there is";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::internal("a request handler panicked").into_response()
}
