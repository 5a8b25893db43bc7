//! One flow at a time, as Node-RED's admin API has it.

use axum::http::StatusCode;
use serde_json::{Map, Value};
use tidewire_api::flows::FlowId;
use tidewire_engine::DeployKind;
use tidewire_model::flow::{FlowDocument, FlowNode, NodeKind};

use super::flows::{FLOWS_MAX, deploy};
use crate::app::Deployment;
use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Running};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let (read, write) = (Permission::FlowsRead, Permission::FlowsWrite);
    routes.add(Route::post("/flow", write, "Adds a flow").answers::<FlowId>().body_max(FLOWS_MAX), add);
    routes.add(Route::get("/flow/{id}", read, "One flow with its nodes; `global` for what stands on none"), get);
    routes.add(Route::put("/flow/{id}", write, "Replaces a flow").answers::<FlowId>().body_max(FLOWS_MAX), replace);
    routes.add(Route::delete("/flow/{id}", write, "Removes a flow with its nodes").status(204), remove);
}

const GLOBAL: &str = "global";

/// Whether an entry belongs to a flow (`global`: to none).
fn belongs(node: &FlowNode, id: &str) -> bool {
    match id {
        GLOBAL => node.kind() != NodeKind::Tab && node.flow().is_none(),
        id => node.id().as_str() == id || node.flow() == Some(id),
    }
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no flow \"{id}\""))
}

fn exists(document: &FlowDocument, id: &str) -> bool {
    id == GLOBAL || document.get(id).is_some_and(|node| node.kind() == NodeKind::Tab)
}

async fn get(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<Value>> {
    let document = core.engine.flows().document;
    if !exists(&document, &id) {
        return Err(unknown(&id));
    }
    let mut flow = Map::new();
    flow.insert("id".to_owned(), id.as_str().into());
    if let Some(tab) = document.get(&id) {
        flow.extend(tab.properties().iter().filter(|(key, _)| !matches!(key.as_str(), "id" | "type")).map(pair));
    }
    let mut put = |key: &str, kinds: &[NodeKind], always: bool| {
        let nodes = document.nodes().iter().filter(|node| kinds.contains(&node.kind()) && belongs(node, &id));
        let nodes: Vec<Value> = nodes.map(|node| Value::Object(node.properties().clone())).collect();
        if always || !nodes.is_empty() {
            flow.insert(key.to_owned(), nodes.into());
        }
    };
    put("nodes", &[NodeKind::Node, NodeKind::Group], id != GLOBAL);
    put("configs", &[NodeKind::Config], id == GLOBAL);
    put("subflows", &[NodeKind::Subflow], false);
    Ok(axum::Json(Value::Object(flow)))
}

fn pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// The entries that a flow's body stands for, with `z` set.
fn entries(id: &str, body: &Map<String, Value>) -> ApiResult<Vec<Value>> {
    let mut list = Vec::new();
    if id != GLOBAL {
        let mut tab = Map::new();
        tab.insert("id".to_owned(), id.into());
        tab.insert("type".to_owned(), "tab".into());
        let lists = ["id", "type", "nodes", "configs", "subflows"];
        tab.extend(body.iter().filter(|(key, _)| !lists.contains(&key.as_str())).map(pair));
        tab.entry("label").or_insert_with(|| "".into());
        list.push(Value::Object(tab));
    }
    for key in ["nodes", "configs", "subflows"] {
        match body.get(key) {
            None => {}
            Some(Value::Array(nodes)) => {
                for node in nodes {
                    let mut node = node.clone();
                    let entry = node.as_object_mut();
                    let entry = entry.ok_or_else(|| ApiError::bad_request("invalid_flow", "a node is no object"))?;
                    if id != GLOBAL {
                        entry.insert("z".to_owned(), id.into());
                    }
                    list.push(node);
                }
            }
            Some(_) => return Err(ApiError::bad_request("invalid_flow", format!("\"{key}\" is no array"))),
        }
    }
    Ok(list)
}

async fn add(actor: Principal, core: Running, Json(body): Json<Map<String, Value>>) -> ApiResult<axum::Json<FlowId>> {
    if !body.get("nodes").is_some_and(Value::is_array) {
        return Err(ApiError::bad_request("invalid_flow", "\"nodes\" is missing or no array"));
    }
    let id = crate::auth::sessions::hash_of(&crate::auth::sessions::random_secret());
    let id = id.get(..16).unwrap_or_default().to_owned();
    let current = core.engine.flows();
    let added = entries(&id, &body)?;
    let taken = |node: &&Value| {
        let id = node.get("id").and_then(Value::as_str);
        id.is_some_and(|id| current.document.get(id).is_some())
    };
    if let Some(node) = added.iter().find(taken) {
        return Err(ApiError::bad_request("duplicate_id", "duplicate id").with("id", node.get("id").cloned()));
    }
    let flows = [list(&current.document, |_| true), added].concat();
    deploy(&core, &actor, edited(flows, current.rev)).await?;
    Ok(axum::Json(FlowId { id }))
}

/// Flows in which one was edited.
fn edited(flows: Vec<Value>, rev: String) -> Deployment {
    Deployment { kind: DeployKind::Flows, expected_rev: Some(rev), ..Deployment::of(flows.into()) }
}

fn list(document: &FlowDocument, keep: impl Fn(&FlowNode) -> bool) -> Vec<Value> {
    let kept = document.nodes().iter().filter(|node| keep(node));
    kept.map(|node| Value::Object(node.properties().clone())).collect()
}

async fn replace(
    actor: Principal,
    core: Running,
    Path(id): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> ApiResult<axum::Json<FlowId>> {
    let current = core.engine.flows();
    if !exists(&current.document, &id) {
        return Err(unknown(&id));
    }
    let new = entries(&id, &body)?;
    // The flow keeps its place among the others.
    let place = current.document.nodes().iter().position(|node| belongs(node, &id));
    let mut before = place.unwrap_or(current.document.nodes().len());
    let mut flows = Vec::new();
    for node in current.document.nodes() {
        if before == 0 {
            flows.extend(new.iter().cloned());
        }
        before = before.wrapping_sub(1);
        if !belongs(node, &id) {
            flows.push(Value::Object(node.properties().clone()));
        }
    }
    if place.is_none() {
        flows.extend(new);
    }
    deploy(&core, &actor, edited(flows, current.rev)).await?;
    Ok(axum::Json(FlowId { id }))
}

async fn remove(actor: Principal, core: Running, Path(id): Path<String>) -> ApiResult<StatusCode> {
    let current = core.engine.flows();
    if id == GLOBAL || !exists(&current.document, &id) {
        return Err(unknown(&id));
    }
    let flows = list(&current.document, |node| !belongs(node, &id));
    deploy(&core, &actor, edited(flows, current.rev)).await?;
    Ok(StatusCode::NO_CONTENT)
}
