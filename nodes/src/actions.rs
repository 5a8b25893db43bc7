//! Node types of the category actions: what acts on the world.

mod actuator_out;
mod notifier;
mod simulator;
mod wire;

#[cfg(test)]
mod demo_tests;
#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod replay_tests;
#[cfg(test)]
mod testing;

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] = &[
    NodeDef::of::<actuator_out::ActuatorOut>(),
    NodeDef::of::<notifier::Notifier>(),
    NodeDef::of::<simulator::Simulator>(),
];

/// At most `max` characters of a text.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}
