//! `tidewire consumer`: look at groups of consumers and at what they put aside, beside a server or on a folder.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidewire_api::PageQuery;

use super::local::{self, Place, encode};
use super::{Failure, Outcome};
use crate::routes::consumers;
use crate::settings::Settings;

/// Who changes what is changed without a server.
const ACTOR: &str = "local";

#[derive(Debug, Subcommand)]
pub(super) enum ConsumerCommand {
    /// Prints the groups: how far behind they are, what their members hold, and what was put aside
    List,
    /// Prints a group and its members
    Show { group: String },
    /// Prints the events that were put aside, and why
    Parked {
        group: String,
        /// How many at most
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Takes up again what was put aside
    Replay {
        group: String,
        #[command(flatten)]
        which: Which,
    },
    /// Drops what was put aside
    Drop {
        group: String,
        #[command(flatten)]
        which: Which,
        /// Why; it stands in the log
        #[arg(long)]
        reason: String,
    },
    /// Forgets a group and its place
    Remove { group: String },
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Positions of events
    #[arg(value_name = "POSITION")]
    positions: Vec<u64>,
    /// All of them
    #[arg(long, conflicts_with = "positions")]
    all: bool,
}

impl Which {
    fn positions(self) -> Result<Option<Vec<u64>>, Failure> {
        match (self.all, self.positions.is_empty()) {
            (true, _) => Ok(None),
            (false, false) => Ok(Some(self.positions)),
            (false, true) => Err(Failure::usage("say which events: their positions, or --all")),
        }
    }
}

pub(super) fn run(settings: &Settings, command: ConsumerCommand) -> Outcome {
    match command {
        ConsumerCommand::List => list(settings),
        ConsumerCommand::Show { group } => show(settings, &group),
        ConsumerCommand::Parked { group, limit } => parked(settings, &group, limit),
        ConsumerCommand::Replay { group, which } => unpark(settings, &group, which, None),
        ConsumerCommand::Drop { group, which, reason } => unpark(settings, &group, which, Some(reason)),
        ConsumerCommand::Remove { group } => remove(settings, &group),
    }
}

fn list(settings: &Settings) -> Outcome {
    let groups = match local::place(settings)? {
        Place::Server(server) => server.get("/api/consumers")?,
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let groups: Vec<_> = core.consumers.list().await?.into_iter().map(consumers::info).collect();
            Ok(json!({ "items": groups }))
        })?,
    };
    for group in groups.get("items").and_then(Value::as_array).into_iter().flatten() {
        let number = |key: &str| group.get(key).and_then(Value::as_u64).unwrap_or(0);
        println!(
            "{:32} position {}  {} behind  {} held by {} members  {} parked",
            group.get("name").and_then(Value::as_str).unwrap_or(""),
            number("position"),
            number("lag"),
            number("in_flight"),
            group.get("members").and_then(Value::as_array).map_or(0, Vec::len),
            number("parked")
        );
    }
    Ok(())
}

fn path(group: &str) -> String {
    format!("/api/consumers/{}", encode(group))
}

fn show(settings: &Settings, group: &str) -> Outcome {
    let shown = match local::place(settings)? {
        Place::Server(server) => server.get(&path(group))?,
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            Ok(serde_json::to_value(consumers::info(core.consumers.status(group).await?))?)
        })?,
    };
    local::print(&shown)
}

fn parked(settings: &Settings, group: &str, limit: usize) -> Outcome {
    let page = match local::place(settings)? {
        Place::Server(server) => server.get(&format!("{}/parked?limit={limit}", path(group)))?,
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let page = PageQuery { limit: Some(limit), ..PageQuery::default() };
            Ok(serde_json::to_value(consumers::put_aside(core, group, &page).await?)?)
        })?,
    };
    for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
        println!("{item}");
    }
    Ok(())
}

fn unpark(settings: &Settings, group: &str, which: Which, reason: Option<String>) -> Outcome {
    let positions = which.positions()?;
    let settled = match local::place(settings)? {
        Place::Server(server) => {
            let what = if reason.is_some() { "drop" } else { "replay" };
            let body = json!({"reason": reason, "positions": positions});
            server.send("POST", &format!("{}/parked/{what}", path(group)), Some(&body), &[])?
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let settled = consumers::unpark(core, group, ACTOR, positions, reason.as_deref()).await?;
            Ok(serde_json::to_value(settled)?)
        })?,
    };
    local::print(&settled)
}

fn remove(settings: &Settings, group: &str) -> Outcome {
    match local::place(settings)? {
        Place::Server(server) => server.send("DELETE", &path(group), None, &[]).map(drop)?,
        Place::Folder(data, _lock) => {
            local::with_core(&data, async |core| Ok(core.consumers.remove(group).await?))?;
        }
    }
    println!("group {group} removed");
    Ok(())
}
