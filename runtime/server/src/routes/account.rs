//! Set-up, sign-in and sign-out, for the editor and as Node-RED's tools do it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tidewire_api::account::{AuthState, GrantedToken, Login, RevokeToken, Session, SessionUser, Setup, TokenGrant};

use crate::app::App;
use crate::audit;
use crate::auth::{AuthError, LoggedIn, Origin, Permission, Who, sessions};
use crate::error::{ApiError, ApiResult};
use crate::web::client;
use crate::web::extract::Json;
use crate::web::guard::{Caller, session_cookie};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    let public = Permission::Public;
    routes.add(Route::get("/api/session", public, "Says who is signed in").answers::<Session>(), session);
    let setup_route = Route::post("/api/setup", public, "Makes the first user, with the link that the server printed");
    routes.add(setup_route.body::<Setup>().answers::<SessionUser>(), setup);
    routes.add(Route::post("/api/login", public, "Signs in").body::<Login>().answers::<SessionUser>(), login);
    routes.add(Route::post("/api/logout", public, "Signs out").status(204), logout);
    routes.add(Route::get("/auth/login", public, "Says how to sign in, for Node-RED's tools"), how_to_login);
    let token = Route::post("/auth/token", public, "Signs in and answers a bearer token, for Node-RED's tools");
    routes.add(token.body::<TokenGrant>().answers::<GrantedToken>(), grant);
    let revoke_route = Route::post("/auth/revoke", public, "Ends a bearer token, for Node-RED's tools");
    routes.add(revoke_route.body::<RevokeToken>(), revoke);
}

async fn session(State(app): State<App>, caller: Caller) -> axum::Json<Session> {
    let user = match caller.principal.map(|principal| principal.who) {
        Some(Who::User { name, role, .. }) => Some(SessionUser { name, role }),
        _ => None,
    };
    let auth = if app.auth.enabled { AuthState::On } else { AuthState::Off };
    axum::Json(Session { auth, setup: app.auth.needs_setup(), user })
}

async fn setup(
    State(app): State<App>,
    origin: Origin,
    headers: HeaderMap,
    Json(body): Json<Setup>,
) -> ApiResult<Response> {
    let (inner, now) = (app.clone(), app.now_ms());
    let from = origin.clone();
    let work = move || inner.auth.set_up(&body.token, &body.username, &body.password, &from, now);
    let login = app.auth.hashing.run(work).await?;
    record(&app, &format!("user-{}", login.name), "tidewire.user.added", &login.name, json!({"role": login.role}))
        .await;
    Ok(signed_in(&app, &headers, &origin, login).await)
}

async fn login(
    State(app): State<App>,
    origin: Origin,
    headers: HeaderMap,
    Json(body): Json<Login>,
) -> ApiResult<Response> {
    let login = try_login(&app, &origin, body.username, body.password).await?;
    Ok(signed_in(&app, &headers, &origin, login).await)
}

async fn try_login(app: &App, origin: &Origin, name: String, password: String) -> ApiResult<LoggedIn> {
    let (inner, now) = (app.clone(), app.now_ms());
    let (from, user) = (origin.clone(), name.clone());
    let result = app.auth.hashing.run(move || inner.auth.login(&user, &password, &from, now)).await;
    if let Err(AuthError::Refused { code: "invalid_grant", .. }) = &result {
        // A name that nobody has must not make a stream of its own.
        let stream = app.auth.users.get(&name).map_or("user-unknown".to_owned(), |user| format!("user-{}", user.name));
        let data = json!({"address": origin.address, "agent": origin.agent});
        record(app, &stream, "tidewire.login.failed", "nobody", data).await;
    }
    Ok(result?)
}

async fn signed_in(app: &App, headers: &HeaderMap, origin: &Origin, login: LoggedIn) -> Response {
    note_login(app, origin, &login).await;
    let cookie = session_cookie(Some(&login.secret), client::is_secure(headers, app.settings.behind_proxy));
    let user = SessionUser { name: login.name, role: login.role };
    ([(header::SET_COOKIE, cookie)], axum::Json(user)).into_response()
}

async fn note_login(app: &App, origin: &Origin, login: &LoggedIn) {
    let data = json!({"user": login.name, "role": login.role, "address": origin.address, "agent": origin.agent});
    record(app, &format!("session-{}", login.session), "tidewire.session.started", &login.name, data).await;
}

/// Recorded when the log runs; signing in works before that too.
async fn record(app: &App, stream: &str, event_type: &'static str, user: &str, data: Value) {
    if let Some(core) = app.core() {
        audit::record(&core, stream, event_type, &format!("user:{user}"), data).await;
    }
}

async fn logout(State(app): State<App>, caller: Caller, headers: HeaderMap) -> ApiResult<Response> {
    if caller.by_cookie && !headers.contains_key("x-requested-by") {
        let text = "a change needs the header X-Requested-By: tidewire";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "header_missing", text));
    }
    if let Some(secret) = caller.secret {
        end(&app, &secret).await?;
    }
    let cookie = session_cookie(None, client::is_secure(&headers, app.settings.behind_proxy));
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

async fn end(app: &App, secret: &str) -> ApiResult<()> {
    if let Some(user) = app.auth.sessions.close(secret)? {
        let name = sessions::hash_of(secret).get(..16).unwrap_or_default().to_owned();
        record(app, &format!("session-{name}"), "tidewire.session.ended", &user, json!({"user": user})).await;
    }
    Ok(())
}

async fn how_to_login(State(app): State<App>) -> axum::Json<Value> {
    if !app.auth.enabled {
        return axum::Json(json!({}));
    }
    axum::Json(json!({"type": "credentials", "prompts": [
        {"id": "username", "type": "text", "label": "Username"},
        {"id": "password", "type": "password", "label": "Password"}
    ]}))
}

async fn grant(
    State(app): State<App>,
    origin: Origin,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> ApiResult<axum::Json<GrantedToken>> {
    let body: TokenGrant = read_form_or_json(&headers, &body)?;
    if body.grant_type != "password" {
        let text = "only the grant type password is known here";
        return Err(ApiError::bad_request("unsupported_grant_type", text).with("error", "unsupported_grant_type"));
    }
    let login = try_login(&app, &origin, body.username, body.password).await.map_err(|error| {
        let code = error.code;
        error.with("error", code)
    })?;
    note_login(&app, &origin, &login).await;
    let expires_in = sessions::ABSOLUTE_MS / 1000;
    Ok(axum::Json(GrantedToken { access_token: login.secret, expires_in, token_type: "Bearer".to_owned() }))
}

async fn revoke(State(app): State<App>, headers: HeaderMap, body: axum::body::Bytes) -> ApiResult<StatusCode> {
    let body: RevokeToken = read_form_or_json(&headers, &body)?;
    end(&app, &body.token).await?;
    Ok(StatusCode::OK)
}

/// OAuth 2 clients send forms, Node-RED's own tools JSON.
fn read_form_or_json<T: serde::de::DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> ApiResult<T> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if kind.starts_with("application/x-www-form-urlencoded") {
        let text = String::from_utf8_lossy(body);
        let uri = format!("/?{text}").parse::<axum::http::Uri>();
        let uri = uri.map_err(|_| ApiError::bad_request("invalid_body", "the form cannot be read"))?;
        return axum::extract::Query::<T>::try_from_uri(&uri)
            .map(|axum::extract::Query(form)| form)
            .map_err(|error| ApiError::bad_request("invalid_body", error.to_string()));
    }
    crate::web::extract::require_json(headers)?;
    serde_json::from_slice(body).map_err(|error| crate::web::extract::bad_json(&error))
}
