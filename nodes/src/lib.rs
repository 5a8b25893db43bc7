//! The built-in node types, one file each, a folder per palette category.
//!
//! Nothing here knows how nodes are run or where messages come from; they see the world through `tidewire_node_api`.

mod actions;
mod common;
mod events;
mod function;
mod network;
mod shared;

use tidewire_node_api::NodeDef;

/// All node types, in the order of the palette.
pub fn all() -> Vec<NodeDef> {
    [common::NODES, function::NODES, network::NODES, events::NODES, actions::NODES].concat()
}
