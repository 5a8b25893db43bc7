//! Mustache templates over a message, without HTML escaping: `{{topic}}`, `{{payload.id}}`.

use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::NodeError;
use tidewire_script::Escape;

/// A compiled template.
#[derive(Debug, Clone)]
pub(crate) struct Template(tidewire_script::Template);

impl Template {
    /// Compiles a template; `at` is the JSON pointer of the property it stands in.
    ///
    /// # Errors
    /// What is wrong and in which line.
    pub(crate) fn parse(text: &str, at: &str) -> Result<Template, Problem> {
        tidewire_script::Template::parse(text).map(Template).map_err(|error| Problem::error(at, error.to_string()))
    }

    /// The text, if nothing is inserted into it.
    pub(crate) fn constant(&self) -> Option<&str> {
        self.0.constant()
    }

    /// Renders over a message.
    ///
    /// # Errors
    /// The result is too large.
    pub(crate) fn render(&self, message: &Message) -> Result<String, NodeError> {
        self.render_with(&|key| message.get(key).cloned())
    }

    /// Renders over names that the caller knows.
    ///
    /// # Errors
    /// The result is too large.
    pub(crate) fn render_with(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Result<String, NodeError> {
        self.0.render(lookup, Escape::None).map_err(|error| NodeError::new(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_properties_of_the_message() {
        let mut message = Message::with_payload(0xab, Value::from_json(r#"{"id":"<7>"}"#).unwrap());
        message.set("topic", "a/b");
        let template = Template::parse("thing-{{topic}}-{{payload.id}}-{{_msgid}}{{none}}", "/stream").unwrap();
        assert_eq!(template.render(&message).unwrap(), "thing-a/b-<7>-00000000000000ab");
        assert_eq!(Template::parse("{{#a}}", "/stream").unwrap_err().path, "/stream");
        assert_eq!(Template::parse("fixed", "/stream").unwrap().constant(), Some("fixed"));
    }
}
