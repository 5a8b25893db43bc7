//! `tidewire gen`: JSON Schemas of node types and of the API, for the editor's types and for other programs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Failure, Outcome};
use crate::routes;
use crate::web::openapi;

/// File name and contents of everything that is generated.
fn files() -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut files = Vec::new();
    for def in tidewire_nodes::all() {
        let name: String =
            def.meta.name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        files.push((Path::new("nodes").join(format!("{name}.json")), text(&def.schema())?));
    }
    let api = openapi::document(&routes::all().table());
    for (name, schema) in api.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten() {
        let schema = inlined(schema, &api, 0);
        files.push((Path::new("api").join(format!("{name}.json")), text(&schema)?));
    }
    Ok(files)
}

fn text(schema: &Value) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(schema)? + "\n")
}

/// A schema that stands alone: what it refers to is put in its place.
fn inlined(schema: &Value, api: &Value, depth: usize) -> Value {
    if depth > 16 {
        return Value::Bool(true);
    }
    match schema {
        Value::Object(map) => {
            if let Some(path) = map.get("$ref").and_then(Value::as_str)
                && let Some(target) = api.pointer(path.trim_start_matches('#'))
            {
                return inlined(target, api, depth + 1);
            }
            Value::Object(map.iter().map(|(key, value)| (key.clone(), inlined(value, api, depth + 1))).collect())
        }
        Value::Array(items) => items.iter().map(|item| inlined(item, api, depth + 1)).collect(),
        plain => plain.clone(),
    }
}

/// Writes the files, or with `check` only compares them.
pub(super) fn run(folder: &Path, check: bool) -> Outcome {
    let mut stale = Vec::new();
    for (name, text) in files()? {
        let path = folder.join(name);
        if check {
            if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
                continue;
            }
            stale.push(path.display().to_string());
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, text)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure { status: 1, text: format!("out of date: {}; run `make gen`", stale.join(", ")) })
}
