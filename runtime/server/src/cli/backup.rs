//! `tidewire log backup|restore|verify`: copies of the log, and the way back.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tidewire_api::backup::{Backup, BackupState};
use tidewire_log::backup::{self, At, Progress, back_up_folder, is_backup, verify_backup};
use tidewire_model::event::time::{Point, format_rfc3339, parse_point};

use super::local::{self, Client, Place};
use super::progress::{poll, watch};
use super::{Failure, Outcome, keys};
use crate::backups::others;
use crate::files::{DataDir, SETTINGS};
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// A folder: new, empty, or with an earlier backup, to which only what is new is added
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Write the keys of personal streams and of secrets into this file; keep it apart from the backup
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    days: keys::Days,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The new data folder
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// The file that was written with --keys; without it personal data and secrets of nodes cannot be read
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// As it was: a position, or a time such as 2026-01-31T12:00:00Z or milliseconds since 1970
    #[arg(long, value_name = "POSITION|TIME")]
    at: Option<String>,
}

/// Backs up, over the socket when a server runs.
pub(super) fn backup(settings: &Settings, args: &BackupArgs) -> Outcome {
    let folder = std::path::absolute(&args.folder)?;
    if args.keys.as_ref().is_some_and(|file| std::path::absolute(file).is_ok_and(|file| file.starts_with(&folder))) {
        return Err(Failure::usage("--keys lies in the folder of the backup; keep them apart, name another file"));
    }
    let place = local::place(settings)?;
    let data = DataDir::new(&settings.data_dir);
    let problems = match &place {
        Place::Server(server) => {
            let made = through_server(server, &folder)?;
            let (position, files) = (made.position.unwrap_or_default(), made.files.unwrap_or_default());
            told(position, files, made.copied_files.unwrap_or_default(), made.done_bytes);
            made.problems
        }
        Place::Folder(data, _lock) => {
            let (log, others, to) = (data.log(), others(data), folder.clone());
            let made = watch("backing up", move |progress| back_up_folder(&log, &to, others, &progress))?;
            told(made.end.position.get(), made.files, made.copied_files, made.copied_bytes);
            made.problems
        }
    };
    let left_out = others(&data).left_out;
    let names = left_out.iter().map(|one| one.what.as_str()).collect::<Vec<_>>().join(", ");
    println!("not in it: {names}; `tidewire log verify {}` says why", folder.display());
    if let Some(file) = &args.keys {
        keys::back_up(&data, file, args.days.days)?;
    }
    damaged(&problems)
}

fn told(position: u64, files: u64, new: u64, bytes: u64) {
    println!("backed up to position {position}: {files} files, {new} of them new, {bytes} bytes copied");
}

fn through_server(server: &Client, folder: &Path) -> Result<Backup, Failure> {
    let read = |answer| serde_json::from_value::<Backup>(answer).map_err(Failure::from);
    let begun = read(server.send("POST", "/api/log/backups", Some(&json!({"folder": folder})), &[])?)?;
    let path = format!("/api/log/backups/{}", begun.id);
    let ask = || {
        let backup = read(server.get(&path)?)?;
        let bytes = (backup.done_bytes, backup.total_bytes);
        Ok((bytes, (backup.state != BackupState::Running).then_some(backup)))
    };
    let backup = poll("backing up", ask, || server.send("DELETE", &path, None, &[]).map(drop))?;
    match backup.state {
        BackupState::Done => Ok(backup),
        _ => Err(Failure::usage(backup.error.as_deref().unwrap_or("the backup was not made"))),
    }
}

/// Prints what is damaged; the command has failed then.
fn damaged(problems: &[String]) -> Outcome {
    problems.iter().for_each(|problem| println!("{problem}"));
    if problems.is_empty() { Ok(()) } else { Err(Failure { status: 1, text: String::new() }) }
}

/// Makes a data folder from a backup.
pub(super) fn restore(args: RestoreArgs) -> Outcome {
    let at = match args.at.as_deref() {
        None => At::End,
        Some(text) => point(text)?,
    };
    let keys = args.keys.as_deref().map(keys::read_valid).transpose()?;
    let (folder, to) = (args.folder, args.to);
    let data = DataDir::new(&to);
    let shown = to.display().to_string();
    let restored = watch("restoring", move |progress| backup::restore(&folder, &to, at, &progress))?;
    println!("restored to position {}: {} files, {} bytes", restored.end.position, restored.files, restored.bytes);
    let _lock = data.lock()?;
    match &keys {
        Some(keys) => keys::put_back(&data, keys)?,
        None => keys::lock_secrets(&data)?,
    }
    let settings = data.path().join(SETTINGS);
    let config = if settings.exists() { format!(" --config {}", settings.display()) } else { String::new() };
    println!("start it with: tidewire --data-dir {shown}{config}");
    Ok(())
}

fn point(text: &str) -> Result<At, Failure> {
    match parse_point(text) {
        Some(Point::Position(position)) => Ok(At::Position(position)),
        Some(Point::Time(time)) => Ok(At::Time(time)),
        None => Err(Failure::usage(format!("'{text}' is neither a position nor a time; try 2026-01-31T12:00:00Z"))),
    }
}

/// Checks a backup. `None` when the folder holds none.
pub(super) fn verify(folder: &Path) -> Option<Outcome> {
    (is_backup(folder) || !folder.join("log").exists() && !folder.join("journal").exists()).then(|| verify_it(folder))
}

fn verify_it(folder: &Path) -> Outcome {
    let folder = folder.to_owned();
    let checked = watch("checking", move |progress: Progress| verify_backup(&folder, &progress))?;
    println!(
        "backup of {} up to position {}: {} files, {} bytes",
        format_rfc3339(checked.created),
        checked.end.position,
        checked.files,
        checked.bytes
    );
    checked.left_out.iter().for_each(|one| println!("not in it: {}: {}", one.what, one.why));
    damaged(&checked.problems)
}
