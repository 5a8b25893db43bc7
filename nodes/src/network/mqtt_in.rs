//! `mqtt in` brings messages from an MQTT broker.

mod actions;
mod source;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::value::to_json_value;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, Signal, State, StopReason,
    lenient,
};

use super::mqtt::{Qos, RetainHandling, Subscription, is_valid_filter};
use super::mqtt_broker::{BrokerLink, LinkState, Seat, Watch};
use actions::Wanted;
use source::{Datatype, Refused, Source};

/// Receives messages from an MQTT broker.
///
/// Each message has `topic`, `payload`, `qos` and `retain`; with MQTT 5 also `responseTopic`, `correlationData`,
/// `contentType`, `userProperties` and `messageExpiryInterval` where they were sent.
///
/// Messages of QoS 1 and 2 are acknowledged to the broker only when the flow has dealt with them: when they are stored,
/// sent on, or dropped on purpose. What happens when a flow fails on one is set at the broker connection.
///
/// With **dynamic subscriptions** the node has an input and subscribes as messages tell it: `action` is `subscribe`,
/// `unsubscribe`, `getSubscriptions`, `connect` or `disconnect`; `topic` is a filter, an object
/// `{topic, qos, datatype, nl, rap, rh}`, a list of these, or `true` for all.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MqttInConfig {
    /// Connection to the broker.
    #[schemars(extend("x-widget" = "config-node", "x-config-type" = "mqtt-broker"))]
    broker: String,
    /// Topic to listen to. `+` stands for one level, `#` at the end for all below.
    #[schemars(extend("x-widget" = "topic"))]
    topic: String,
    /// Guarantee asked for: 0 at most once, 1 at least once, 2 exactly once.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    qos: String,
    /// What the payload becomes: auto-detect (JSON, text or bytes), auto (text or bytes), utf8, buffer, base64, json.
    #[serde(default = "old_datatype")]
    datatype: String,
    /// MQTT 5: leave out what this connection published itself.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    nl: bool,
    /// MQTT 5: keep the retain flag as it was published.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    rap: bool,
    /// MQTT 5: retained messages come 0 always, 1 with a new subscription only, 2 never.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    rh: f64,
    /// 1: subscribe as messages tell it.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    inputs: f64,
}

/// Flows from before there was a choice have text.
fn old_datatype() -> String {
    "utf8".to_owned()
}

impl Default for MqttInConfig {
    fn default() -> Self {
        MqttInConfig {
            broker: String::new(),
            topic: String::new(),
            qos: "2".to_owned(),
            datatype: "auto-detect".to_owned(),
            nl: false,
            rap: true,
            rh: 0.0,
            inputs: 0.0,
        }
    }
}

struct Live {
    wanted: Wanted,
    /// Dropping it ends the subscription.
    seat: Arc<Seat>,
}

pub(crate) struct MqttIn {
    config: MqttInConfig,
    datatype: Datatype,
    link: Option<Arc<BrokerLink>>,
    watch: Option<Watch>,
    live: Vec<Live>,
    closing: source::Closing,
}

impl NodeType for MqttIn {
    type Config = MqttInConfig;

    const META: Meta = Meta {
        icon: "mqtt",
        inputs: 0,
        keywords: &["subscribe", "receive", "topic", "broker", "sensor", "iot"],
        ..Meta::new("mqtt in", "MQTT in", Category::Network, Role::In, Kind::Source)
    };

    fn check(config: &MqttInConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        if Datatype::named(&config.datatype).is_none() {
            let text = "use auto-detect, auto, utf8, buffer, base64 or json";
            problems.push(Problem::error("/datatype", format!("\"{}\" is no datatype; {text}", config.datatype)));
        }
        if !config.is_dynamic() {
            if config.topic.is_empty() {
                problems.push(Problem::warning("/topic", "no topic is given, so nothing comes in"));
            } else if !is_valid_filter(&config.topic) {
                let text = format!(
                    "\"{}\" is no topic filter: # may only stand at the end, + for a whole level",
                    config.topic
                );
                problems.push(Problem::warning("/topic", text));
            }
        }
        problems
    }

    fn build(config: MqttInConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        let Some(datatype) = Datatype::named(&config.datatype) else {
            return Err(BuildError(MqttIn::check(&config)));
        };
        let (link, watch, live) = (None, None, Vec::new());
        Ok(MqttIn { config, datatype, link, watch, live, closing: source::Closing::default() })
    }
}

impl MqttInConfig {
    fn is_dynamic(&self) -> bool {
        self.inputs >= 1.0
    }

    /// The subscription that the configuration asks for.
    fn wanted(&self) -> Wanted {
        Wanted {
            topic: self.topic.clone(),
            // Anything but 0, 1 and 2 counts as 2.
            qos: self.qos.trim().parse().ok().and_then(Qos::from_u8).unwrap_or(Qos::ExactlyOnce),
            datatype: None,
            no_local: self.nl,
            retain_as_published: self.rap,
            retain_handling: self.rh as u8,
        }
    }
}

impl MqttIn {
    fn subscribe(&mut self, wanted: Wanted, ctx: &Ctx<'_>) {
        let Some(link) = &self.link else { return };
        if !is_valid_filter(&wanted.topic) {
            ctx.warn(format!("Invalid topic specified: {}", wanted.topic));
            return;
        }
        self.live.retain(|live| live.wanted.topic != wanted.topic);
        let subscription = Subscription {
            filter: wanted.topic.clone(),
            qos: wanted.qos,
            no_local: link.version_5 && wanted.no_local,
            retain_as_published: link.version_5 && wanted.retain_as_published,
            retain_handling: match wanted.retain_handling {
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::Never,
                _ => RetainHandling::Send,
            },
        };
        let datatype = wanted.datatype.unwrap_or(self.datatype);
        let source = Arc::new(Source::new(datatype, link.local, ctx.feed(), self.closing.clone()));
        let seat = Arc::new(link.subscribe(subscription, source.clone()));
        source.seated(&seat);
        self.live.push(Live { wanted, seat });
    }

    fn act(&mut self, action: &str, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let topic = message.get("topic").cloned().unwrap_or_default();
        match action {
            "connect" => {
                if message.get("broker").is_some() {
                    ctx.warn("msg.broker is not supported yet; the settings of the broker node are used");
                }
                let connected = self.link.as_ref().map(|link| link.connect());
                if let Some(Err(error)) = connected {
                    return Err(NodeError::new(error.to_string()).on(message));
                }
            }
            "disconnect" => {
                if let Some(link) = &self.link {
                    link.disconnect();
                }
            }
            "subscribe" => match actions::wanted(&to_json_value(&topic)) {
                Ok(all) => all.into_iter().for_each(|wanted| self.subscribe(wanted, ctx)),
                Err(text) => return Err(NodeError::new(text).on(message)),
            },
            "unsubscribe" => match actions::filters(&topic) {
                Ok(None) => self.live.clear(),
                Ok(Some(filters)) => self.live.retain(|live| !filters.contains(&live.wanted.topic)),
                Err(text) => return Err(NodeError::new(text).on(message)),
            },
            "getSubscriptions" => {
                let list = self.live.iter().map(|live| live.wanted.to_value()).collect();
                let mut message = message;
                message.set("topic", "subscriptions");
                message.set_payload(Value::array(list));
                ctx.emit(0, message);
            }
            other => {
                let text = format!(
                    "\"{other}\" is no action; use connect, disconnect, subscribe, unsubscribe or getSubscriptions"
                );
                return Err(NodeError::new(text).on(message));
            }
        }
        Ok(())
    }
}

impl Node for MqttIn {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.closing.reset();
        self.live.clear();
        let link: Arc<BrokerLink> =
            ctx.resource(&self.config.broker).ok_or_else(|| NodeError::new("missing broker configuration"))?;
        self.link = Some(link.clone());
        if !self.config.is_dynamic() && !self.config.topic.is_empty() {
            self.subscribe(self.config.wanted(), ctx);
        }
        link.succeed(&ctx.facts().id);
        self.watch = Some(link.watch(ctx.feed()));
        ctx.status(link.state().status());
        Ok(())
    }

    fn receive(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        message.set_id(ctx.next_id());
        if let Some(Refused) = source::refused(&mut message) {
            let text = "Failed to parse JSON string";
            return Err(NodeError::new(text).with_code("mqtt.errors.invalid-json-parse").on(message));
        }
        ctx.emit(0, message);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if !self.config.is_dynamic() {
            ctx.drop_message();
            return Ok(());
        }
        match message.get("action").and_then(Value::as_str).map(str::to_owned) {
            Some(action) => self.act(&action, message, ctx),
            None => Err(NodeError::new("the message has no action, such as subscribe").on(message)),
        }
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Signal::Own(own) = signal
            && let Some(state) = own.downcast_ref::<LinkState>()
        {
            ctx.status(state.status());
        }
        Ok(())
    }

    fn stop(&mut self, reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        // What is still under way when the process ends must come again: it is not acknowledged.
        self.closing.set(reason == StopReason::Shutdown);
        let seats = self.live.drain(..).map(|live| live.seat).collect();
        if let (StopReason::Replaced, Some(link)) = (reason, &self.link) {
            link.leave(ctx.facts().id.clone(), seats);
        }
        self.watch = None;
        None
    }
}

#[cfg(test)]
mod tests;
