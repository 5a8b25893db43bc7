//! The OpenAPI document, made from the route registry and the schemas of the API's types.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tidewire_api::ProblemDetails;

use crate::auth::Permission;
use crate::web::route::Route;

/// OpenAPI 3.1.
pub fn document(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<ProblemDetails>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = paths.entry(plain_path(route.path)).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_lowercase(), operation(route, &mut generator));
        }
    }
    let schemas: Map<String, Value> = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidewire",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Flows, events, read models and things. Errors are RFC 9457 problems with a stable `code`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "What went wrong and how to mend it",
                "content": {"application/problem+json": {"schema": problem}}
            }},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "sid"}
            }
        }
    })
}

/// `/a/{*rest}` as OpenAPI writes it.
fn plain_path(path: &str) -> String {
    path.replace("{*", "{")
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = path_parameters(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if let Some(query) = route.query {
        parameters.extend(query_parameters(&query(generator).to_value(), generator));
    }
    let mut success = json!({"description": if route.socket { "The connection becomes a WebSocket" } else { "Done" }});
    if let (Some(answer), Some(success)) = (route.answer, success.as_object_mut()) {
        success.insert("content".into(), json!({"application/json": {"schema": answer(generator)}}));
    }
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters,
        "responses": {route.status.to_string(): success, "default": {"$ref": "#/components/responses/Problem"}},
        "x-permission": format!("{:?}", route.permission),
    });
    if let Some(operation) = operation.as_object_mut() {
        if route.permission != Permission::Public {
            operation.insert("security".into(), json!([{"token": []}, {"session": []}]));
        }
        if let Some(body) = route.body {
            let schema = body(generator);
            operation.insert("requestBody".into(), json!({"content": {"application/json": {"schema": schema}}}));
        }
    }
    operation
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

fn query_parameters(schema: &Value, generator: &SchemaGenerator) -> Vec<Value> {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let schema = name.and_then(|name| generator.definitions().get(name)).unwrap_or(schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let description = schema.get("description").cloned().unwrap_or(Value::Null);
            json!({"name": name, "in": "query", "required": false, "schema": schema, "description": description})
        })
        .map(|mut parameter| {
            if let Some(map) = parameter.as_object_mut() {
                map.retain(|_, value| !value.is_null());
            }
            parameter
        })
        .collect()
}

fn operation_id(route: &Route) -> String {
    let words: String = route.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{}{}", route.method.as_str().to_lowercase(), words.trim_end_matches('_'))
}
