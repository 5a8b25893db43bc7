//! Node types and single nodes, and what Node-RED's tools want to know of the runtime.

use axum::extract::State;
use serde_json::{Map, Value, json};
use tidewire_api::List;
use tidewire_api::node::{NodeSet, NodeTypeInfo};
use tidewire_node_api::NodeDef;

use crate::app::App;
use crate::auth::{Permission, Principal, Who};
use crate::error::{ApiError, ApiResult};
use crate::secrets;
use crate::web::extract::{Path, Running};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let read = Permission::FlowsRead;
    routes.add(Route::get("/nodes", read, "Node sets, for Node-RED's tools").answers::<Vec<NodeSet>>(), sets);
    routes.add(Route::get("/settings", read, "Settings that an editor needs, for Node-RED's tools"), settings);
    routes.add(Route::get("/diagnostics", read, "Facts about the runtime and the machine"), diagnostics);
    let types = Route::get("/api/node-types", read, "Node types with schema, defaults and help");
    routes.add(types.answers::<List<NodeTypeInfo>>(), node_types);
    routes.add(Route::get("/api/nodes/{id}", read, "One node: facts, status and configuration"), node);
    let credentials = Route::get("/credentials/{type}/{id}", Permission::SecretsRead, "Which secrets a node has");
    routes.add(credentials, which_secrets);
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Node-RED's version whose API this is: tools compare it.
const API_VERSION: &str = "4.1.0";

async fn sets(core: Running) -> axum::Json<Vec<NodeSet>> {
    let set = |def: &NodeDef| NodeSet {
        id: format!("tidewire/{}", def.meta.name),
        name: def.meta.name.to_owned(),
        types: vec![def.meta.name.to_owned()],
        enabled: true,
        local: false,
        user: false,
        module: "tidewire".to_owned(),
        version: VERSION.to_owned(),
    };
    axum::Json(core.registry.iter().map(set).collect())
}

async fn settings(State(app): State<App>, core: Running, actor: Principal) -> axum::Json<Value> {
    let stores = core.engine.contexts().names();
    let mut settings = json!({
        "httpNodeRoot": "/",
        "version": API_VERSION,
        "tidewire": VERSION,
        "context": {"default": stores.first(), "stores": stores},
        "flowFilePretty": true,
        "flowEncryptionType": "user",
        "diagnostics": {"enabled": true, "ui": true},
        "runtimeState": {"enabled": true, "ui": true},
        "externalModules": {"palette": {"allowInstall": false}},
        "telemetryEnabled": false,
        "editorTheme": {"palette": {"editable": false}, "projects": {"enabled": false}},
        "execAllowed": app.settings.allow_exec,
    });
    if let (Who::User { name, .. }, Some(map)) = (&actor.who, settings.as_object_mut()) {
        map.insert("user".to_owned(), json!({"username": name, "permissions": "*"}));
    }
    axum::Json(settings)
}

async fn diagnostics(State(app): State<App>, core: Running) -> axum::Json<Value> {
    let flows = core.engine.flows();
    axum::Json(json!({
        "report": "diagnostics",
        "scope": "basic",
        "time": {"uptime": app.started.elapsed().as_secs()},
        "runtime": {
            "version": VERSION,
            "isStarted": core.engine.running(),
            "flows": {"rev": flows.rev, "state": if core.engine.running() { "start" } else { "stop" }},
            "modules": {"tidewire": VERSION},
        },
        "os": {"type": std::env::consts::OS, "arch": std::env::consts::ARCH, "family": std::env::consts::FAMILY},
        "settings": {
            "auth": app.settings.auth,
            "safe": app.settings.safe,
            "broker": app.settings.mqtt.is_some(),
            "graphWorkers": app.settings.graph_workers,
            "webWorkers": app.settings.web_workers,
        },
    }))
}

fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

async fn node_types(core: Running) -> axum::Json<List<NodeTypeInfo>> {
    axum::Json(List::whole(core.registry.iter().map(type_info).collect()))
}

fn type_info(def: &NodeDef) -> NodeTypeInfo {
    let (meta, mut schema) = (&def.meta, def.schema());
    if let Some(schema) = schema.as_object_mut() {
        // A type without configuration has no properties; forms want the empty list.
        schema.entry("properties").or_insert_with(|| json!({}));
    }
    let help = schema.get("description").and_then(Value::as_str).unwrap_or("").to_owned();
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    NodeTypeInfo {
        type_name: meta.name.to_owned(),
        label: meta.label.to_owned(),
        category: word(meta.category),
        role: word(meta.role),
        kind: word(meta.kind),
        icon: meta.icon.to_owned(),
        inputs: meta.inputs,
        outputs: words(meta.outputs),
        button: meta.button,
        keywords: words(meta.keywords),
        summary: first_sentence(&help),
        help,
        defaults: def.defaults(),
        schema,
    }
}

fn first_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or("").replace('\n', " ");
    match paragraph.find(". ") {
        Some(end) => paragraph.get(..=end).unwrap_or(&paragraph).to_owned(),
        None => paragraph,
    }
}

async fn node(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<Value>> {
    let unknown = || ApiError::not_found(format!("there is no node \"{id}\", or it is switched off"));
    let view = core.engine.node(&id).filter(|view| !view.disabled).ok_or_else(unknown)?;
    let def = core.registry.get(&view.facts.type_name);
    let understood = |def: &NodeDef| def.effective(&view.config).unwrap_or_else(|| def.defaults());
    let mut answer: Map<String, Value> = match def.map(understood) {
        Some(Value::Object(understood)) => understood,
        _ => Map::new(),
    };
    answer.extend(view.config.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    answer.extend(def.map(|def| def.derived(&view.config)).unwrap_or_default());
    answer.insert("status".to_owned(), serde_json::to_value(&view.status).unwrap_or(Value::Null));
    if let Some(problem) = view.problem {
        answer.insert("problem".to_owned(), problem.into());
    }
    if view.facts.type_name == "mqtt-broker" {
        let connected = view.status.fill == Some(tidewire_node_api::Fill::Green);
        answer.insert("connected".to_owned(), connected.into());
    }
    Ok(axum::Json(Value::Object(answer)))
}

async fn which_secrets(
    State(app): State<App>,
    core: Running,
    Path((type_name, id)): Path<(String, String)>,
) -> axum::Json<Value> {
    let shown = app.secrets.shown(&id, |name| !secrets::is_secret(&core.registry, &type_name, name));
    let mut answer = Map::new();
    for (name, value) in shown {
        match value {
            Some(value) => drop(answer.insert(name, value.into())),
            None => drop(answer.insert(format!("has_{name}"), true.into())),
        }
    }
    axum::Json(Value::Object(answer))
}
