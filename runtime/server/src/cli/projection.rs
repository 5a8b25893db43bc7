//! `tidewire projection`: look at read models and build them anew, beside a server or on a folder.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use tidewire_model::value::to_json_value;
use tidewire_node_api::handles::Entry;

use super::local::{self, Place, encode};
use super::progress::Line;
use super::{Failure, Outcome};
use crate::app::Core;
use crate::routes::projection_details;
use crate::settings::Settings;

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(Debug, Subcommand)]
pub(super) enum ProjectionCommand {
    /// Prints the read models and how they are
    List,
    /// Prints how a read model is kept and its first entries, or one entry
    Show {
        name: String,
        /// Only the entry with this key
        key: Option<String>,
        /// How many entries at most
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Builds a read model anew, beside the one that is served until then; Ctrl-C gives it up
    Rebuild {
        name: String,
        /// Do not let it take the place of the old one; print what would change
        #[arg(long)]
        compare: bool,
    },
}

pub(super) fn run(settings: &Settings, command: ProjectionCommand) -> Outcome {
    match command {
        ProjectionCommand::List => list(settings),
        ProjectionCommand::Show { name, key, limit } => show(settings, &name, key.as_deref(), limit),
        ProjectionCommand::Rebuild { name, compare } => rebuild(settings, &name, compare),
    }
}

fn row(status: &Value) -> String {
    let number = |key: &str| status.get(key).and_then(Value::as_u64).unwrap_or(0);
    let name = status.get("name").and_then(Value::as_str).unwrap_or("");
    let mut line = format!(
        "{name:32} {:>10} keys  position {}  {} behind  {} parked",
        number("keys"),
        number("position"),
        number("lag"),
        number("parked")
    );
    if let Some(part) = status.get("building").and_then(Value::as_f64) {
        line.push_str(&format!("  building {:.0} %", part * 100.0));
    }
    if let Some(reason) = status.get("failed").and_then(Value::as_str) {
        line.push_str(&format!("  failed: {reason}"));
    }
    line
}

fn list(settings: &Settings) -> Outcome {
    let items = match local::place(settings)? {
        Place::Server(server) => {
            let answer = server.get("/api/projections")?;
            answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
        }
        Place::Folder(data, _lock) => local::with_core(&data, async |core| {
            let mut found = Vec::new();
            for name in core.projections.names()?.into_iter().filter(|name| !name.starts_with('$')) {
                found.push(status_of(core, &name).await?);
            }
            Ok::<_, Failure>(found)
        })?,
    };
    for item in items {
        println!("{}", row(&item));
    }
    Ok(())
}

async fn status_of(core: &Core, name: &str) -> Result<Value, Failure> {
    let missing = || Failure::usage(format!("there is no projection \"{name}\""));
    let status = core.projections.status(name)?.ok_or_else(missing)?;
    Ok(serde_json::to_value(projection_details(status, core.projections.details(name).await?))?)
}

fn public(entry: Entry) -> Value {
    json!({"key": entry.key, "value": to_json_value(&entry.value), "position": entry.position, "time": entry.time})
}

fn show(settings: &Settings, name: &str, key: Option<&str>, limit: usize) -> Outcome {
    let path = format!("/api/projections/{}", encode(name));
    let answer = match (local::place(settings)?, key) {
        (Place::Server(server), Some(key)) => server.get(&format!("{path}/{}", encode(key)))?,
        (Place::Server(server), None) => {
            let status = server.get(&format!("{path}/keeping/status"))?;
            let entries = server.get(&format!("{path}?limit={}", limit.clamp(1, 1_000)))?;
            json!({"status": status, "entries": entries.get("items")})
        }
        (Place::Folder(data, _lock), key) => local::with_core(&data, async |core| {
            use tidewire_node_api::handles::Projections as _;
            let status = status_of(core, name).await?;
            let Some(key) = key else {
                let entries = core.projections.page(name, "", None, limit)?;
                let entries: Vec<Value> = entries.into_iter().map(public).collect();
                return Ok(json!({"status": status, "entries": entries}));
            };
            let missing = || Failure::usage(format!("the projection \"{name}\" has no entry \"{key}\""));
            Ok(public(core.projections.get(name, key).await?.ok_or_else(missing)?))
        })?,
    };
    local::print(&answer)
}

fn rebuild(settings: &Settings, name: &str, compare: bool) -> Outcome {
    let path = format!("/api/projections/{}", encode(name));
    let mut line = Line::new("building");
    let status = match local::place(settings)? {
        Place::Server(server) => {
            let swap = if compare { "manual" } else { "auto" };
            server.send("POST", &format!("{path}/rebuild?swap={swap}"), None, &[])?;
            let look = async || server.get(&format!("{path}/keeping/status"));
            let cancel = async || server.send("DELETE", &format!("{path}/rebuild"), None, &[]).map(drop);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(follow(&mut line, compare, look, cancel))?
        }
        Place::Folder(data, _lock) => {
            let line = &mut line;
            local::with_core(&data, async |core| {
                let head = tidewire_log::EventLog::head(&*core.log);
                core.projections.wait_for(name, head).await?;
                core.projections.rebuild_beside(name, compare).await?;
                let look = async || status_of(core, name).await;
                let cancel = async || Ok(core.projections.cancel_rebuild(name).await?);
                follow(line, compare, look, cancel).await
            })?
        }
    };
    drop(line);
    outcome(&status, compare)
}

/// Looks how far a build is until it has ended or waits, and answers how it is then. Ctrl-C gives it up, and so does the
/// end when it is only to be compared.
async fn follow(
    line: &mut Line,
    compare: bool,
    look: impl AsyncFn() -> Result<Value, Failure>,
    cancel: impl AsyncFn() -> Outcome,
) -> Result<Value, Failure> {
    loop {
        let status = look().await?;
        if finished(&status, line) {
            if compare {
                cancel().await?;
            }
            return Ok(status);
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {
                cancel().await?;
                return Err(Failure::usage("given up; the read model that is served stays"));
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Whether a build has ended or waits; shows how far it is.
fn finished(status: &Value, line: &mut Line) -> bool {
    let number = |key: &str| status.get(key).and_then(Value::as_f64);
    let ready = status.get("ready").and_then(Value::as_bool).unwrap_or(false);
    let Some(part) = number("building").filter(|_| !ready) else { return true };
    let (rate, left) = (number("build_rate").unwrap_or(0.0), number("build_eta").unwrap_or(0.0));
    line.bar(part, &format!("{:.0} %, {rate:.0} events/s, {left:.0} s left", part * 100.0));
    false
}

fn outcome(status: &Value, compare: bool) -> Outcome {
    let Some(comparison) = status.get("comparison") else {
        println!("built");
        return Ok(());
    };
    let number = |key: &str| comparison.get(key).and_then(Value::as_u64).unwrap_or(0);
    let what = if compare { "would change" } else { "changed" };
    println!("{} of {} keys {what}", number("different"), number("new_keys").max(number("old_keys")));
    for one in comparison.get("sample").and_then(Value::as_array).into_iter().flatten() {
        println!("{one}");
    }
    Ok(())
}
