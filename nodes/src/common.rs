//! Node types of the category common: what every flow needs.

use tidewire_node_api::NodeDef;

mod catch;
mod comment;
mod complete;
mod debug;
mod global_config;
mod inject;
mod junction;
mod link_call;
mod link_in;
mod link_out;
mod link_source;
mod scope;
mod status;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[
    NodeDef::of::<inject::Inject>(),
    NodeDef::of::<debug::Debug>(),
    NodeDef::of::<complete::Complete>(),
    NodeDef::of::<catch::Catch>(),
    NodeDef::of::<status::Status>(),
    NodeDef::of::<link_in::LinkIn>(),
    NodeDef::of::<link_call::LinkCall>(),
    NodeDef::of::<link_out::LinkOut>(),
    NodeDef::of::<comment::Comment>(),
    NodeDef::of::<junction::Junction>(),
    NodeDef::of::<global_config::GlobalConfig>(),
];
