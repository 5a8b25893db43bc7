//! Backups of the log to a folder of the server's machine.

use std::path::PathBuf;

use axum::extract::State;
use axum::http::StatusCode;
use tidewire_api::List;
use tidewire_api::backup::{Backup, BackupRequest};
use tidewire_log::{KEY_BACKUP_DAYS, KEY_BACKUP_DAYS_MAX};

use crate::app::App;
use crate::auth::Permission;
use crate::backups::Order;
use crate::error::{ApiError, ApiResult};
use crate::files::DataDir;
use crate::web::extract::{Json, Path, Running};
use crate::web::route::{Route, Routes};

pub fn register(routes: &mut Routes) {
    // Whoever may do that reads everything, and writes to the disk of the machine.
    let admin = Permission::UsersManage;
    let list_route = Route::get("/api/log/backups", admin, "Backups since the server started, the latest first");
    routes.add(list_route.answers::<List<Backup>>(), list);
    let begin_route = Route::post("/api/log/backups", admin, "Begins a backup of the log");
    routes.add(begin_route.body::<BackupRequest>().answers::<Backup>().status(202), begin);
    let one_route = Route::get("/api/log/backups/{id}", admin, "How far a backup is");
    routes.add(one_route.answers::<Backup>(), one);
    let cancel_route = Route::delete("/api/log/backups/{id}", admin, "Gives a backup up");
    routes.add(cancel_route.answers::<Backup>(), cancel);
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no backup \"{id}\" since the server started"))
}

async fn list(core: Running) -> axum::Json<List<Backup>> {
    axum::Json(List::whole(core.backups.list()))
}

async fn begin(
    State(app): State<App>,
    core: Running,
    Json(body): Json<BackupRequest>,
) -> ApiResult<(StatusCode, axum::Json<Backup>)> {
    let whole = |path: &str, code: &'static str, what: &str| {
        let path = PathBuf::from(path);
        let text = || ApiError::bad_request(code, format!("give the whole path of the {what}, beginning with /"));
        if path.is_absolute() { Ok(path) } else { Err(text()) }
    };
    let folder = whole(&body.folder, "invalid_folder", "folder")?;
    let keys = body.keys.as_deref().map(|file| whole(file, "invalid_keys", "file for the keys")).transpose()?;
    if keys.as_ref().is_some_and(|file| file.starts_with(&folder)) {
        let text = "the file for the keys lies in the folder of the backup; keep them apart";
        return Err(ApiError::bad_request("invalid_keys", text));
    }
    let days = body.keys_days.unwrap_or(KEY_BACKUP_DAYS);
    if !(1..=KEY_BACKUP_DAYS_MAX).contains(&days) {
        let text = format!("keysDays is {days}; use 1 to {KEY_BACKUP_DAYS_MAX}");
        return Err(ApiError::bad_request("invalid_keys", text));
    }
    let order = Order { folder, keys: keys.map(|file| (file, days)) };
    let data = DataDir::new(&app.settings.data_dir);
    let begun = core.backups.begin(core.log.clone(), data, order, app.now_ms());
    let running = "a backup is under way; wait for it or cancel it";
    let begun = begun.ok_or_else(|| ApiError::new(StatusCode::CONFLICT, "backup_running", running))?;
    Ok((StatusCode::ACCEPTED, axum::Json(begun)))
}

async fn one(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<Backup>> {
    core.backups.one(&id).map(axum::Json).ok_or_else(|| unknown(&id))
}

async fn cancel(core: Running, Path(id): Path<String>) -> ApiResult<axum::Json<Backup>> {
    core.backups.cancel(&id).map(axum::Json).ok_or_else(|| unknown(&id))
}
