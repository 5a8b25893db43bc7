//! Users and API tokens.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tidewire_api::List;
use tidewire_api::account::{CreatedToken, NewToken, NewUser, Token, User, UserChange};

use crate::app::App;
use crate::audit;
use crate::auth::{Permission, Principal, Who};
use crate::error::ApiResult;
use crate::web::extract::{Json, Path, Running};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let manage = Permission::UsersManage;
    routes.add(Route::get("/api/users", manage, "Lists users").answers::<List<User>>(), list_users);
    let add = Route::post("/api/users", manage, "Adds a user").body::<NewUser>().answers::<User>().status(201);
    routes.add(add, add_user);
    let change = Route::put("/api/users/{name}", manage, "Changes a user's role or password");
    routes.add(change.body::<UserChange>().answers::<User>(), change_user);
    routes.add(Route::delete("/api/users/{name}", manage, "Removes a user").status(204), remove_user);
    routes.add(Route::get("/api/tokens", manage, "Lists API tokens").answers::<List<Token>>(), list_tokens);
    let create = Route::post("/api/tokens", manage, "Creates an API token, whose secret is shown this once");
    routes.add(create.body::<NewToken>().answers::<CreatedToken>().status(201), create_token);
    routes.add(Route::delete("/api/tokens/{id}", manage, "Revokes an API token").status(204), revoke_token);
}

async fn note(core: &Running, actor: &Principal, user: &str, event_type: &'static str, data: Value) {
    audit::record(core, &format!("user-{user}"), event_type, &actor.actor(), data).await;
}

async fn list_users(State(app): State<App>) -> axum::Json<List<User>> {
    axum::Json(List::whole(app.auth.users.list().iter().map(crate::auth::users::User::public).collect()))
}

async fn add_user(
    State(app): State<App>,
    actor: Principal,
    core: Running,
    Json(body): Json<NewUser>,
) -> ApiResult<(StatusCode, axum::Json<User>)> {
    let (inner, now) = (app.clone(), app.now_ms());
    let work = move || inner.auth.users.add(&body.name, body.role, &body.password, now);
    let user = app.auth.hashing.run(work).await?;
    note(&core, &actor, &user.name, "tidewire.user.added", json!({"role": user.role})).await;
    Ok((StatusCode::CREATED, axum::Json(user.public())))
}

async fn change_user(
    State(app): State<App>,
    actor: Principal,
    core: Running,
    Path(name): Path<String>,
    Json(body): Json<UserChange>,
) -> ApiResult<axum::Json<User>> {
    let (inner, role, new_password) = (app.clone(), body.role, body.password.is_some());
    let work = move || {
        let user = inner.auth.users.update(&name, body.role, body.password.as_deref())?;
        // Whoever knew the old password is out, and a new role needs a new session.
        inner.auth.sessions.close_all_of(&user.name)?;
        Ok(user)
    };
    let user = app.auth.hashing.run(work).await?;
    note(&core, &actor, &user.name, "tidewire.user.changed", json!({"role": role, "password": new_password})).await;
    Ok(axum::Json(user.public()))
}

async fn remove_user(
    State(app): State<App>,
    actor: Principal,
    core: Running,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    app.auth.users.remove(&name)?;
    app.auth.revoke_user(&name)?;
    note(&core, &actor, &name, "tidewire.user.removed", json!({})).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_tokens(State(app): State<App>) -> axum::Json<List<Token>> {
    axum::Json(List::whole(app.auth.tokens.list().iter().map(crate::auth::tokens::Token::public).collect()))
}

async fn create_token(
    State(app): State<App>,
    actor: Principal,
    core: Running,
    Json(body): Json<NewToken>,
) -> ApiResult<(StatusCode, axum::Json<CreatedToken>)> {
    let owner = match &actor.who {
        Who::User { name, .. } => Some(name.clone()),
        Who::Token { owner, .. } => owner.clone(),
        Who::Local | Who::Anybody => None,
    };
    let user = owner.clone().unwrap_or_else(|| "local".to_owned());
    let created = app.auth.tokens.create(&body, owner, app.now_ms())?;
    let data = json!({"token": created.facts.id, "name": created.facts.name, "scopes": created.facts.scopes});
    note(&core, &actor, &user, "tidewire.token.created", data).await;
    Ok((StatusCode::CREATED, axum::Json(created)))
}

async fn revoke_token(
    State(app): State<App>,
    actor: Principal,
    core: Running,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let token = app.auth.tokens.revoke(&id)?;
    let user = token.owner.unwrap_or_else(|| "local".to_owned());
    note(&core, &actor, &user, "tidewire.token.revoked", json!({"token": token.id})).await;
    Ok(StatusCode::NO_CONTENT)
}
