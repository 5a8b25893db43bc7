//! Which crate may import which, and where each outside library lives.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value as Json;

use super::{files, name, nothing_wrong, root, text};

/// Outside libraries that only some crates may name.
const HOMES: &[(&str, &[&str])] = &[
    ("axum", &["tidewire"]),
    ("tower-http", &["tidewire"]),
    ("rust-embed", &["tidewire"]),
    ("reqwest", &["tidewire"]),
    ("clap", &["tidewire"]),
    ("sled", &["tidewire-log"]),
    ("rhai", &["tidewire-script"]),
    ("rumqttc-v4-next", &["tidewire-nodes"]),
    ("rumqttc-v5-next", &["tidewire-nodes"]),
    ("petgraph", &["tidewire-model"]),
    ("jsonschema", &["tidewire-node-api"]),
];

/// What the pure crate may use: nothing that does I/O, reads a clock or draws random numbers.
const MODEL_MAY_USE: &[&str] = &[
    "serde",
    "serde_json",
    "schemars",
    "thiserror",
    "petgraph",
    "bytes",
    "bytestring",
    "compact_str",
    "smallvec",
    "ulid",
    "sha2",
    "base64",
    "foldhash",
];

/// Normal and build dependencies of each crate; what only its tests use does not count.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let names = |package: &Json| {
        let list = package["dependencies"].as_array().unwrap().iter();
        list.filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .collect()
    };
    packages.map(|package| (package["name"].as_str().unwrap().to_owned(), names(package))).collect()
}

/// The table "Floors" of runtime/ARCHITECTURE.md: `| floor | crate | imports |`.
fn floors() -> BTreeMap<String, (u32, BTreeSet<String>)> {
    let page = text(&root().join("runtime/ARCHITECTURE.md"));
    let rows = page.split("## Floors").nth(1).expect("runtime/ARCHITECTURE.md has a section Floors").lines();
    let mut floors = BTreeMap::new();
    for row in rows.take_while(|line| !line.starts_with("## ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        if let [floor, name, imports] = cells[..]
            && let Ok(floor) = floor.parse()
        {
            let plain = |text: &str| text.trim_matches('`').to_owned();
            let imports =
                imports.split(',').map(|import| plain(import.trim())).filter(|import| import != "–").collect();
            floors.insert(plain(name), (floor, imports));
        }
    }
    floors
}

#[test]
fn crates_import_what_the_floors_table_says() {
    let floors = floors();
    let mut findings = Vec::new();
    for (package, used) in dependencies() {
        let own: BTreeSet<String> = used.into_iter().filter(|name| name.starts_with("tidewire")).collect();
        let Some((floor, allowed)) = floors.get(&package) else {
            findings.push(format!("{package} does not stand in the table"));
            continue;
        };
        for import in own.difference(allowed) {
            findings.push(format!("{package} imports {import}, which the table does not allow"));
        }
        for import in allowed.difference(&own) {
            findings.push(format!("the table allows {package} to import {import}, which it does not"));
        }
        for import in allowed.iter().filter(|import| floors.get(*import).is_none_or(|(other, _)| other >= floor)) {
            findings.push(format!("{package} on floor {floor} imports {import}, which is not on a lower floor"));
        }
    }
    nothing_wrong(&findings, "Change the code, or the table \"Floors\" in runtime/ARCHITECTURE.md if it shall be so.");
}

#[test]
fn each_outside_library_has_one_home() {
    let mut findings = Vec::new();
    for (package, used) in dependencies() {
        // The black-box tests are clients of their own.
        if package == "tidewire-tests" {
            continue;
        }
        for (library, homes) in HOMES.iter().filter(|(library, _)| used.contains(*library)) {
            if !homes.contains(&package.as_str()) {
                findings.push(format!("{package} uses {library}, whose home is {}", homes.join(", ")));
            }
        }
        if package == "tidewire-model" {
            let more = used.iter().filter(|name| !MODEL_MAY_USE.contains(&name.as_str()));
            findings.extend(more.map(|name| format!("{package} uses {name}; the model does no I/O")));
        }
    }
    nothing_wrong(&findings, "Go through the crate that is its home.");
}

#[test]
fn sled_is_named_in_one_file() {
    let sources = files(&root().join("runtime/log/src"), &[".rs"]);
    let naming: Vec<String> =
        sources.iter().filter(|path| text(path).contains("sled::")).map(|path| name(path)).collect();
    assert!(naming.len() <= 1, "sled is named in {naming:?}; keep it behind one of them");
}

#[test]
fn versions_stand_in_the_workspace_table() {
    let mut findings = Vec::new();
    for manifest in files(&root(), &["Cargo.toml"]).iter().filter(|path| path.parent() != Some(root().as_path())) {
        let page = text(manifest);
        let section =
            page.split('[').filter(|part| part.starts_with("dependencies]") || part.starts_with("dev-dependencies]"));
        for line in section.flat_map(|part| part.lines().skip(1)).filter(|line| line.contains('=')) {
            if !line.trim_start().starts_with('#') && !line.contains("workspace = true") {
                findings.push(format!("{}: {line}", name(manifest)));
            }
        }
    }
    nothing_wrong(&findings, "Put the version into [workspace.dependencies] and write `name.workspace = true`.");
}
