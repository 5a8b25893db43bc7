//! Node types of the category function: logic on messages.

use tidewire_node_api::NodeDef;

mod change;
mod delay;
mod rule;
mod switch;
mod trigger;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[
    NodeDef::of::<switch::Switch>(),
    NodeDef::of::<change::Change>(),
    NodeDef::of::<delay::Delay>(),
    NodeDef::of::<trigger::Trigger>(),
    NodeDef::of::<rule::Rule>(),
];
