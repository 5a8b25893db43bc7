//! `tidewire log backup|restore|verify`: copies of the log, and the way back.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tidewire_api::backup::{Backup, BackupState};
use tidewire_log::KeyBackup;
use tidewire_log::backup::{self, At, Progress, back_up_folder, is_backup, verify_backup};
use tidewire_model::event::time::{format_rfc3339, parse_rfc3339};

use super::local::{self, Client, Place};
use super::progress::{poll, watch};
use super::{Failure, Outcome};
use crate::backups::small_files;
use crate::files::DataDir;
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// A folder: new, empty, or with an earlier backup, to which only what is new is added
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Write the keys of personal streams into this file; keep it apart from the backup
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The new data folder
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// As it was: a position, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "POSITION|TIME")]
    at: Option<String>,
}

/// Backs up, over the socket when a server runs.
pub(super) fn backup(settings: &Settings, args: &BackupArgs) -> Outcome {
    let folder = std::path::absolute(&args.folder)?;
    let place = local::place(settings)?;
    let data = DataDir::new(&settings.data_dir);
    match &place {
        Place::Server(server) => report(&through_server(server, &folder)?),
        Place::Folder(data, _lock) => {
            let (log, others, to) = (data.log(), small_files(data), folder.clone());
            let report = watch("backing up", move |progress| back_up_folder(&log, &to, others, &progress))?;
            println!(
                "backed up to position {}: {} files, {} of them new, {} bytes copied",
                report.end.position, report.files, report.copied_files, report.copied_bytes
            );
            damaged(&report.problems)?;
        }
    }
    println!("not in it: secrets, keys, sessions; the index is rebuilt after a restore");
    match &args.keys {
        Some(file) => keys(&data, file),
        None => Ok(()),
    }
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

fn report(backup: &Backup) {
    println!(
        "backed up to position {}: {} files, {} of them new, {} bytes copied",
        backup.position.unwrap_or_default(),
        backup.files.unwrap_or_default(),
        backup.copied_files.unwrap_or_default(),
        backup.done_bytes
    );
    backup.problems.iter().for_each(|problem| println!("{problem}"));
}

fn damaged(problems: &[String]) -> Outcome {
    problems.iter().for_each(|problem| println!("{problem}"));
    if problems.is_empty() { Ok(()) } else { Err(Failure { status: 1, text: String::new() }) }
}

fn keys(data: &DataDir, file: &Path) -> Outcome {
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    match KeyBackup::write(&data.keys(), file, now).map_err(Failure::usage)? {
        Some(count) => println!("{count} keys in {}: whoever has that file can read what they protect", file.display()),
        None => println!("there are no keys"),
    }
    Ok(())
}

/// Makes a data folder from a backup.
pub(super) fn restore(args: RestoreArgs) -> Outcome {
    let at = match args.at.as_deref() {
        None => At::End,
        Some(text) => point(text)?,
    };
    let (folder, to) = (args.folder, args.to);
    let shown = to.display().to_string();
    let restored = watch("restoring", move |progress| backup::restore(&folder, &to, at, &progress))?;
    println!("restored to position {}: {} files, {} bytes", restored.end.position, restored.files, restored.bytes);
    println!("start it with: tidewire --data-dir {shown}");
    Ok(())
}

fn point(text: &str) -> Result<At, Failure> {
    if let Ok(position) = text.parse() {
        return Ok(At::Position(position));
    }
    let time = parse_rfc3339(text).map(At::Time);
    time.ok_or_else(|| Failure::usage(format!("'{text}' is neither a position nor a time; try 2026-01-31T12:00:00Z")))
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
    damaged(&checked.problems)
}
