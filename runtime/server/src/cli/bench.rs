//! `tidewire bench`: in-process figures, each beside its limit measured in the same run.

mod projection;

use std::sync::Arc;

use serde_json::Value;
use tidewire_engine::bench::{self, neighbour};
use tidewire_node_api::Services;

use super::{Failure, Outcome};
use crate::app::{Core, CoreParts};
use crate::files::DataDir;
use crate::private_file::make_private_dir;
use crate::secrets::Secrets;
use crate::settings::{LogKind, Options, Settings};

/// Prints the figures whose names begin with one of `names`, or all.
pub(super) fn run(names: &[String], json: bool) -> Outcome {
    let folder = std::env::temp_dir().join(format!("tidewire-bench-{}", std::process::id()));
    make_private_dir(&folder)?;
    let figures = measure(&folder, names);
    let _ = std::fs::remove_dir_all(&folder);
    for figure in figures? {
        if names.is_empty() || names.iter().any(|name| text(&figure, "name").starts_with(name)) {
            if json { println!("{figure}") } else { println!("{}", row(&figure)) }
        }
    }
    Ok(())
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

/// Whether a name or the whole group is asked for.
fn wanted(names: &[String], group: &[&str]) -> bool {
    names.is_empty() || names.iter().any(|name| group.iter().any(|start| name.starts_with(start)))
}

fn measure(folder: &std::path::Path, names: &[String]) -> Result<Vec<Value>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Vec::new();
    if wanted(names, &["hop", "fanout", "taps", "deploy", "idle"]) {
        for figure in runtime.block_on(async { Ok::<_, Failure>(bench::figures(services(folder)?).await?) })? {
            figures.push(serde_json::to_value(figure)?);
        }
    }
    if wanted(names, &["neighbour"]) {
        let threads = Settings::resolve(Options::default())?.graph_workers;
        let measured = async { Ok::<_, Failure>(neighbour::figures(&services(folder)?, threads).await?) };
        for figure in runtime.block_on(measured)? {
            figures.push(serde_json::to_value(figure)?);
        }
    }
    if wanted(names, &["append", "read"]) {
        for row in runtime.block_on(tidewire_log::bench::run(folder))? {
            figures.push(serde_json::to_value(row)?);
        }
    }
    if wanted(names, &["projection"]) {
        // One thread, so that the figure is one of a single core.
        let one = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        figures.extend(one.block_on(projection::figures(folder))?);
    }
    Ok(figures)
}

/// Those of the program, over a log in memory. To be called on a runtime.
fn services(folder: &std::path::Path) -> Result<Services, Failure> {
    let data = DataDir::new(folder.join("engine"));
    let log = Core::open_log(&data, LogKind::Memory)?;
    let parts = CoreParts {
        secrets: Arc::new(Secrets::open(data.path())?),
        broker: None,
        graph: tokio::runtime::Handle::current(),
        safe: false,
    };
    let core = Core::build(log, parts)?;
    Ok(core.engine.services().clone())
}
