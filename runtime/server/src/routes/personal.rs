//! Personal data: which streams hold it, and erasing one of them.

use tidewire_api::personal::{EraseSubject, ErasedSubject, PersonalStreams, PutPersonalStreams};
use tidewire_log::{EventLog as _, PersonalError, set_personal, unfinished_erasures};
use tidewire_model::event::StreamName;

use axum::http::StatusCode;

use crate::app::Core;
use crate::auth::{Permission, Principal};
use crate::backups::public_keys;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Running};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let manage = Permission::UsersManage;
    let get_route = Route::get("/api/log/personal", manage, "Streams that hold personal data and are encrypted");
    routes.add(get_route.answers::<PersonalStreams>(), get);
    let put_route = Route::put(
        "/api/log/personal",
        manage,
        "Says which streams hold personal data: what is appended to them from now on is encrypted",
    );
    routes.add(put_route.body::<PutPersonalStreams>().answers::<PersonalStreams>(), put);
    let erase_route = Route::post(
        "/api/log/subjects/{stream}/erase",
        manage,
        "Destroys the key of a stream, so that nobody can read its data any more",
    );
    routes.add(erase_route.body::<EraseSubject>().answers::<ErasedSubject>(), erase);
}

impl From<PersonalError> for ApiError {
    fn from(error: PersonalError) -> Self {
        let text = error.to_string();
        match error {
            PersonalError::NotPersonal(_) => ApiError::new(StatusCode::CONFLICT, "not_personal", text),
            PersonalError::Pattern(_) | PersonalError::Patterns(_) => {
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_pattern", text)
            }
            PersonalError::Log(error) => error.into(),
            PersonalError::Append(error) => error.into(),
            PersonalError::Keys(reason) => ApiError::internal(reason),
        }
    }
}

async fn shown(core: &Core) -> ApiResult<axum::Json<PersonalStreams>> {
    core.log.ready().await?;
    let erasing = unfinished_erasures(&*core.log).await?;
    let streams = core.log.bodies().personal().iter().map(ToString::to_string).collect();
    let erasing = erasing.into_iter().map(|(_, stream)| stream.to_string()).collect();
    let key_backups = core.key_backups().map_err(ApiError::internal)?.iter().map(public_keys).collect();
    Ok(axum::Json(PersonalStreams { streams, erasing, key_backups }))
}

async fn get(core: Running) -> ApiResult<axum::Json<PersonalStreams>> {
    shown(&core).await
}

async fn put(
    actor: Principal,
    core: Running,
    Json(body): Json<PutPersonalStreams>,
) -> ApiResult<axum::Json<PersonalStreams>> {
    let patterns = body.streams.into_iter().map(Into::into).collect();
    set_personal(&*core.log, patterns, &actor.actor()).await?;
    shown(&core).await
}

async fn erase(
    actor: Principal,
    core: Running,
    Path(name): Path<String>,
    Json(body): Json<EraseSubject>,
) -> ApiResult<axum::Json<ErasedSubject>> {
    if body.confirm != name {
        let detail = format!("confirm is '{}'; repeat the name of the stream, '{name}'", body.confirm);
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "not_confirmed", detail));
    }
    let stream = StreamName::reserved(name.as_str());
    let stream = stream.map_err(|error| ApiError::not_found(error.to_string()))?;
    let erasure = core.0.erase(&stream, &actor.actor()).await?;
    Ok(axum::Json(core.told(&stream, &erasure)))
}
