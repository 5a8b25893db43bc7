//! Context as Node-RED's tools look at it, and how tests set it.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json, json};
use tidewire_engine::Owner;
use tidewire_model::Value;
use tidewire_node_api::{ContextError, ContextScope};

use crate::app::Core;
use crate::auth::Permission;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json as Body, Path, Query, Running};
use crate::web::route::{Route, Routes};
use crate::wire;

/// Largest value that is set, in bytes of JSON.
const VALUE_MAX: usize = 8 * 1024 * 1024;

pub fn register(routes: &mut Routes) {
    let (read, write) = (Permission::MessagesRead, Permission::Operate);
    let list = |path| Route::get(path, read, "Context values by store").query::<ContextQuery>();
    routes.add(list("/context/global"), list_global);
    routes.add(list("/context/flow/{id}"), list_flow);
    routes.add(list("/context/node/{id}"), list_node);
    let get = |path| Route::get(path, read, "One context value").query::<ContextQuery>();
    routes.add(get("/context/global/{*key}"), get_global);
    routes.add(get("/context/flow/{id}/{*key}"), get_flow);
    routes.add(get("/context/node/{id}/{*key}"), get_node);
    let put = |path| {
        let route = Route::put(path, write, "Sets a context value: {\"value\": …}").query::<ContextQuery>();
        route.body_max(VALUE_MAX).status(204)
    };
    routes.add(put("/context/global/{*key}"), put_global);
    routes.add(put("/context/flow/{id}/{*key}"), put_flow);
    routes.add(put("/context/node/{id}/{*key}"), put_node);
    let delete = |path| Route::delete(path, write, "Removes a context value").query::<ContextQuery>().status(204);
    routes.add(delete("/context/global/{*key}"), delete_global);
    routes.add(delete("/context/flow/{id}/{*key}"), delete_flow);
    routes.add(delete("/context/node/{id}/{*key}"), delete_node);
}

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct ContextQuery {
    /// Name of a store; without it the default one, for lists all.
    store: Option<String>,
    /// Only names and forms, no values.
    keys_only: Option<String>,
}

impl ContextQuery {
    fn keys_only(&self) -> bool {
        self.keys_only.as_deref().is_some_and(|word| word != "false" && word != "0")
    }

    /// The store, which has to be there.
    fn store(&self, core: &Core) -> ApiResult<Option<&str>> {
        let Some(name) = self.store.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
        if core.engine.contexts().names().iter().any(|known| known == name) {
            return Ok(Some(name));
        }
        Err(ApiError::not_found(format!("there is no context store \"{name}\"")))
    }
}

type Listed = ApiResult<axum::Json<Json>>;
type Asked = Query<ContextQuery>;

async fn list_global(core: Running, Query(query): Asked) -> Listed {
    list(&core, ContextScope::Global, "global", &query)
}

async fn list_flow(core: Running, Path(id): Path<String>, Query(query): Asked) -> Listed {
    list(&core, ContextScope::Flow, &id, &query)
}

async fn list_node(core: Running, Path(id): Path<String>, Query(query): Asked) -> Listed {
    list(&core, ContextScope::Node, &id, &query)
}

async fn get_global(core: Running, Path(key): Path<String>, Query(query): Asked) -> Listed {
    get(&core, ContextScope::Global, "global", &key, &query)
}

async fn get_flow(core: Running, Path((id, key)): Path<(String, String)>, Query(query): Asked) -> Listed {
    get(&core, ContextScope::Flow, &id, &key, &query)
}

async fn get_node(core: Running, Path((id, key)): Path<(String, String)>, Query(query): Asked) -> Listed {
    get(&core, ContextScope::Node, &id, &key, &query)
}

#[derive(Deserialize)]
struct Put {
    value: Json,
}

async fn put_global(
    core: Running,
    Path(key): Path<String>,
    Query(query): Asked,
    Body(body): Body<Put>,
) -> ApiResult<StatusCode> {
    set(&core, ContextScope::Global, "global", &key, &query, wire::from_json(&body.value)).await
}

async fn put_flow(
    core: Running,
    Path((id, key)): Path<(String, String)>,
    Query(query): Asked,
    Body(body): Body<Put>,
) -> ApiResult<StatusCode> {
    set(&core, ContextScope::Flow, &id, &key, &query, wire::from_json(&body.value)).await
}

async fn put_node(
    core: Running,
    Path((id, key)): Path<(String, String)>,
    Query(query): Asked,
    Body(body): Body<Put>,
) -> ApiResult<StatusCode> {
    set(&core, ContextScope::Node, &id, &key, &query, wire::from_json(&body.value)).await
}

async fn delete_global(core: Running, Path(key): Path<String>, Query(query): Asked) -> ApiResult<StatusCode> {
    remove(&core, ContextScope::Global, "global", &key, &query).await
}

async fn delete_flow(
    core: Running,
    Path((id, key)): Path<(String, String)>,
    Query(query): Asked,
) -> ApiResult<StatusCode> {
    remove(&core, ContextScope::Flow, &id, &key, &query).await
}

async fn delete_node(
    core: Running,
    Path((id, key)): Path<(String, String)>,
    Query(query): Asked,
) -> ApiResult<StatusCode> {
    remove(&core, ContextScope::Node, &id, &key, &query).await
}

fn context_error(error: ContextError) -> ApiError {
    let code = match error {
        ContextError::InvalidKey => "invalid_context_key",
        ContextError::NoObject(_) => "no_object",
        ContextError::Full(_) => "context_full",
    };
    ApiError::bad_request(code, error.to_string())
}

/// A node that is not there has no context, as in Node-RED: an empty answer.
fn list(core: &Core, scope: ContextScope, id: &str, query: &ContextQuery) -> Listed {
    let contexts = core.engine.contexts();
    let only = query.store(core)?;
    let Some(owner) = contexts.owner(scope, id) else { return Ok(axum::Json(json!({}))) };
    let mut answer = JsonMap::new();
    for store in contexts.names().iter().filter(|name| only.is_none_or(|only| only == *name)) {
        let values = contexts.values(&owner, Some(store));
        let values: Json = if query.keys_only() {
            json!({"keys": values.keys().map(|key| json!({"key": key})).collect::<Vec<_>>()})
        } else {
            values.iter().map(|(key, value)| (key.to_owned(), shown(value))).collect::<JsonMap<_, _>>().into()
        };
        answer.insert(store.clone(), values);
    }
    Ok(axum::Json(answer.into()))
}

fn shown(value: &Value) -> Json {
    let (format, msg) = wire::debug_encode(value);
    json!({"msg": msg, "format": format})
}

/// Node-RED's form of one value, and the value itself in that of messages.
fn get(core: &Core, scope: ContextScope, id: &str, key: &str, query: &ContextQuery) -> Listed {
    let contexts = core.engine.contexts();
    let store = query.store(core)?;
    let Some(owner) = contexts.owner(scope, id) else { return Ok(axum::Json(json!({}))) };
    let value = contexts.get(&owner, store, key).map_err(context_error)?;
    let default = contexts.names().into_iter().next().unwrap_or_default();
    if query.keys_only() {
        return Ok(axum::Json(json!({ store.unwrap_or(&default): form(&value) })));
    }
    let mut answer = shown(&value);
    if let Some(map) = answer.as_object_mut() {
        map.insert("value".to_owned(), wire::to_json(&value));
        if let Some(store) = store.filter(|store| *store != default) {
            map.insert("store".to_owned(), store.into());
        }
    }
    Ok(axum::Json(answer))
}

/// What a value consists of, one level deep.
fn form(value: &Value) -> Json {
    let array = |items: &[Value]| format!("array[{}]", items.len());
    if let Some(items) = value.as_array() {
        return json!({"format": array(items)});
    }
    let Some(map) = value.as_object() else { return json!({"keys": []}) };
    let key = |(key, value): (&str, &Value)| match (value.as_array(), value.as_object()) {
        (Some(items), _) => json!({"key": key, "format": array(items), "length": items.len()}),
        (None, Some(_)) => json!({"key": key, "format": "object"}),
        (None, None) => json!({"key": key}),
    };
    json!({"keys": map.iter().map(key).collect::<Vec<_>>(), "format": "object"})
}

fn owner(core: &Core, scope: ContextScope, id: &str) -> ApiResult<Owner> {
    let unknown = || ApiError::not_found(format!("there is no node or flow \"{id}\""));
    core.engine.contexts().owner(scope, id).ok_or_else(unknown)
}

/// Answers when the value is durable, if its store is.
async fn set(
    core: &Core,
    scope: ContextScope,
    id: &str,
    key: &str,
    query: &ContextQuery,
    value: Value,
) -> ApiResult<StatusCode> {
    let contexts = core.engine.contexts();
    contexts.set(&owner(core, scope, id)?, query.store(core)?, key, value).map_err(context_error)?;
    contexts.flush().await;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(core: &Core, scope: ContextScope, id: &str, key: &str, query: &ContextQuery) -> ApiResult<StatusCode> {
    set(core, scope, id, key, query, Value::Undefined).await
}
