//! JSON Schemas of node configurations, and their findings in words for people.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value as Json;
use tidewire_model::Problem;

/// Form widgets a schema may name with `x-widget`. The vocabulary is closed: the editor knows these and no others.
pub const WIDGETS: [&str; 20] = [
    "text",
    "code",
    "number",
    "duration",
    "select",
    "checkbox",
    "typed-input",
    "msg-path",
    "config-node",
    "topic",
    "secret",
    "rules",
    "change-rules",
    "conditions",
    "things",
    "json",
    "props",
    "markdown",
    "node-list",
    "hidden",
];

/// Schema of a config struct: nothing to chase (`$ref` inlined), properties in the author's order.
pub fn of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    Schema::to_value(settings.into_generator().into_root_schema_for::<T>())
}

/// A schema compiled for checking.
pub struct Validator(jsonschema::Validator);

impl Validator {
    /// # Errors
    /// When the schema itself is broken: a defect of the node type.
    pub fn new(schema: &Json) -> Result<Self, String> {
        jsonschema::validator_for(schema).map(Validator).map_err(|error| error.to_string())
    }

    /// All findings, as JSON pointer and text.
    pub fn problems(&self, config: &Json) -> Vec<Problem> {
        self.0
            .iter_errors(config)
            .map(|error| {
                let mut text = error.to_string();
                if text.contains("not valid under any of the") {
                    text = format!("{} is none of the values that are allowed here", error.instance());
                }
                Problem::error(error.instance_path().to_string(), text)
            })
            .collect()
    }
}
