//! `tidewire schema`: register schemas of event types, and try events on them, beside a server or on a folder.

mod events;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidewire_api::schema::{PutSchema, SchemaMode};

use super::local::{self, Place, encode};
use super::{Failure, Outcome};
use crate::error::ApiError;
use crate::routes::schemas;
use crate::settings::Settings;

/// Who registers what is registered without a server.
const ACTOR: &str = "local";

#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Prints the event types that have schemas, and how their events fare
    List,
    /// Prints the schemas of an event type, or one version
    Show {
        #[arg(value_name = "TYPE")]
        event_type: String,
        version: Option<u32>,
    },
    /// Prints the versions of an event type, one a line
    Versions {
        #[arg(value_name = "TYPE")]
        event_type: String,
    },
    /// Registers a version of an event type: its schema, and how to make it from the version before
    Register {
        #[arg(value_name = "TYPE")]
        event_type: String,
        version: u32,
        #[command(flatten)]
        files: Files,
    },
    /// Says what happens to events that do not follow their schema: off, warn or refuse
    Mode {
        #[arg(value_name = "TYPE")]
        event_type: String,
        mode: String,
    },
    /// Takes a version of an event type back, or all of them
    Remove {
        #[arg(value_name = "TYPE")]
        event_type: String,
        version: Option<u32>,
    },
    /// Checks a file of events against their schemas, storing nothing; exit status 1 when there are problems
    Check(TryArgs),
    /// Prints the data of a file of events as it would be read, storing nothing; exit status 1 when an upcaster fails
    Upcast(TryArgs),
}

#[derive(Debug, Args)]
pub(super) struct Files {
    /// The JSON Schema
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The rhai script with fn upcast(data, event)
    #[arg(long, value_name = "FILE")]
    upcast: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct TryArgs {
    /// Events as `tidewire log read` prints them, one a line, or a JSON array; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// As if this version of a type were registered, with --schema and --upcast
    #[arg(long = "with", value_name = "TYPE/VERSION")]
    with: Option<String>,
    #[command(flatten)]
    files: Files,
}

impl Files {
    fn read(&self) -> Result<PutSchema, Failure> {
        let text = |path: &Path| {
            let cannot = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
            std::fs::read_to_string(path).map_err(cannot)
        };
        let schema = |path: &PathBuf| {
            let no_json = |error| Failure::usage(format!("{} is not JSON: {error}", path.display()));
            serde_json::from_str::<Value>(&text(path)?).map_err(no_json)
        };
        let upcast = self.upcast.as_deref().map(text).transpose()?;
        Ok(PutSchema { schema: self.schema.as_ref().map(schema).transpose()?, upcast })
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::usage(error.detail)
    }
}

pub(super) fn run(settings: &Settings, command: SchemaCommand) -> Outcome {
    match command {
        SchemaCommand::List => list(settings),
        SchemaCommand::Show { event_type, version: None } => local::print(&one(settings, &event_type)?),
        SchemaCommand::Show { event_type, version: Some(version) } => {
            local::print(version_of(&one(settings, &event_type)?, &event_type, version)?)
        }
        SchemaCommand::Versions { event_type } => {
            versions(&one(settings, &event_type)?);
            Ok(())
        }
        SchemaCommand::Register { event_type, version, files } => register(settings, &event_type, version, &files),
        SchemaCommand::Mode { event_type, mode } => set_mode(settings, &event_type, &mode),
        SchemaCommand::Remove { event_type, version } => remove(settings, &event_type, version),
        SchemaCommand::Check(args) => events::check(settings, &args),
        SchemaCommand::Upcast(args) => events::upcast(settings, &args),
    }
}

fn path(event_type: &str, version: Option<u32>) -> String {
    let version = version.map(|version| format!("/{version}")).unwrap_or_default();
    format!("/api/schemas/{}{version}", encode(event_type))
}

fn list(settings: &Settings) -> Outcome {
    let all = match local::place(settings)? {
        Place::Server(server) => server.get("/api/schemas")?,
        Place::Folder(data, _lock) => local::with_core(&data, async |core| Ok(json!({"items": schemas::all(core)})))?,
    };
    for known in all.get("items").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| known.get(key).and_then(Value::as_str).unwrap_or("");
        let number = |key: &str| known.get(key).and_then(Value::as_u64).unwrap_or(0);
        let versions = known.get("versions").and_then(Value::as_object).into_iter().flatten();
        let versions = versions.map(|(number, _)| number.as_str()).collect::<Vec<_>>().join(", ");
        println!(
            "{:32} {:6}  versions {versions}  {} refused  {} warned  {} not brought up to date",
            text("type"),
            text("mode"),
            number("refused"),
            number("warned"),
            number("upcastFailed")
        );
    }
    Ok(())
}

fn one(settings: &Settings, event_type: &str) -> Result<Value, Failure> {
    match local::place(settings)? {
        Place::Server(server) => server.get(&path(event_type, None)),
        Place::Folder(data, _lock) => {
            local::with_core(&data, async |core| Ok(serde_json::to_value(schemas::found(&core.schemas, event_type)?)?))
        }
    }
}

fn version_of<'a>(known: &'a Value, event_type: &str, version: u32) -> Result<&'a Value, Failure> {
    let found = known.get("versions").and_then(|versions| versions.get(version.to_string()));
    found.ok_or_else(|| Failure::usage(format!("there is no schema {event_type}/{version}")))
}

fn versions(known: &Value) {
    let versions = known.get("versions").and_then(Value::as_object);
    let mut versions: Vec<_> = versions.into_iter().flatten().collect();
    versions.sort_by_key(|(number, _)| number.parse::<u32>().unwrap_or(0));
    for (number, version) in versions {
        let has = |key: &'static str| if version.get(key).is_some() { key } else { "-" };
        let position = version.get("position").and_then(Value::as_u64).unwrap_or(0);
        println!("{number:>5}  {:6}  {:6}  registered at position {position}", has("schema"), has("upcast"));
    }
}

fn register(settings: &Settings, event_type: &str, version: u32, files: &Files) -> Outcome {
    let registration = files.read()?;
    match local::place(settings)? {
        Place::Server(server) => {
            let body = serde_json::to_value(&registration)?;
            server.send("PUT", &path(event_type, Some(version)), Some(&body), &[])?;
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let registration = schemas::registration(registration);
            Ok(core.schemas.register(event_type, version, registration, ACTOR).await?)
        })?,
    }
    println!("registered {event_type}/{version}");
    Ok(())
}

fn set_mode(settings: &Settings, event_type: &str, mode: &str) -> Outcome {
    let unknown = |_| Failure::usage(format!("mode '{mode}' is not known; use off, warn or refuse"));
    let known: SchemaMode = serde_json::from_value(json!(mode)).map_err(unknown)?;
    match local::place(settings)? {
        Place::Server(server) => {
            server.send("PUT", &path(event_type, None), Some(&json!({"mode": known})), &[])?;
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            Ok(core.schemas.set_mode(event_type, schemas::mode(known), ACTOR).await?)
        })?,
    }
    println!("mode of {event_type}: {mode}");
    Ok(())
}

fn remove(settings: &Settings, event_type: &str, version: Option<u32>) -> Outcome {
    match local::place(settings)? {
        Place::Server(server) => {
            server.send("DELETE", &path(event_type, version), None, &[])?;
        }
        Place::Folder(data, _lock) => {
            local::with_core(&data, async |core| Ok(core.schemas.remove(event_type, version, ACTOR).await?))?
        }
    }
    println!("removed {event_type}{}", version.map(|version| format!("/{version}")).unwrap_or_default());
    Ok(())
}
