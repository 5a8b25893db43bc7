//! Flows as Node-RED's admin API has them, and checks.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tidewire_api::flows::{CheckAnswer, CheckRequest, DeployAnswer, FlowsAnswer, FlowsState};
use tidewire_engine::{DeployKind, Deployed};
use tidewire_model::Problem;
use tidewire_model::flow::FlowDocument;

use crate::app::{App, Author, Core, CoreError, Deployment};
use crate::auth::principal::Denied;
use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Running};
use crate::web::route::{Route, Routes};

/// Largest flow file, in bytes.
pub const FLOWS_MAX: usize = 16 * 1024 * 1024;

pub fn register(routes: &mut Routes) {
    let (read, write) = (Permission::FlowsRead, Permission::FlowsWrite);
    routes.add(Route::get("/flows", read, "The flows; with their revision in version 2").answers::<FlowsAnswer>(), get);
    let deploy_route =
        Route::post("/flows", write, "Deploys flows: an array, or in version 2 {flows, rev, credentials}");
    routes.add(deploy_route.answers::<DeployAnswer>().body_max(FLOWS_MAX), post);
    routes.add(Route::get("/flows/state", read, "Whether flows run").answers::<FlowsState>(), get_state);
    let state = Route::post("/flows/state", write, "Starts or stops all flows");
    routes.add(state.body::<FlowsState>().answers::<FlowsState>(), set_state);
    let check_route = Route::post("/api/check", read, "Finds problems in flows without deploying them");
    routes.add(check_route.body::<CheckRequest>().answers::<CheckAnswer>().body_max(FLOWS_MAX), check);
}

/// Version of Node-RED's API that a request speaks.
fn version(headers: &HeaderMap) -> ApiResult<u8> {
    match headers.get("node-red-api-version").map(|version| version.as_bytes()) {
        None | Some(b"v1") => Ok(1),
        Some(b"v2") => Ok(2),
        Some(_) => Err(ApiError::bad_request("invalid_api_version", "the API version is v1 or v2")),
    }
}

async fn get(headers: HeaderMap, core: Running) -> ApiResult<Response> {
    let flows = core.engine.flows();
    Ok(match version(&headers)? {
        1 => axum::Json(&*flows.document).into_response(),
        _ => axum::Json(FlowsAnswer { flows: flows.document.to_json(), rev: flows.rev }).into_response(),
    })
}

fn kind(headers: &HeaderMap) -> ApiResult<DeployKind> {
    match headers.get("node-red-deployment-type").map(|kind| kind.as_bytes()) {
        None | Some(b"full") => Ok(DeployKind::Full),
        Some(b"flows") => Ok(DeployKind::Flows),
        Some(b"nodes") => Ok(DeployKind::Nodes),
        Some(b"reload") => Ok(DeployKind::Reload),
        Some(_) => {
            Err(ApiError::bad_request("invalid_deployment_type", "the deployment type is full, flows, nodes or reload"))
        }
    }
}

async fn post(headers: HeaderMap, actor: Principal, core: Running, Json(body): Json<Value>) -> ApiResult<Response> {
    let (version, kind) = (version(&headers)?, kind(&headers)?);
    let (flows, rev, credentials) = match (body, kind) {
        (Value::Object(mut body), _) if version == 2 => {
            let rev = match body.remove("rev") {
                None | Some(Value::Null) => None,
                Some(Value::String(rev)) => Some(rev),
                Some(_) => return Err(ApiError::bad_request("invalid_flow", "\"rev\" is no text")),
            };
            let credentials = body.remove("credentials");
            let flows = match body.remove("flows") {
                Some(flows) => flows,
                None if kind == DeployKind::Reload => Value::Array(Vec::new()),
                None => return Err(ApiError::bad_request("invalid_flow", "\"flows\" is missing")),
            };
            (flows, rev, credentials)
        }
        // What is stored is loaded again, whatever came.
        (_, DeployKind::Reload) => (Value::Array(Vec::new()), None, None),
        (flows, _) => (flows, None, None),
    };
    let deployment = Deployment { flows, credentials, kind, expected_rev: rev, restored: None };
    let answer = deploy(&core, &actor, deployment).await?;
    Ok(match version {
        1 => StatusCode::NO_CONTENT.into_response(),
        _ => axum::Json(answer).into_response(),
    })
}

/// Deploys on behalf of somebody.
///
/// # Errors
/// When it is refused; what runs was not touched.
pub async fn deploy(core: &Core, actor: &Principal, deployment: Deployment) -> ApiResult<DeployAnswer> {
    let name = actor.actor();
    let author = Author { name: &name, sets_secrets: actor.may(Permission::SecretsWrite) };
    let Deployed { rev, number, position, problems, .. } = core.deploy(deployment, author).await?;
    let document = core.engine.flows().document;
    let mut all = core.engine.check(&document);
    for problem in problems {
        let known = |other: &Problem| other.node == problem.node && other.path == problem.path;
        if !all.iter().any(known) {
            all.push(problem);
        }
    }
    Ok(DeployAnswer { rev, number, position: position.get(), problems: all })
}

impl From<CoreError> for ApiError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Deploy(error) => error.into(),
            CoreError::Document(error) => error.into(),
            CoreError::SecretsForbidden => Denied::Forbidden(Permission::SecretsWrite).into(),
            CoreError::Credentials(text) => ApiError::bad_request("invalid_credentials", text),
            other => ApiError::internal(other),
        }
    }
}

async fn get_state(State(app): State<App>, core: Running) -> axum::Json<FlowsState> {
    axum::Json(state(&app, &core))
}

fn state(app: &App, core: &Core) -> FlowsState {
    let word = match (core.engine.running(), app.settings.safe) {
        (true, _) => "start",
        (false, true) => "safe",
        (false, false) => "stop",
    };
    FlowsState { state: word.to_owned() }
}

async fn set_state(
    State(app): State<App>,
    core: Running,
    Json(body): Json<FlowsState>,
) -> ApiResult<axum::Json<FlowsState>> {
    match body.state.as_str() {
        "start" => core.engine.set_running(true).await,
        "stop" => core.engine.set_running(false).await,
        _ => return Err(ApiError::bad_request("invalid_state", "the state is start or stop")),
    }
    Ok(axum::Json(state(&app, &core)))
}

async fn check(core: Running, Json(body): Json<CheckRequest>) -> ApiResult<axum::Json<CheckAnswer>> {
    let document = FlowDocument::from_json(body.flows)?;
    Ok(axum::Json(CheckAnswer { problems: core.engine.check(&document) }))
}
