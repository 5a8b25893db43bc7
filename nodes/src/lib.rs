//! The built-in node types, one file each, a folder per palette category.
//!
//! Nothing here knows how nodes are run or where messages come from; they see the world through `tidewire_node_api`.

mod actions;
mod common;
mod events;
mod function;
mod network;
mod sequence;
mod shared;

#[cfg(test)]
mod isolation_tests;
#[cfg(test)]
mod testing;

use tidewire_model::event::Event;
use tidewire_node_api::NodeDef;
use tidewire_node_api::handles::ProjectionSpec;

/// All node types, in the order of the palette.
pub fn all() -> Vec<NodeDef> {
    [common::NODES, function::NODES, sequence::NODES, network::NODES, events::NODES, actions::NODES].concat()
}

/// The read model that the configuration of a `projector` describes, under this name.
///
/// # Errors
/// What is wrong with the configuration, in words.
pub fn read_model(name: &str, config: serde_json::Value) -> Result<ProjectionSpec, String> {
    events::read_model(name, config)
}

/// Whether an event is the last one of a command: nothing more happens to that.
pub fn ends_command(event: &Event) -> bool {
    shared::outbox::ends_command(event)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tidewire_model::Severity;
    use tidewire_node_api::Registry;

    #[test]
    fn every_type_stands_once_and_its_defaults_fit_its_schema() {
        let registry = Registry::new(&all()).unwrap();
        for def in registry.iter() {
            let name = def.meta.name;
            let schema = def.schema();
            let help = schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
            assert!(help.starts_with(char::is_uppercase) && help.ends_with('.'), "the help of {name} is no sentence");
            let problems = registry.check(name, &def.defaults());
            let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
            // What only the user can choose may be missing; what is there must fit.
            assert!(errors.iter().all(|problem| !problem.text.contains("is not of type")), "{name}: {errors:?}");
        }
    }
}
