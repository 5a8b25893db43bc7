//! Backups while the server runs: begun over HTTP, one at a time, watched and cancelled.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tidewire_api::backup::{BackedUpKeys, Backup, BackupState};
use tidewire_log::backup::{BackupError, LeftOut, Others, Progress, Report};
use tidewire_log::{EventLog, KeyBackup, KnownKeyBackup};

use crate::files::{DataDir, SETTINGS};
use crate::secrets;

/// So many are remembered.
const REMEMBERED: usize = 20;

/// The backups since the start.
#[derive(Default)]
pub struct Backups {
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

struct Job {
    id: String,
    folder: PathBuf,
    started: i64,
    progress: Progress,
    outcome: Mutex<Option<Result<Report, BackupError>>>,
    keys: Mutex<Option<Result<KnownKeyBackup, String>>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// Small files of a data folder that belong into a backup of its log.
const FILES: [&str; 4] = ["auth/users.json", "auth/tokens.json", secrets::CREDENTIALS, SETTINGS];

/// What does not, and why.
const LEFT_OUT: [(&str, &str); 5] = [
    ("keys/", "keys of personal streams would undo erasures; write them into a file of their own with --keys"),
    (secrets::KEY, "opens secrets/credentials, so it does not lie beside it; it is in the file of --keys"),
    ("auth/sessions.json", "people sign in again"),
    ("files/", "what nodes read and write can be large and changes meanwhile; copy it like other files"),
    ("log/sled/", "the index is rebuilt from the journal at the first start"),
];

/// What belongs into a backup of a data folder beside its log.
pub fn others(data: &DataDir) -> Others {
    let left_out = LEFT_OUT.map(|(what, why)| LeftOut { what: what.to_owned(), why: why.to_owned() });
    let files = FILES.map(|name| (name.to_owned(), data.path().join(name)));
    Others { files: files.to_vec(), left_out: left_out.to_vec() }
}

/// Writes the keys of a data folder into a file, to be restored for some days from now; `None` when there are none.
///
/// # Errors
/// A text that says which file cannot be read or written.
pub fn write_keys(data: &DataDir, file: &Path, now_and_days: (i64, u32)) -> Result<Option<KnownKeyBackup>, String> {
    let secrets = [(secrets::KEY, data.path().join(secrets::KEY))];
    KeyBackup::write(&data.keys(), &secrets, file, now_and_days)
}

/// A backup that somebody asks for.
pub struct Order {
    pub folder: PathBuf,
    /// The file for the keys, and for how many days they may be restored.
    pub keys: Option<(PathBuf, u32)>,
}

/// A backup of keys as the API shows it.
pub fn public_keys(known: &KnownKeyBackup) -> BackedUpKeys {
    BackedUpKeys {
        file: known.file.display().to_string(),
        created: known.created,
        expires: known.expires,
        keys: known.keys,
    }
}

impl Backups {
    /// Begins a backup; `None` when one is under way.
    pub fn begin(
        &self,
        log: Arc<dyn EventLog>,
        data: DataDir,
        Order { folder, keys }: Order,
        now: i64,
    ) -> Option<Backup> {
        let mut jobs = self.jobs.lock();
        if jobs.front().is_some_and(|job| job.outcome.lock().is_none()) {
            return None;
        }
        let job = Arc::new(Job {
            id: ulid::Ulid::new().to_string(),
            folder: folder.clone(),
            started: now,
            progress: Progress::default(),
            outcome: Mutex::default(),
            keys: Mutex::default(),
            task: Mutex::default(),
        });
        let task = {
            let job = Arc::clone(&job);
            tokio::spawn(async move {
                let outcome = log.back_up(folder, others(&data), job.progress.clone()).await;
                if let (Ok(_), Some(keys)) = (&outcome, keys) {
                    // After the log: whatever key an event in there needs exists by now.
                    job.write_keys(data, keys, now).await;
                }
                match &outcome {
                    Ok(report) => tracing::info!(position = %report.end.position, "backup of the log is complete"),
                    Err(error) => tracing::warn!(error = %error, "backup of the log was not made"),
                }
                *job.outcome.lock() = Some(outcome);
            })
        };
        *job.task.lock() = Some(task);
        let told = job.tell();
        jobs.push_front(job);
        jobs.truncate(REMEMBERED);
        Some(told)
    }

    /// All of them, the latest first.
    pub fn list(&self) -> Vec<Backup> {
        self.jobs.lock().iter().map(|job| job.tell()).collect()
    }

    /// One of them.
    pub fn one(&self, id: &str) -> Option<Backup> {
        self.jobs.lock().iter().find(|job| job.id == id).map(|job| job.tell())
    }

    /// Gives one up, if it is under way.
    pub fn cancel(&self, id: &str) -> Option<Backup> {
        let jobs = self.jobs.lock();
        let job = jobs.iter().find(|job| job.id == id)?;
        job.progress.cancel();
        Some(job.tell())
    }

    /// Gives up what is under way and waits for its end.
    pub async fn stop(&self) {
        let task = self.jobs.lock().front().and_then(|job| {
            job.progress.cancel();
            job.task.lock().take()
        });
        if let Some(task) = task {
            // It has nothing to say.
            let _ = task.await;
        }
    }
}

impl Job {
    async fn write_keys(&self, data: DataDir, (file, days): (PathBuf, u32), now: i64) {
        let written = tokio::task::spawn_blocking(move || write_keys(&data, &file, (now, days))).await;
        let written = written.map_err(|error| error.to_string()).flatten().transpose();
        if let Some(Err(reason)) = &written {
            tracing::warn!(reason, "keys were not backed up");
        }
        *self.keys.lock() = written;
    }

    fn tell(&self) -> Backup {
        let (done_bytes, total_bytes) = self.progress.bytes();
        let outcome = self.outcome.lock();
        let state = match &*outcome {
            None => BackupState::Running,
            Some(Ok(_)) => BackupState::Done,
            Some(Err(BackupError::Cancelled)) => BackupState::Cancelled,
            Some(Err(_)) => BackupState::Failed,
        };
        let report = outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
        let keys = self.keys.lock();
        let mut problems = report.map(|report| report.problems.clone()).unwrap_or_default();
        problems.extend(keys.as_ref().and_then(|keys| keys.as_ref().err()).map(|reason| format!("no keys: {reason}")));
        Backup {
            id: self.id.clone(),
            folder: self.folder.display().to_string(),
            state,
            started: self.started,
            done_bytes,
            total_bytes,
            position: report.map(|report| report.end.position.get()),
            files: report.map(|report| report.files),
            copied_files: report.map(|report| report.copied_files),
            problems,
            keys: keys.as_ref().and_then(|keys| keys.as_ref().ok()).map(public_keys),
            error: outcome.as_ref().and_then(|outcome| outcome.as_ref().err()).map(ToString::to_string),
        }
    }
}
