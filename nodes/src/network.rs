//! Node types of the category network: connections to the outside.

pub(crate) mod mqtt;
pub(crate) mod mqtt_broker;
mod mqtt_in;
mod mqtt_out;

use tidewire_node_api::NodeDef;

/// In the order of the palette.
pub(crate) const NODES: &[NodeDef] =
    &[NodeDef::of::<mqtt_in::MqttIn>(), NodeDef::of::<mqtt_out::MqttOut>(), NodeDef::of::<mqtt_broker::MqttBroker>()];

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod testing;
