//! The demo flow is valid as it is delivered.
#![allow(clippy::unwrap_used)]

use tidewire_model::flow::FlowDocument;
use tidewire_node_api::Registry;

#[test]
fn the_greenhouse_has_no_problem_and_shows_every_node_type() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../flows/greenhouse.json");
    let document = FlowDocument::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    let registry = Registry::new(&crate::all()).unwrap();
    let problems: Vec<String> = registry.check_document(&document).iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    for node_type in registry.iter().map(|def| def.meta.name) {
        assert!(document.nodes().iter().any(|node| node.type_name() == node_type), "{node_type} is not in the demo");
    }
}
