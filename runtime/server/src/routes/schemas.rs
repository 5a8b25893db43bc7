//! Schemas of event types: register, look at, take back.

use axum::http::StatusCode;
use tidewire_api::List;
use tidewire_api::schema::{PutSchema, PutSchemaMode, SchemaMode, SchemaVersion, TriedEvent, TrySchemas, TypeSchemas};
use tidewire_engine::schemas::{self, Mode, Registration, SchemaError, Schemas, Trial, problem_text};
use tidewire_model::event::Upcast;
use tidewire_model::event::json::{Incoming, parse_incoming};

use crate::app::Core;

use crate::auth::{Permission, Principal};
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Running};
use crate::web::route::{Route, Routes};

/// Largest body with events to be tried, in bytes.
const TRY_MAX: usize = 8 * 1024 * 1024;

pub fn register(routes: &mut Routes) {
    let (read, write) = (Permission::EventsRead, Permission::FlowsWrite);
    let list_route = Route::get("/api/schemas", read, "Event types with schemas");
    routes.add(list_route.answers::<List<TypeSchemas>>(), list);
    let one_route = Route::get("/api/schemas/{type}", read, "The schemas of an event type");
    routes.add(one_route.answers::<TypeSchemas>(), one);
    let mode_route = Route::put(
        "/api/schemas/{type}",
        write,
        "Says what happens to events that do not follow their schema: off, warn or refuse",
    );
    routes.add(mode_route.body::<PutSchemaMode>().answers::<TypeSchemas>(), set_mode);
    let remove_route = Route::delete("/api/schemas/{type}", write, "Takes all schemas of an event type back");
    routes.add(remove_route.status(204), remove);
    let version_route = Route::get("/api/schemas/{type}/{version}", read, "One version of an event type");
    routes.add(version_route.answers::<SchemaVersion>(), version);
    let put_route = Route::put(
        "/api/schemas/{type}/{version}",
        write,
        "Registers a version of an event type, and how to make it from the version before",
    );
    routes.add(put_route.body::<PutSchema>().answers::<TypeSchemas>(), put);
    let take_route = Route::delete("/api/schemas/{type}/{version}", write, "Takes a version of an event type back");
    routes.add(take_route.status(204), take);
    let try_route = Route::post(
        "/api/events/try",
        write,
        "Says what schemas make of events, also of a version that is not registered yet; stores nothing",
    );
    routes.add(try_route.body::<TrySchemas>().answers::<List<TriedEvent>>().body_max(TRY_MAX), try_events);
}

impl From<SchemaError> for ApiError {
    fn from(error: SchemaError) -> Self {
        let text = error.to_string();
        match error {
            SchemaError::Unknown(_) => ApiError::not_found(text),
            SchemaError::Invalid(problems) => {
                let list: Vec<_> = problems.iter().map(problem_text).collect();
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_schema", text).with("problems", list)
            }
            SchemaError::Log(error) => error.into(),
            SchemaError::Append(error) => error.into(),
        }
    }
}

const fn public_mode(mode: Mode) -> SchemaMode {
    match mode {
        Mode::Off => SchemaMode::Off,
        Mode::Warn => SchemaMode::Warn,
        Mode::Refuse => SchemaMode::Refuse,
    }
}

/// As the engine has it.
pub const fn mode(mode: SchemaMode) -> Mode {
    match mode {
        SchemaMode::Off => Mode::Off,
        SchemaMode::Warn => Mode::Warn,
        SchemaMode::Refuse => Mode::Refuse,
    }
}

fn public_version(version: &schemas::Version) -> SchemaVersion {
    SchemaVersion { schema: version.schema.clone(), upcast: version.upcast.clone(), position: version.position.get() }
}

fn public(schemas: &Schemas, name: &str, known: &schemas::TypeSchemas) -> TypeSchemas {
    let figures = schemas.figures(name);
    TypeSchemas {
        event_type: name.to_owned(),
        mode: public_mode(known.mode),
        versions: known.versions.iter().map(|(number, version)| (*number, public_version(version))).collect(),
        refused: figures.refused,
        warned: figures.warned,
        last_problem: figures.last_problem,
        upcast_failed: figures.upcast_failed,
        last_failure: figures.last_failure,
    }
}

/// # Errors
/// When the type has none.
pub fn found(schemas: &Schemas, name: &str) -> ApiResult<TypeSchemas> {
    let known = schemas.of(name).ok_or_else(|| SchemaError::Unknown(name.to_owned()))?;
    Ok(public(schemas, name, &known))
}

/// The schemas of all types.
pub fn all(core: &Core) -> Vec<TypeSchemas> {
    core.schemas.all().iter().map(|(name, known)| public(&core.schemas, name, known)).collect()
}

/// What somebody registers.
pub fn registration(body: PutSchema) -> Registration {
    Registration { schema: body.schema, upcast: body.upcast }
}

/// Tries events on schemas.
///
/// # Errors
/// When the version that is to be tried with them cannot be registered.
pub fn tried(core: &Core, request: &TrySchemas) -> ApiResult<Vec<TriedEvent>> {
    let registration = Registration { schema: request.schema.clone(), upcast: request.upcast.clone() };
    let more = request.with.as_deref().map(|with| {
        let parts = with.rsplit_once('/').and_then(|(name, number)| Some((name, number.parse().ok()?, &registration)));
        let text = || format!("with is '{with}'; use a type and a version such as reading-reported/3");
        parts.ok_or_else(|| ApiError::bad_request("invalid_body", text()))
    });
    let trial = core.schemas.trial(more.transpose()?)?;
    Ok(request.events.iter().map(|event| tried_one(&trial, event)).collect())
}

fn tried_one(trial: &Trial, event: &serde_json::Value) -> TriedEvent {
    let (stream, event) = match parse_incoming(event.to_string().as_bytes()) {
        Ok(Incoming { stream, event, .. }) => (stream, event),
        Err(error) => {
            let problems = vec![format!("no CloudEvent: {error}")];
            return TriedEvent { schema: None, problems, data: None, upcast_problem: None };
        }
    };
    let tried = trial.of(stream, event);
    let upcast_problem = match &tried.read.upcast {
        Some(Upcast::Failed(reason)) => Some(reason.to_string()),
        _ => None,
    };
    TriedEvent {
        schema: tried.schema.map(Into::into),
        problems: tried.problems.iter().map(schemas::problem_text).collect(),
        data: tried.read.is_json().then(|| tried.read.data_json().ok()).flatten(),
        upcast_problem,
    }
}

async fn try_events(core: Running, Json(request): Json<TrySchemas>) -> ApiResult<axum::Json<List<TriedEvent>>> {
    tried(&core, &request).map(|tried| axum::Json(List::whole(tried)))
}

async fn list(core: Running) -> ApiResult<axum::Json<List<TypeSchemas>>> {
    Ok(axum::Json(List::whole(all(&core))))
}

async fn one(core: Running, Path(name): Path<String>) -> ApiResult<axum::Json<TypeSchemas>> {
    found(&core.schemas, &name).map(axum::Json)
}

async fn version(core: Running, Path((name, number)): Path<(String, u32)>) -> ApiResult<axum::Json<SchemaVersion>> {
    let known = core.schemas.of(&name);
    let version = known.as_ref().and_then(|known| known.versions.get(&number));
    let version = version.ok_or_else(|| SchemaError::Unknown(format!("{name}/{number}")))?;
    Ok(axum::Json(public_version(version)))
}

async fn put(
    actor: Principal,
    core: Running,
    Path((name, number)): Path<(String, u32)>,
    Json(body): Json<PutSchema>,
) -> ApiResult<axum::Json<TypeSchemas>> {
    core.schemas.register(&name, number, registration(body), &actor.actor()).await?;
    found(&core.schemas, &name).map(axum::Json)
}

async fn set_mode(
    actor: Principal,
    core: Running,
    Path(name): Path<String>,
    Json(body): Json<PutSchemaMode>,
) -> ApiResult<axum::Json<TypeSchemas>> {
    core.schemas.set_mode(&name, mode(body.mode), &actor.actor()).await?;
    found(&core.schemas, &name).map(axum::Json)
}

async fn remove(actor: Principal, core: Running, Path(name): Path<String>) -> ApiResult<StatusCode> {
    core.schemas.remove(&name, None, &actor.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take(actor: Principal, core: Running, Path((name, number)): Path<(String, u32)>) -> ApiResult<StatusCode> {
    core.schemas.remove(&name, Some(number), &actor.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
