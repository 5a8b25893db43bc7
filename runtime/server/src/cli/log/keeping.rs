//! `tidewire log retention|compact|personal`: what the log drops, and what it encrypts.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidewire_api::log::Retention;
use tidewire_log::{EventLog as _, policies, set_personal, set_policies};
use tidewire_model::retention::RetentionPolicy;

use super::super::local::{self, Place};
use super::super::{Failure, Outcome};
use crate::app::CoreError;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Puts the policies of a JSON file, as this command prints them, in place of those there are
    Set {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Compact {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PersonalCommand {
    /// Encrypts what is appended from now on to streams that match these patterns, and to no others
    Set {
        /// Names of streams; * stands for any run of characters. None: nothing is encrypted any more
        #[arg(value_name = "PATTERN")]
        patterns: Vec<String>,
    },
}

pub(super) fn retention(settings: &Settings, command: Option<RetentionCommand>) -> Outcome {
    let wanted = match &command {
        Some(RetentionCommand::Set { file }) => Some(read(file)?),
        None => None,
    };
    let answer = match local::place(settings)? {
        Place::Server(server) => match wanted {
            Some(wanted) => server.send("PUT", "/api/log/retention", Some(&serde_json::to_value(wanted)?), &[])?,
            None => server.get("/api/log/retention")?,
        },
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            if let Some(wanted) = &wanted {
                set_policies(&*core.log, &wanted.policies).await?;
            }
            let policies = policies(&*core.log).await.map_err(CoreError::Log)?;
            Ok(serde_json::to_value(Retention { policies })?)
        })?,
    };
    local::print(&answer)
}

fn read(file: &Path) -> Result<Retention, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    let wanted: Retention = serde_json::from_str(&text).map_err(|error| named(&error))?;
    match RetentionPolicy::check(&wanted.policies).first() {
        Some(problem) => Err(named(problem)),
        None => Ok(wanted),
    }
}

pub(super) fn compact(settings: &Settings, args: &Compact) -> Outcome {
    let Place::Server(server) = local::place(settings)? else {
        let text = "no server uses this data folder; start one, since only it knows which events read models and others \
                    still need";
        return Err(Failure::usage(text));
    };
    local::print(&server.send("POST", "/api/log/compact", Some(&json!({"dryRun": args.dry_run})), &[])?)
}

pub(super) fn personal(settings: &Settings, command: Option<PersonalCommand>) -> Outcome {
    let wanted = command.map(|PersonalCommand::Set { patterns }| patterns);
    let answer = match local::place(settings)? {
        Place::Server(server) => match wanted {
            Some(streams) => server.send("PUT", "/api/log/personal", Some(&json!({ "streams": streams })), &[])?,
            None => server.get("/api/log/personal")?,
        },
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            if let Some(patterns) = wanted {
                set_personal(&*core.log, patterns.into_iter().map(Into::into).collect(), "local").await?;
            }
            Ok(json!({ "streams": core.log.bodies().personal().iter().map(ToString::to_string).collect::<Vec<_>>() }))
        })?,
    };
    for pattern in answer.get("streams").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        println!("{pattern}");
    }
    Ok(())
}
