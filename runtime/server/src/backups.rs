//! Backups while the server runs: begun over HTTP, one at a time, watched and cancelled.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tidewire_api::backup::{Backup, BackupState};
use tidewire_log::EventLog;
use tidewire_log::backup::{BackupError, Progress, Report};

use crate::files::DataDir;

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
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// Small files of a data folder that belong into a backup of its log, with their places there. Secrets and keys do not.
pub fn small_files(data: &DataDir) -> Vec<(String, PathBuf)> {
    let names = ["auth/users.json", "auth/tokens.json"];
    names.iter().map(|name| ((*name).to_owned(), data.path().join(name))).collect()
}

impl Backups {
    /// Begins a backup; `None` when one is under way.
    pub fn begin(
        &self,
        log: Arc<dyn EventLog>,
        folder: PathBuf,
        others: Vec<(String, PathBuf)>,
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
            task: Mutex::default(),
        });
        let task = {
            let job = Arc::clone(&job);
            tokio::spawn(async move {
                let outcome = log.back_up(folder, others, job.progress.clone()).await;
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
            problems: report.map(|report| report.problems.clone()).unwrap_or_default(),
            error: outcome.as_ref().and_then(|outcome| outcome.as_ref().err()).map(ToString::to_string),
        }
    }
}
