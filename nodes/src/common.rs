//! Node types of the category common: what every flow needs.

use tidewire_node_api::NodeDef;

mod comment;
mod debug;
mod inject;
mod junction;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[
    NodeDef::of::<inject::Inject>(),
    NodeDef::of::<debug::Debug>(),
    NodeDef::of::<comment::Comment>(),
    NodeDef::of::<junction::Junction>(),
];
