#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::network::mqtt::Surroundings;
use serde_json::json;
use tidewire_node_api::bench::Bench;

/// A link that is connected to a broker on this machine.
pub(crate) fn link_to(port: u16, version_5: bool) -> Arc<BrokerLink> {
    let version = if version_5 { "5" } else { "4" };
    let config = json!({"broker": "127.0.0.1", "port": port.to_string(), "protocolVersion": version});
    let config: MqttBrokerConfig = serde_json::from_value(config).unwrap();
    let (settings, version_5) = config.settings().unwrap();
    let link = Arc::new(BrokerLink::new(version_5, true));
    link.open(settings, Surroundings::default()).unwrap();
    link.all_there(true);
    link
}

#[test]
fn properties_may_be_text_and_mistakes_are_told_at_their_place() {
    let config = json!({"broker": "mqtts://hub.example:8884", "keepalive": "15", "cleansession": "false",
        "clientid": "me", "birthTopic": "up", "birthQos": "1", "birthPayload": "yes", "birthRetain": "true"});
    let config: MqttBrokerConfig = serde_json::from_value(config).unwrap();
    let (settings, _) = config.settings().unwrap();
    assert_eq!((settings.host.as_str(), settings.port, settings.keep_alive), ("hub.example", 8884, 15));
    assert!(settings.tls.is_some() && !settings.clean_session);
    let birth = settings.birth.unwrap();
    assert_eq!((birth.topic.as_str(), birth.retain, birth.qos.as_u8()), ("up", true, 1));

    let bad = json!({"broker": "ws://hub/mqtt", "birthTopic": "a/#"});
    let text = Bench::try_of::<MqttBroker>(bad).err().unwrap();
    assert!(text.contains("/broker: WebSocket") && text.contains("/birthTopic:"), "{text}");
}

#[test]
fn a_session_without_a_client_id_cannot_be_kept() {
    let config: MqttBrokerConfig = serde_json::from_value(json!({"broker": "h", "cleansession": false})).unwrap();
    assert!(config.settings().unwrap().0.clean_session);
    assert!(config.problems()[0].text.contains("client id"));
}
