//! The extension attributes that a node gives its events.

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::event::extensions::{ExtensionError, choice_problem};
use tidewire_model::event::json::EventJsonError;
use tidewire_model::event::{Extension, ExtensionValue, Extensions};
use tidewire_model::{Message, Problem};
use tidewire_node_api::Ctx;

use crate::shared::typed_input::Operand;

/// One extension attribute.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Attribute {
    /// Lower-case letters and digits.
    name: String,
    /// What it says.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "valueType", "x-types" = ["msg", "str", "num", "bool", "env"]))]
    value: Json,
    /// Type of the value.
    value_type: String,
}

impl Default for Attribute {
    fn default() -> Self {
        Attribute { name: String::new(), value: Json::String(String::new()), value_type: "str".to_owned() }
    }
}

/// Compiled extension attributes.
pub(super) struct Attributes(Vec<(CompactString, Operand)>);

impl Attributes {
    /// Compiles the rows; what is wrong with them goes to `problems`.
    pub(super) fn compile(rows: &[Attribute], problems: &mut Vec<Problem>) -> Attributes {
        let mut compiled: Vec<(CompactString, Operand)> = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            match row.compile(&format!("/extensions/{index}")) {
                Ok((name, _)) if compiled.iter().any(|(other, _)| *other == name) => {
                    problems.push(Problem::error(
                        format!("/extensions/{index}/name"),
                        format!("{name} stands there twice"),
                    ));
                }
                Ok(attribute) => compiled.push(attribute),
                Err(problem) => problems.push(problem),
            }
        }
        Attributes(compiled)
    }

    pub(super) fn start(&mut self, ctx: &Ctx<'_>) {
        self.0.iter_mut().for_each(|(_, operand)| operand.start(ctx));
    }

    /// The attributes of the event that this message becomes. What the message does not have is left out.
    ///
    /// # Errors
    /// A value that no attribute can have, or too much of them.
    pub(super) fn of(&self, message: &Message, now_ms: i64) -> Result<Extensions, String> {
        let told = |error| EventJsonError::from(error).to_string();
        let mut all = Vec::with_capacity(self.0.len());
        for (name, operand) in &self.0 {
            let name = name.clone();
            match ExtensionValue::from_value(&operand.value(message, now_ms)) {
                Ok(Some(value)) => all.push(Extension { name, value }),
                Ok(None) => {}
                Err(problem) => return Err(told(ExtensionError { name: Some(name), problem })),
            }
        }
        Extensions::new(all).map_err(told)
    }
}

impl Attribute {
    fn compile(&self, at: &str) -> Result<(CompactString, Operand), Problem> {
        if let Some(problem) = choice_problem(&self.name) {
            return Err(Problem::error(format!("{at}/name"), format!("\"{}\" {problem}", self.name)));
        }
        let at = format!("{at}/value");
        let operand = Operand::compile(&self.value, &self.value_type, &at)?;
        if let Operand::Const(value) = &operand {
            ExtensionValue::from_value(value).map_err(|problem| Problem::error(at, format!("the value {problem}")))?;
        }
        Ok((CompactString::from(&self.name), operand))
    }
}
