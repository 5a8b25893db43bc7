//! The route registry: the only way to register a route, and none goes without a permission.
//!
//! From the same entries come the router, the access matrix that a test compares, the OpenAPI document and the page
//! that shows it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::app::App;
use crate::auth::Permission;
use crate::error::ApiError;
use crate::web::guard;

/// Largest request body unless a route says otherwise, in bytes.
const BODY_MAX: usize = 256 * 1024;

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Facts of one route.
#[derive(Clone)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub permission: Permission,
    /// What it does, in one sentence.
    pub summary: &'static str,
    pub query: Option<SchemaOf>,
    pub body: Option<SchemaOf>,
    pub answer: Option<SchemaOf>,
    /// Status of success.
    pub status: u16,
    /// Becomes a WebSocket.
    pub socket: bool,
    body_max: usize,
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    fn new(method: Method, path: &'static str, permission: Permission, summary: &'static str) -> Self {
        Route {
            method,
            path,
            permission,
            summary,
            query: None,
            body: None,
            answer: None,
            status: 200,
            socket: false,
            body_max: BODY_MAX,
        }
    }

    pub fn get(path: &'static str, permission: Permission, summary: &'static str) -> Self {
        Route::new(Method::GET, path, permission, summary)
    }

    pub fn post(path: &'static str, permission: Permission, summary: &'static str) -> Self {
        Route::new(Method::POST, path, permission, summary)
    }

    pub fn put(path: &'static str, permission: Permission, summary: &'static str) -> Self {
        Route::new(Method::PUT, path, permission, summary)
    }

    pub fn delete(path: &'static str, permission: Permission, summary: &'static str) -> Self {
        Route::new(Method::DELETE, path, permission, summary)
    }

    #[must_use]
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(schema_of::<T>);
        self
    }

    #[must_use]
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(schema_of::<T>);
        self
    }

    #[must_use]
    pub fn answers<T: JsonSchema>(mut self) -> Self {
        self.answer = Some(schema_of::<T>);
        self
    }

    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub fn socket(mut self) -> Self {
        self.socket = true;
        self.status = 101;
        self
    }

    #[must_use]
    pub fn body_max(mut self, bytes: usize) -> Self {
        self.body_max = bytes;
        self
    }
}

/// All routes of the service.
#[derive(Default)]
pub struct Routes {
    table: Vec<Route>,
    router: Router<App>,
}

impl Routes {
    /// Registers a route.
    pub fn add<H, T>(&mut self, route: Route, handler: H)
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
        let permission = route.permission;
        let check = middleware::from_fn(move |request: Request, next: Next| allowed(permission, request, next));
        let methods = on(filter, handler).layer(DefaultBodyLimit::max(route.body_max)).layer(check);
        self.router = std::mem::take(&mut self.router).route(route.path, methods);
        self.table.push(route);
    }

    /// Answers what no route does.
    pub fn fallback<H, T>(&mut self, route: Route, handler: H)
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.router = std::mem::take(&mut self.router).fallback(handler);
        self.table.push(route);
    }

    pub fn table(&self) -> Arc<[Route]> {
        self.table.clone().into()
    }

    pub fn into_router(self) -> Router<App> {
        self.router
    }
}

async fn allowed(permission: Permission, request: Request, next: Next) -> Response {
    match guard::check(permission, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => ApiError::into_response(error),
    }
}
