//! `tidewire log`: look into the event log, check it, rebuild its index.

mod checkpoints;
mod export;
mod keeping;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidewire_log::{EventLog, PersonalError, StoreHealth};
use tidewire_model::event::StreamName;

use checkpoints::Checkpoints;
use export::Export;

use super::local::{self, Place, encode};
use super::progress::Line;
use super::{Failure, Outcome, backup, keys};
use crate::app::CoreError;
use crate::settings::Settings;

/// Events that `tail` shows unless something else is said.
const LAST: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Prints the last events, and new ones as they come while a server runs
    Tail {
        #[command(flatten)]
        filter: Filter,
        /// End after the last events instead of waiting for new ones
        #[arg(long)]
        no_follow: bool,
    },
    /// Prints events as JSON, one a line, or as CSV; all of them into a file
    Read {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        export: Export,
    },
    /// Lists, moves or forgets the places that are kept in the log under a name
    Checkpoints {
        #[command(subcommand)]
        command: Option<Checkpoints>,
    },
    /// Prints how many events and streams there are, and what they take
    Stats,
    /// Prints the policies by which events are dropped, or sets them
    Retention {
        #[command(subcommand)]
        command: Option<keeping::RetentionCommand>,
    },
    /// Drops now what the policies say, while a server runs
    Compact(keeping::Compact),
    /// Prints which streams hold personal data and are encrypted, or says it
    Personal {
        #[command(subcommand)]
        command: Option<keeping::PersonalCommand>,
    },
    /// Destroys the key of a stream with personal data, so that nobody can read it any more
    Erase {
        /// The stream
        stream: String,
        /// Its name once more: an erasure cannot be taken back
        #[arg(long, value_name = "STREAM")]
        confirm: String,
    },
    /// Reads the whole journal, or a backup, and checks every byte of it
    Verify {
        /// A backup, or another data folder
        #[arg(value_name = "DIR")]
        folder: Option<std::path::PathBuf>,
    },
    /// Copies the log into a folder, while a server runs or without one; again, only what is new
    Backup(backup::BackupArgs),
    /// Lists the files with keys that were made here, or makes, shows and restores one
    Keys {
        #[command(subcommand)]
        command: Option<keys::KeysCommand>,
    },
    /// Makes a data folder from a backup
    Restore(backup::RestoreArgs),
    /// Throws the index away and builds it anew from the journal (without a running server)
    Rebuild,
}

#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only this stream; * stands for any run of characters
    #[arg(long)]
    stream: Option<String>,
    /// Only streams of this category
    #[arg(long)]
    category: Option<String>,
    /// Only these event types
    #[arg(long = "type")]
    event_type: Option<String>,
    /// A condition on each event, such as 'data.temperature > 25 && subject.starts_with("thing-")'
    #[arg(long)]
    filter: Option<String>,
    /// How many events at most [default: 20, into a file all]
    #[arg(long)]
    limit: Option<usize>,
}

impl Filter {
    fn query(&self) -> String {
        let pairs = [
            ("stream", &self.stream),
            ("category", &self.category),
            ("type", &self.event_type),
            ("filter", &self.filter),
        ];
        let given = pairs.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value)));
        given.map(|(name, value)| format!("&{name}={}", encode(value))).collect()
    }

    fn to_log(&self) -> Result<tidewire_model::query::Filter, Failure> {
        let types = self.event_type.as_deref().unwrap_or("").split(',').filter(|name| !name.is_empty());
        let condition = self.filter.as_deref().filter(|text| !text.trim().is_empty());
        let condition = condition.map(tidewire_script::compile_condition).transpose();
        Ok(tidewire_model::query::Filter {
            stream: self.stream.as_deref().map(Into::into),
            category: self.category.as_deref().map(Into::into),
            event_types: types.map(Into::into).collect(),
            matching: condition.map_err(|error| Failure::usage(format!("the filter does not compile: {error}")))?,
            ..Default::default()
        })
    }
}

pub(super) fn run(settings: &Settings, command: LogCommand) -> Outcome {
    match command {
        LogCommand::Tail { filter, no_follow } => tail(settings, &filter, !no_follow),
        LogCommand::Read { filter, export } => export::run(settings, &filter, &export),
        LogCommand::Checkpoints { command } => checkpoints::run(settings, command),
        LogCommand::Stats => stats(settings),
        LogCommand::Retention { command } => keeping::retention(settings, command),
        LogCommand::Compact(args) => keeping::compact(settings, &args),
        LogCommand::Personal { command } => keeping::personal(settings, command),
        LogCommand::Erase { stream, confirm } => erase(settings, &stream, &confirm),
        LogCommand::Verify { folder } => verify(settings, folder),
        LogCommand::Backup(args) => backup::backup(settings, &args),
        LogCommand::Keys { command } => keys::run(settings, command),
        LogCommand::Restore(args) => backup::restore(args),
        LogCommand::Rebuild => rebuild(settings),
    }
}

fn lines(events: &[Value]) -> Outcome {
    for event in events {
        println!("{event}");
    }
    Ok(())
}

/// Events after a position in order, or the last ones (`None`), oldest first.
fn read(settings: &Settings, filter: &Filter, after: Option<u64>) -> Result<Vec<Value>, Failure> {
    let limit = filter.limit.unwrap_or(LAST);
    match local::place(settings)? {
        Place::Server(server) => {
            let order = after.map_or("order=desc".to_owned(), |after| format!("order=asc&after={after}"));
            let mut events: Vec<Value> = Vec::new();
            let mut cursor = String::new();
            while events.len() < limit {
                let wanted = (limit - events.len()).min(1_000);
                let page = server.get(&format!("/api/events?{order}&limit={wanted}{}{cursor}", filter.query()))?;
                events.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
                let Some(next) = page.get("next").and_then(Value::as_str) else { break };
                cursor = format!("&cursor={next}");
            }
            if after.is_none() {
                events.reverse();
            }
            Ok(events)
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            use tidewire_model::position::Position;
            use tidewire_model::query::Query;
            let mut events = Vec::new();
            let mut query = match after {
                Some(after) => Query::forwards(filter.to_log()?, Position::new(after).next(), limit),
                None => Query::backwards(filter.to_log()?, limit),
            };
            loop {
                query.limit = limit.saturating_sub(events.len()).clamp(1, Query::MAX_LIMIT);
                let page = core.log.read(query.clone()).await.map_err(CoreError::Log)?;
                events.extend(page.events.iter().filter_map(|event| serde_json::to_value(&**event).ok()));
                match page.next.filter(|_| events.len() < limit) {
                    Some(next) => query.from = next,
                    None => break,
                }
            }
            if after.is_none() {
                events.reverse();
            }
            Ok(events)
        }),
    }
}

fn tail(settings: &Settings, filter: &Filter, follow: bool) -> Outcome {
    let events = read(settings, filter, None)?;
    lines(&events)?;
    let position = |event: &Value| event.get("position")?.as_str()?.parse::<u64>().ok();
    let mut last = events.last().and_then(position).unwrap_or(0);
    if !follow {
        return Ok(());
    }
    loop {
        let Place::Server(_) = local::place(settings)? else { return Ok(()) };
        let new = read(settings, filter, Some(last))?;
        last = new.last().and_then(position).unwrap_or(last);
        lines(&new)?;
        if new.is_empty() {
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

fn stats(settings: &Settings) -> Outcome {
    let answer = match local::place(settings)? {
        Place::Server(server) => {
            let last = server.get("/api/events?order=desc&limit=1")?;
            let position = last.pointer("/items/0/position").cloned().unwrap_or(json!("0"));
            let mut streams = 0;
            let mut cursor = String::new();
            loop {
                let page = server.get(&format!("/api/streams?limit=1000{cursor}"))?;
                streams += page.get("items").and_then(Value::as_array).map_or(0, Vec::len);
                let Some(next) = page.get("next").and_then(Value::as_str) else { break };
                cursor = format!("&cursor={}", encode(next));
            }
            let usage = server.get("/api/log/usage")?;
            let events = position.as_str().and_then(|text| text.parse::<u64>().ok());
            json!({"events": events, "streams": streams, "usage": usage})
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let streams = core.log.streams(Default::default()).await.map_err(CoreError::Log)?;
            let usage = core.log.usage().await.map_err(CoreError::Log)?;
            Ok(json!({"events": core.log.head().get(), "streams": streams.len(), "usage": usage}))
        })?,
    };
    local::print(&answer)
}

fn verify(settings: &Settings, folder: Option<std::path::PathBuf>) -> Outcome {
    if let Some(outcome) = folder.as_deref().and_then(backup::verify) {
        return outcome;
    }
    let data = crate::files::DataDir::new(folder.as_ref().unwrap_or(&settings.data_dir));
    // Reads only, so it may run beside a server.
    let mut line = Line::new("checking");
    let verified = tidewire_log::verify_with(&data.log(), &mut |done, total| line.draw((done, total)));
    drop(line);
    let verified = verified.map_err(|error| Failure::usage(error.full_text()))?;
    println!(
        "{} events in {} commits, {} segments ({} of them archives), {} bytes",
        verified.events, verified.commits, verified.segments, verified.archives, verified.bytes
    );
    if verified.dropped > 0 {
        println!("{} events were dropped by retention; their hashes are there", verified.dropped);
    }
    for problem in &verified.problems {
        println!("{problem}");
    }
    if verified.problems.is_empty() { Ok(()) } else { Err(Failure { status: 1, text: String::new() }) }
}

fn erase(settings: &Settings, stream: &str, confirm: &str) -> Outcome {
    if stream != confirm {
        return Err(Failure::usage(format!("--confirm is '{confirm}'; repeat the name of the stream, '{stream}'")));
    }
    let answer = match local::place(settings)? {
        Place::Server(server) => {
            let path = format!("/api/log/subjects/{}/erase", encode(stream));
            server.send("POST", &path, Some(&json!({"confirm": confirm})), &[])?
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let stream = StreamName::reserved(stream).map_err(|error| Failure::usage(error.to_string()))?;
            let failed = |error: PersonalError| Failure::usage(error.to_string());
            let erasure = core.erase(&stream, "local").await.map_err(failed)?;
            core.finish_erasures().await.map_err(Failure::usage)?;
            Ok(serde_json::to_value(core.told(&stream, &erasure))?)
        })?,
    };
    local::print(&answer)
}

/// Waits for the index, showing how far it is. Ctrl-C gives up; the next start goes on from there.
async fn ready(log: &dyn EventLog) -> Result<(), Failure> {
    let mut line = Line::new("rebuilding");
    let mut ready = std::pin::pin!(log.ready());
    loop {
        tokio::select! {
            done = &mut ready => return Ok(done.map_err(CoreError::Log)?),
            _ = tokio::signal::ctrl_c() => return Err(Failure::usage("given up; the next start goes on from there")),
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                if let StoreHealth::Rebuilding { progress } = log.health().store {
                    line.bar(progress, &format!("{:.0} %", progress * 100.0));
                }
            }
        }
    }
}

fn rebuild(settings: &Settings) -> Outcome {
    let Place::Folder(data, _lock) = local::place(settings)? else {
        return Err(Failure::usage("a server uses this data folder; stop it first, then rebuild the index"));
    };
    // Only the index goes; the journal beside it is the log.
    match std::fs::remove_dir_all(data.log().join("sled")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let events = local::with_log(&data, async |log| {
        ready(log).await?;
        Ok(log.head())
    })?;
    println!("index rebuilt: {events} events");
    Ok(())
}
