//! What only tests may do: there with `--test-api` only, and not found without.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use tidewire_engine::ContextSettings;
use tidewire_node_api::StopReason;

use crate::app::App;
use crate::auth::Permission;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json as Body, OptionalJson, Path, Running};
use crate::web::route::{Route, Routes};
use crate::wire;

pub fn register(routes: &mut Routes) {
    let test = Permission::TestControl;
    let config = Route::put("/api/test/config", test, "Environment, settings and context of a test");
    routes.add(config.body::<TestConfig>().status(204), configure);
    routes.add(Route::post("/api/nodes/{id}/close", test, "Stops one node").status(204), close);
}

/// Lets a request through if the server was started for tests.
struct Testing;

impl FromRequestParts<App> for Testing {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let off = || ApiError::not_found("this is for tests; start the server with --test-api to use it");
        app.settings.test_api.then_some(Testing).ok_or_else(off)
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct TestConfig {
    /// Environment variables; null takes one away.
    env: BTreeMap<String, Option<String>>,
    /// Settings that nodes ask for; null takes one away.
    settings: BTreeMap<String, Json>,
    /// Stores to open afresh, `{"name": {"module": "memory"}}`; null: those of the start.
    #[serde(deserialize_with = "present")]
    context_storage: Option<Option<serde_json::Map<String, Json>>>,
    /// Forget all context.
    reset_context: bool,
    /// Put the clock of the event log ahead of the machine's by so many milliseconds.
    log_ahead_ms: Option<i64>,
}

/// Tells null from absent.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

async fn configure(
    _: Testing,
    State(app): State<App>,
    core: Running,
    Body(body): Body<TestConfig>,
) -> ApiResult<StatusCode> {
    let stores = body.context_storage.map(|stores| stores.as_ref().map(stores_of).transpose()).transpose();
    let stores = stores.map_err(|text| ApiError::bad_request("invalid_context_storage", text))?;
    for (name, value) in body.env {
        core.environment.set(name, value);
    }
    for (name, value) in &body.settings {
        let value = if value.is_null() { tidewire_model::Value::Undefined } else { wire::from_json(value) };
        core.engine.set_setting(name, value);
    }
    if let Some(stores) = stores {
        core.engine.contexts().reopen(stores.as_ref());
    }
    if body.reset_context {
        core.engine.contexts().reopen(None);
    }
    if let Some(ms) = body.log_ahead_ms {
        app.log_clock.put_ahead(ms);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Node-RED's `contextStorage`.
fn stores_of(stores: &serde_json::Map<String, Json>) -> Result<ContextSettings, String> {
    let kind = |(name, store): (&String, &Json)| {
        let kind = store.as_str().or_else(|| store.get("module")?.as_str()).map(str::to_owned);
        let missing = || format!("Context store '{name}' missing 'module' option");
        kind.map(|kind| (name.clone(), kind)).ok_or_else(missing)
    };
    let pairs = stores.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
    ContextSettings::of(pairs.iter().map(|(name, kind)| (name.as_str(), kind.as_str())))
}

async fn close(
    _: Testing,
    core: Running,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson,
) -> ApiResult<StatusCode> {
    let removed = body.as_ref().and_then(|body| body.get("removed")).and_then(Json::as_bool).unwrap_or(false);
    core.engine.close(&id, if removed { StopReason::Removed } else { StopReason::Replaced }).await?;
    Ok(StatusCode::NO_CONTENT)
}
