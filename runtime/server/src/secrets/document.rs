//! Takes secrets out of a flow document before anything else sees it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidewire_node_api::Registry;
use zeroize::Zeroizing;

use super::SecretChange;

/// What Node-RED's editor sends for a secret it does not know and does not want to change.
const UNCHANGED: &str = "__PWRD__";

/// A document without secrets, and the secrets.
pub struct Extracted {
    pub flows: Value,
    pub changes: BTreeMap<String, SecretChange>,
}

/// Takes out each node's `credentials`, and properties whose schema says that they are secret; adds those that came
/// beside the flows (`{"<node>": {…}}`), which replace a node's secrets whole.
///
/// # Errors
/// Credentials in a form that is not understood.
pub fn extract(registry: &Registry, mut flows: Value, beside: Option<Value>) -> Result<Extracted, String> {
    let mut changes = BTreeMap::new();
    for node in flows.as_array_mut().into_iter().flatten() {
        let Some(node) = node.as_object_mut() else { continue };
        let change = take_from(registry, node)?;
        if let (false, Some(id)) = (change.set.is_empty(), node.get("id").and_then(Value::as_str)) {
            changes.insert(id.to_owned(), change);
        }
    }
    match beside {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) if map.contains_key("$") => {
            return Err("the credentials are encrypted for another runtime; enter them again in the editor".to_owned());
        }
        Some(Value::Object(map)) => {
            for (node, values) in map {
                let Value::Object(values) = values else {
                    return Err(format!("the credentials of node {node} are no object"));
                };
                changes.insert(node, SecretChange { set: read(values)?, whole: true });
            }
        }
        Some(_) => return Err("\"credentials\" is no object of objects".to_owned()),
    }
    Ok(Extracted { flows, changes })
}

fn take_from(registry: &Registry, node: &mut Map<String, Value>) -> Result<SecretChange, String> {
    let mut set = match node.remove("credentials") {
        Some(Value::Object(values)) => read(values)?,
        Some(other) => {
            // Some other node's plain property of that name.
            node.insert("credentials".to_owned(), other);
            BTreeMap::new()
        }
        None => BTreeMap::new(),
    };
    let type_name = node.get("type").and_then(Value::as_str).unwrap_or("").to_owned();
    for name in secret_properties(registry, &type_name) {
        let Some(value) = node.get_mut(&name) else { continue };
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { continue };
        if text != UNCHANGED {
            set.insert(name.clone(), Zeroizing::new(text.to_owned()));
        }
        *value = Value::String(String::new());
    }
    Ok(SecretChange { set, whole: false })
}

fn read(values: Map<String, Value>) -> Result<BTreeMap<String, Zeroizing<String>>, String> {
    let mut set = BTreeMap::new();
    for (name, value) in values {
        match value {
            Value::String(text) if text == UNCHANGED => {}
            Value::String(text) => drop(set.insert(name, Zeroizing::new(text))),
            // Node-RED's own mark for "there is one"; it says nothing new.
            Value::Bool(_) if name.starts_with("has_") => {}
            Value::Null => drop(set.insert(name, Zeroizing::new(String::new()))),
            Value::Bool(_) | Value::Number(_) => drop(set.insert(name, Zeroizing::new(value.to_string()))),
            Value::Array(_) | Value::Object(_) => return Err(format!("the credential \"{name}\" is no text")),
        }
    }
    Ok(set)
}

fn secret_properties(registry: &Registry, type_name: &str) -> Vec<String> {
    let Some(def) = registry.get(type_name) else { return Vec::new() };
    let schema = def.schema();
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .filter(|(_, property)| property.get("x-widget").and_then(Value::as_str) == Some("secret"))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Whether a credential of a node type must never be shown: what its schema calls secret, and what it does not know.
pub fn is_secret(registry: &Registry, type_name: &str, name: &str) -> bool {
    if matches!(name, "user" | "username") {
        return false;
    }
    let Some(def) = registry.get(type_name) else { return true };
    let schema = def.schema();
    let property = schema.get("properties").and_then(|properties| properties.get(name));
    property.is_none_or(|property| property.get("x-widget").and_then(Value::as_str) == Some("secret"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use serde_json::json;

    fn registry() -> Registry {
        Registry::new(&[]).unwrap()
    }

    #[test]
    fn credentials_leave_the_document() {
        let flows = json!([{"id": "a", "type": "x", "credentials": {"password": "CANARY", "has_token": true}}]);
        let extracted =
            extract(&registry(), flows, Some(json!({"b": {"user": "me", "password": "__PWRD__"}}))).unwrap();
        assert!(!extracted.flows.to_string().contains("CANARY"));
        assert_eq!(extracted.changes["a"].set["password"].as_str(), "CANARY");
        assert_eq!(extracted.changes["b"].set.len(), 1);
        assert!(extracted.changes["b"].whole);
    }

    #[test]
    fn an_encrypted_set_is_refused_with_a_way_out() {
        assert!(extract(&registry(), json!([]), Some(json!({"$": "00"}))).err().unwrap().contains("editor"));
    }
}
