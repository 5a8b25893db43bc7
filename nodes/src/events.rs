//! Node types of the category events: the event log.

mod background;
mod event_store_append;
mod event_store_in;
mod projection_query;
mod projector;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
pub(crate) mod test_log;

use tidewire_model::Problem;
use tidewire_node_api::NodeDef;
use tidewire_node_api::handles::ProjectionSpec;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[
    NodeDef::of::<event_store_append::EventStoreAppend>(),
    NodeDef::of::<event_store_in::EventStoreIn>(),
    NodeDef::of::<projector::Projector>(),
    NodeDef::of::<projection_query::ProjectionQuery>(),
];

/// The read model that the configuration of a `projector` describes, under this name.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn read_model(name: &str, config: serde_json::Value) -> Result<ProjectionSpec, String> {
    let config: projector::ProjectorConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    let said = |problem: &Problem| format!("{}: {}", problem.path, problem.text);
    projector::spec(&config, name).map_err(|problems| problems.iter().map(said).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn default_configurations_have_no_problems() {
        let registry = tidewire_node_api::Registry::new(NODES).unwrap();
        for def in NODES {
            assert_eq!(registry.check(def.meta.name, &def.defaults()), [], "{}", def.meta.name);
        }
    }
}
