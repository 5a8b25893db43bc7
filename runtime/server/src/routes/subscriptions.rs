//! Who follows the log, and the places that are kept for those who do.

use axum::http::StatusCode;
use tidewire_api::List;
use tidewire_api::log::{Checkpoint, CheckpointAt, FollowerInfo};
use tidewire_log::EventLog as _;
use tidewire_model::position::Position;

use super::events::failures;
use crate::app::Core;
use crate::auth::Permission;
use crate::error::{ApiError, ApiResult};
use crate::web::extract::{Json, Path, Running};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let read = Permission::EventsRead;
    let manage = Permission::FlowsWrite;
    let list_route = Route::get("/api/subscriptions", read, "Who follows the log, and how far behind each is");
    routes.add(list_route.answers::<List<FollowerInfo>>(), list);
    let checkpoints_route = Route::get("/api/checkpoints", read, "Places in the log that are kept under a name");
    routes.add(checkpoints_route.answers::<List<Checkpoint>>(), checkpoints);
    let one_route = Route::get("/api/checkpoints/{*name}", read, "One place in the log");
    routes.add(one_route.answers::<Checkpoint>(), one);
    let put_route = Route::put("/api/checkpoints/{*name}", manage, "Moves a place in the log, or makes one");
    routes.add(put_route.body::<CheckpointAt>().answers::<Checkpoint>(), put);
    routes.add(Route::delete("/api/checkpoints/{*name}", manage, "Forgets a place in the log").status(204), delete);
}

fn public(core: &Core, name: String, position: Position) -> Checkpoint {
    let lag = core.log.head().get().saturating_sub(position.get());
    Checkpoint { name, position: position.get(), lag }
}

async fn stored(core: &Core) -> ApiResult<Vec<Checkpoint>> {
    let found = core.log.checkpoints().await?;
    Ok(found.into_iter().map(|(name, position)| public(core, name.into(), position)).collect())
}

async fn list(core: Running) -> ApiResult<axum::Json<List<FollowerInfo>>> {
    let head = core.log.head().get();
    let mut items: Vec<FollowerInfo> = core
        .followers
        .list()
        .iter()
        .map(|follower| FollowerInfo {
            kind: follower.kind.to_owned(),
            name: follower.id.to_string(),
            actor: Some(follower.actor.clone()),
            filter: serde_json::to_value(&follower.filter).ok(),
            position: follower.position().get(),
            lag: head.saturating_sub(follower.position().get()),
            under_way: Some(follower.waiting()),
            since: Some(follower.since),
            filter_failures: failures(&follower.filter),
        })
        .collect();
    items.extend(super::consumers::followers(&core).await?);
    items.extend(stored(&core).await?.into_iter().map(|checkpoint| FollowerInfo {
        kind: "checkpoint".to_owned(),
        name: checkpoint.name,
        actor: None,
        filter: None,
        position: checkpoint.position,
        lag: checkpoint.lag,
        under_way: None,
        since: None,
        filter_failures: None,
    }));
    Ok(axum::Json(List::whole(items)))
}

async fn checkpoints(core: Running) -> ApiResult<axum::Json<List<Checkpoint>>> {
    stored(&core).await.map(List::whole).map(axum::Json)
}

async fn find(core: &Core, name: &str) -> ApiResult<Position> {
    let unknown = || ApiError::not_found(format!("there is no checkpoint '{name}'"));
    core.log.checkpoint(name.into()).await?.ok_or_else(unknown)
}

async fn one(core: Running, Path(name): Path<String>) -> ApiResult<axum::Json<Checkpoint>> {
    let position = find(&core, &name).await?;
    Ok(axum::Json(public(&core, name, position)))
}

async fn put(
    core: Running,
    Path(name): Path<String>,
    Json(at): Json<CheckpointAt>,
) -> ApiResult<axum::Json<Checkpoint>> {
    let (position, head) = (Position::new(at.position), core.log.head());
    if position > head {
        let text = format!(
            "position {position} is beyond the end of the log, {head}; whoever goes on there would miss events"
        );
        return Err(ApiError::bad_request("invalid_position", text));
    }
    core.log.set_checkpoint(name.as_str().into(), position).await?;
    Ok(axum::Json(public(&core, name, position)))
}

async fn delete(core: Running, Path(name): Path<String>) -> ApiResult<StatusCode> {
    find(&core, &name).await?;
    core.log.forget_checkpoint(name.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
