//! `tidewire log checkpoints`: places in the log that are kept under a name.

use clap::Subcommand;
use serde_json::{Value, json};
use tidewire_log::EventLog as _;
use tidewire_model::position::Position;

use super::super::local::{self, Place, encode};
use super::super::{Failure, Outcome};
use crate::app::CoreError;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum Checkpoints {
    /// Prints all of them: name, position, and how far behind the log that is
    List,
    /// Moves one; who goes on there begins with the event after it
    Set {
        /// Its name
        name: String,
        /// The position; 0 is the beginning
        position: u64,
    },
    /// Forgets one
    Delete {
        /// Its name
        name: String,
    },
}

pub(super) fn run(settings: &Settings, command: Option<Checkpoints>) -> Outcome {
    match command.unwrap_or(Checkpoints::List) {
        Checkpoints::List => list(settings),
        Checkpoints::Set { name, position } => change(settings, &name, Some(position)),
        Checkpoints::Delete { name } => change(settings, &name, None),
    }
}

fn list(settings: &Settings) -> Outcome {
    let items: Vec<Value> = match local::place(settings)? {
        Place::Server(server) => {
            server.get("/api/checkpoints")?.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let found = core.log.checkpoints().await.map_err(CoreError::Log)?;
            let head = core.log.head().get();
            let item = |(name, position): (compact_str::CompactString, Position)| {
                let position = position.get();
                json!({"name": name, "position": position, "lag": head.saturating_sub(position)})
            };
            Ok(found.into_iter().map(item).collect())
        })?,
    };
    for item in items {
        let text = |name: &str| item.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        let (name, position, lag) = (text("name"), text("position"), text("lag"));
        println!("{}\t{}\t{} behind", name.unwrap_or_default(), position.unwrap_or_default(), lag.unwrap_or_default());
    }
    Ok(())
}

fn change(settings: &Settings, name: &str, position: Option<u64>) -> Outcome {
    match local::place(settings)? {
        Place::Server(server) => {
            let path = format!("/api/checkpoints/{}", encode(name));
            match position {
                Some(position) => server.send("PUT", &path, Some(&json!({"position": position})), &[])?,
                None => server.send("DELETE", &path, None, &[])?,
            };
            Ok(())
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let refused = |error: tidewire_model::append::AppendError| Failure::usage(error.to_string());
            let head = core.log.head();
            if let Some(position) = position.filter(|position| *position > head.get()) {
                return Err(Failure::usage(format!("position {position} is beyond the end of the log, {head}")));
            }
            if position.is_none() && core.log.checkpoint(name.into()).await.map_err(CoreError::Log)?.is_none() {
                return Err(Failure::usage(format!("there is no checkpoint '{name}'")));
            }
            let changed = match position {
                Some(position) => core.log.set_checkpoint(name.into(), Position::new(position)).await,
                None => core.log.forget_checkpoint(name.into()).await,
            };
            changed.map_err(refused)
        }),
    }
}
