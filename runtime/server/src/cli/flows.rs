//! `tidewire check`, `import` and `export`: flow files on the command line.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidewire_model::flow::FlowDocument;
use tidewire_node_api::Registry;

use super::local::{self, Place};
use super::{Failure, Outcome};
use crate::app::{Author, Deployment};
use crate::settings::Settings;

/// Whoever may use the data folder may set its secrets.
const LOCAL: Author<'static> = Author { name: "local", sets_secrets: true };

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read the flow file {}: {error}", path.display())))
}

fn parse(path: &Path) -> Result<FlowDocument, Failure> {
    let text = read(path)?;
    FlowDocument::parse(&text)
        .map_err(|error| Failure::usage(format!("cannot read the flow file {}: {error}", path.display())))
}

/// Prints every problem of every file; fails when there is one.
pub(super) fn check(files: &[PathBuf]) -> Outcome {
    let registry = Registry::new(&tidewire_nodes::all()).map_err(Failure::usage)?;
    let mut found = false;
    for file in files {
        let text = read(file)?;
        let document = match FlowDocument::parse(&text) {
            Ok(document) => document,
            Err(error) => {
                println!("{}: {error}", file.display());
                found = true;
                continue;
            }
        };
        for problem in registry.check_document(&document) {
            println!("{}: {problem}", file.display());
            found = true;
        }
    }
    if found { Err(Failure { status: 1, text: String::new() }) } else { Ok(()) }
}

/// Deploys a flow file: on the running server, else as what the next start runs.
pub(super) fn import(settings: &Settings, file: &Path) -> Outcome {
    let flows = parse(file)?.to_json();
    match local::place_or_new(settings)? {
        Place::Server(server) => {
            let headers = [("Node-RED-API-Version", "v2"), ("Node-RED-Deployment-Type", "nodes")];
            let answer = server.send("POST", "/flows", Some(&json!({"flows": flows})), &headers)?;
            for problem in answer.get("problems").and_then(Value::as_array).into_iter().flatten() {
                let part = |name| problem.get(name).and_then(Value::as_str).unwrap_or("");
                eprintln!("{}{}: {}", part("node"), part("path"), part("text"));
            }
            println!("imported as revision {}", answer.get("rev").and_then(Value::as_str).unwrap_or(""));
        }
        Place::Folder(data, _lock) => {
            let deployed = local::with_core(&data, async |core| Ok(core.deploy(Deployment::of(flows), LOCAL).await?))?;
            println!("imported as revision {}", deployed.rev);
        }
    }
    Ok(())
}

/// Writes the flows to a file or to standard output; secrets are not among them.
pub(super) fn export(settings: &Settings, out: Option<&Path>) -> Outcome {
    let flows = match local::place(settings)? {
        Place::Server(server) => server.get("/flows")?,
        Place::Folder(data, _lock) => local::with_core(&data, async |core| Ok(core.engine.flows().document.to_json()))?,
    };
    let Some(path) = out else { return local::print(&flows) };
    let text = serde_json::to_string_pretty(&flows)? + "\n";
    std::fs::write(path, text)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}; choose another file", path.display())))
}
