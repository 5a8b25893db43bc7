//! The example flows are valid as they are delivered, the demo among them.
#![allow(clippy::unwrap_used)]

use tidewire_model::flow::FlowDocument;
use tidewire_node_api::Registry;

#[test]
fn the_examples_have_no_problem_and_together_show_every_node_type() {
    let registry = Registry::new(&crate::all()).unwrap();
    let mut missing: Vec<&str> = registry.iter().map(|def| def.meta.name).collect();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../flows")).unwrap() {
        let path = entry.unwrap().path();
        let document = FlowDocument::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let problems: Vec<String> = registry.check_document(&document).iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
        missing.retain(|node_type| !document.nodes().iter().any(|node| node.type_name() == *node_type));
    }
    assert!(missing.is_empty(), "no example shows {missing:?}");
}
