//! `tidewire bench`: in-process figures, each beside its limit measured in the same run.

mod history;
mod projection;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use tidewire_engine::bench::{self, neighbour};
use tidewire_engine::schemas::Schemas;
use tidewire_node_api::Services;

use super::{Failure, Outcome, local};
use crate::app::{Core, CoreError, CoreParts};
use crate::files::DataDir;
use crate::secrets::Secrets;
use crate::settings::{LogKind, Options, Settings};
use tidewire_log::private_file::make_private_dir;

/// What is to be measured.
pub(super) struct Asked {
    /// Figures whose names begin so; all when there are none.
    pub(super) names: Vec<String>,
    /// Also what takes more than a minute.
    pub(super) long: bool,
}

/// What takes more than a minute.
const LONG: &str = "append_sustained";

impl Asked {
    /// Whether a figure, or one of a group of figures whose names begin so, is asked for.
    fn wants(&self, figure: &str) -> bool {
        let named = |name: &String| name.starts_with(figure);
        if figure == LONG {
            return self.long && self.names.is_empty() || self.names.iter().any(named);
        }
        self.names.is_empty() || self.names.iter().any(|name| figure.starts_with(name.as_str()) || named(name))
    }
}

/// Prints the figures that are asked for.
pub(super) fn run(asked: &Asked, json: bool) -> Outcome {
    let folder = std::env::temp_dir().join(format!("tidewire-bench-{}", std::process::id()));
    make_private_dir(&folder)?;
    let figures = measure(&folder, asked);
    let _ = std::fs::remove_dir_all(&folder);
    for figure in figures? {
        if asked.names.is_empty() || asked.names.iter().any(|name| text(&figure, "name").starts_with(name)) {
            if json { println!("{figure}") } else { println!("{}", row(&figure)) }
        }
    }
    Ok(())
}

/// Is the process that holds the large log.
pub(super) fn large_log(what: &[String]) -> Outcome {
    let [folder, what] = what else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(tidewire_log::bench::child(Path::new(folder), what))?)
}

fn text<'a>(figure: &'a Value, key: &str) -> &'a str {
    figure.get(key).and_then(Value::as_str).unwrap_or("")
}

fn row(figure: &Value) -> String {
    let number = |key: &str| figure.get(key).and_then(Value::as_f64);
    let value = number("value").unwrap_or(f64::NAN);
    let line = format!("{:32} {value:>14.1} {:10}", text(figure, "name"), text(figure, "unit"));
    match number("limit") {
        Some(limit) => format!("{line} {limit:>14.1} {}", text(figure, "limit_name")),
        None => line.trim_end().to_owned(),
    }
}

fn measure(folder: &Path, asked: &Asked) -> Result<Vec<Value>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Vec::new();
    if ["hop", "fanout", "taps", "deploy", "idle"].iter().any(|group| asked.wants(group)) {
        for figure in runtime.block_on(async { Ok::<_, Failure>(bench::figures(services(folder).await?).await?) })? {
            figures.push(serde_json::to_value(figure)?);
        }
    }
    if asked.wants("neighbour") {
        let threads = Settings::resolve(Options::default())?.graph_workers;
        let measured = async { Ok::<_, Failure>(neighbour::figures(&services(folder).await?, threads).await?) };
        for figure in runtime.block_on(measured)? {
            figures.push(serde_json::to_value(figure)?);
        }
    }
    let program = std::env::current_exe()?;
    let child = || {
        let mut command = Command::new(&program);
        command.args(["bench", "--large-log"]);
        command
    };
    let plan = tidewire_log::bench::Plan { folder, wanted: &|figure| asked.wants(figure), child: &child };
    for row in runtime.block_on(tidewire_log::bench::run(&plan))? {
        figures.push(serde_json::to_value(row)?);
    }
    if asked.wants("history") {
        figures.extend(runtime.block_on(history::figures(folder))?);
    }
    if asked.wants("projection") {
        // One thread, so that the figure is one of a single core.
        let one = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        figures.extend(one.block_on(projection::figures(folder))?);
    }
    Ok(figures)
}

/// Those of the program, over a log in memory. To be called on a runtime.
async fn services(folder: &Path) -> Result<Services, Failure> {
    let data = DataDir::new(folder.join("engine"));
    let log = local::open_log(&data, LogKind::Memory)?;
    let parts = CoreParts {
        secrets: Arc::new(Secrets::open(data.path())?),
        broker: None,
        graph: tokio::runtime::Handle::current(),
        safe: false,
        history: Default::default(),
    };
    let schemas = Schemas::open(Arc::clone(&log)).await.map_err(CoreError::Log)?;
    let core = Core::build(log, schemas, parts)?;
    Ok(core.engine.services().clone())
}
