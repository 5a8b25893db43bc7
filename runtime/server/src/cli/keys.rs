//! `tidewire log keys`: the keys of personal streams and of secrets in a file of their own, and back.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tidewire_engine::{Clock as _, SystemClock};
use tidewire_log::{KEY_BACKUP_DAYS, KeyBackup, KnownKeyBackup, erased_keys, known_key_backups, restore_keys};
use tidewire_model::event::time::format_rfc3339;

use super::local::{self, Place};
use super::{Failure, Outcome};
use crate::app::CoreError;
use crate::backups::write_keys;
use crate::files::DataDir;
use crate::secrets;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Writes all keys into a file; keep it apart from backups of the log
    Backup {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        days: Days,
    },
    /// Prints what a file with keys holds, and until when it may be restored
    Show {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Puts keys back into the data folder, but for erased ones (without a running server)
    Restore {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Days {
    /// For how many days the keys may be restored; what is erased meanwhile can come back that long
    #[arg(long = "keys-days", value_name = "DAYS", default_value_t = KEY_BACKUP_DAYS)]
    pub days: u32,
}

pub(super) fn run(settings: &Settings, command: Option<KeysCommand>) -> Outcome {
    let data = DataDir::new(&settings.data_dir);
    match command {
        None => list(&data),
        Some(KeysCommand::Backup { file, days }) => back_up(&data, &file, days.days),
        Some(KeysCommand::Show { file }) => show(&file),
        Some(KeysCommand::Restore { file }) => {
            let backup = read_valid(&file)?;
            let Place::Folder(data, _lock) = local::place(settings)? else {
                return Err(Failure::usage("a server uses this data folder; stop it first, then restore the keys"));
            };
            put_back(&data, &backup)
        }
    }
}

fn row(known: &KnownKeyBackup) -> String {
    let (made, expires) = (format_rfc3339(known.created), format_rfc3339(known.expires));
    format!("{} keys of streams in {}, made at {made}, expires at {expires}", known.keys, known.file.display())
}

fn list(data: &DataDir) -> Outcome {
    known_key_backups(&data.keys()).map_err(Failure::usage)?.iter().for_each(|known| println!("{}", row(known)));
    Ok(())
}

/// Writes the keys of a data folder into a file.
pub(super) fn back_up(data: &DataDir, file: &Path, days: u32) -> Outcome {
    match write_keys(data, file, (SystemClock.now_ms(), days)).map_err(Failure::usage)? {
        Some(known) => {
            println!("{}", row(&known));
            println!("whoever has that file can read what they protect, and the secrets of nodes: keep it apart");
        }
        None => println!("there are no keys"),
    }
    Ok(())
}

fn show(file: &Path) -> Outcome {
    let backup = KeyBackup::read(file).map_err(Failure::usage)?;
    let keys = backup.keys() as u64;
    let known = KnownKeyBackup { file: file.to_owned(), created: backup.created, expires: backup.expires, keys };
    println!("{}", row(&known));
    backup.still_valid(SystemClock.now_ms()).map_err(|text| Failure { status: 1, text })
}

/// A backup of keys that has not expired.
pub(super) fn read_valid(file: &Path) -> Result<KeyBackup, Failure> {
    let backup = KeyBackup::read(file).map_err(Failure::usage)?;
    backup.still_valid(SystemClock.now_ms()).map_err(Failure::usage)?;
    Ok(backup)
}

/// Puts keys into a data folder that is locked.
pub(super) fn put_back(data: &DataDir, backup: &KeyBackup) -> Outcome {
    let failed = |text: String| Failure::usage(text);
    let opened = backup.restore_others(data.path()).map_err(failed)?.iter().any(|name| name == secrets::KEY);
    if opened {
        open_secrets(data)?;
        println!("the secrets of nodes can be read again");
    }
    if backup.keys() == 0 {
        return Ok(());
    }
    // Only the log knows which of them were erased after the backup was made.
    let erased = local::with_log(data, async |log| {
        log.ready().await.map_err(CoreError::Log)?;
        Ok(erased_keys(log).await.map_err(CoreError::Log)?)
    })?;
    let restored = restore_keys(backup, &data.keys(), &erased, SystemClock.now_ms()).map_err(failed)?;
    println!(
        "{} keys of streams restored, {} were there, {} left out because the log says that they are erased",
        restored.restored, restored.known, restored.erased
    );
    Ok(())
}

fn secrets(data: &DataDir) -> (PathBuf, PathBuf) {
    let file = data.path().join(secrets::CREDENTIALS);
    let locked = file.with_extension("locked");
    (file, locked)
}

/// Puts secrets aside that nothing can open, so that a server starts without them.
pub(super) fn lock_secrets(data: &DataDir) -> Outcome {
    let (file, locked) = secrets(data);
    if file.exists() {
        std::fs::rename(&file, &locked)?;
        println!(
            "the secrets of nodes are in {}, but their key is not in a backup: give them anew, or put it back first with \
             `tidewire log keys restore FILE`",
            locked.display()
        );
    }
    Ok(())
}

fn open_secrets(data: &DataDir) -> Outcome {
    let (file, locked) = secrets(data);
    if locked.exists() && !file.exists() {
        std::fs::rename(locked, file)?;
    }
    Ok(())
}
