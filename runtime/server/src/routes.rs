//! All routes, a file per subject.

mod account;
mod backups;
pub(crate) mod consumers;
mod context;
mod dead_letters;
mod deploys;
mod events;
mod flow;
mod flows;
mod health;
mod log;
mod nodes;
mod operate;
mod personal;
mod projections;
pub(crate) mod schemas;
mod streams;
mod subscriptions;
mod testing;
mod things;
mod users;

pub(crate) use projections::details as projection_details;

use axum::extract::State;
use axum::http::header;

use crate::app::App;
use crate::assets;
use crate::auth::Permission;
use crate::web::docs;
use crate::web::openapi;
use crate::web::route::{Route, Routes};

/// The registry of everything that can be asked.
pub fn all() -> Routes {
    let mut routes = Routes::default();
    health::register(&mut routes);
    account::register(&mut routes);
    users::register(&mut routes);
    flows::register(&mut routes);
    flow::register(&mut routes);
    nodes::register(&mut routes);
    operate::register(&mut routes);
    context::register(&mut routes);
    testing::register(&mut routes);
    events::register(&mut routes);
    streams::register(&mut routes);
    log::register(&mut routes);
    subscriptions::register(&mut routes);
    personal::register(&mut routes);
    schemas::register(&mut routes);
    consumers::register(&mut routes);
    projections::register(&mut routes);
    things::register(&mut routes);
    deploys::register(&mut routes);
    dead_letters::register(&mut routes);
    backups::register(&mut routes);
    let page = Permission::Public;
    routes.add(Route::get("/api/openapi.json", page, "Describes the API as OpenAPI 3.1"), document);
    routes.add(Route::get("/api/docs", page, "Describes the API for people"), page_of_docs);
    routes.add(Route::get("/api/docs.css", page, "Style of /api/docs"), style_of_docs);
    routes.fallback(Route::get("/{*file}", page, "Serves the editor"), assets::serve);
    routes
}

async fn document(State(app): State<App>) -> axum::Json<serde_json::Value> {
    axum::Json(openapi::document(&app.route_table()))
}

async fn page_of_docs(State(app): State<App>) -> axum::response::Html<String> {
    axum::response::Html(docs::page(&app.route_table()))
}

async fn style_of_docs() -> impl axum::response::IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], docs::STYLE)
}

#[cfg(test)]
#[path = "routes/tests.rs"]
mod tests;
