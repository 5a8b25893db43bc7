//! `mqtt out` sends messages to an MQTT broker.

mod post;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::{Message, Value};
use tidewire_node_api::{
    Batch, BuildEnv, BuildError, Category, Ctx, Deferred, Emission, Feed, Kind, Meta, Node, NodeError, NodeType,
    Outcome, Role, Signal, State, StopReason, Token, lenient,
};

use super::mqtt::{Connection, Outgoing, PublishFull, PublishOutcome, Qos};
use super::mqtt_broker::{BrokerLink, LinkState, Watch};
use post::{Fixed, Unfit};

/// Sends messages to an MQTT broker.
///
/// The payload is sent as text or bytes; objects as JSON. What is left empty here is taken from the message: `topic`,
/// `qos`, `retain`, and with MQTT 5 `responseTopic`, `contentType`, `userProperties`, `correlationData` and
/// `messageExpiryInterval`. A message without a payload is not sent.
///
/// While the broker is away messages wait; those of QoS 1 and 2 until the broker has confirmed them, of QoS 0 the
/// newest are kept. A message with `action` `connect` or `disconnect` does that instead.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MqttOutConfig {
    /// Connection to the broker.
    #[schemars(extend("x-widget" = "config-node", "x-config-type" = "mqtt-broker"))]
    broker: String,
    /// Topic to publish to; empty: that of the message.
    #[schemars(extend("x-widget" = "topic"))]
    topic: String,
    /// Guarantee: 0 at most once, 1 at least once, 2 exactly once; empty: that of the message, else 0.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    qos: String,
    /// Have the broker keep the message for later subscribers: true, false, or empty for that of the message.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    retain: String,
    /// MQTT 5: where an answer should go.
    resp_topic: String,
    /// MQTT 5: MIME type of the payload.
    content_type: String,
    /// MQTT 5: user properties, as a JSON object.
    #[schemars(extend("x-widget" = "json"))]
    user_props: serde_json::Value,
    /// MQTT 5: ties an answer to its request.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    correl: String,
    /// MQTT 5: seconds after which the message is of no use.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::number_schema")]
    expiry: String,
}

impl Default for MqttOutConfig {
    fn default() -> Self {
        MqttOutConfig {
            broker: String::new(),
            topic: String::new(),
            qos: String::new(),
            retain: String::new(),
            resp_topic: String::new(),
            content_type: String::new(),
            user_props: serde_json::Value::String(String::new()),
            correl: String::new(),
            expiry: String::new(),
        }
    }
}

pub(crate) struct MqttOut {
    broker: String,
    fixed: Fixed,
    link: Option<Arc<BrokerLink>>,
    watch: Option<Watch>,
    feed: Option<Arc<dyn Feed>>,
}

/// The broker did not take a message.
struct NotTaken {
    topic: String,
    reason: u8,
    message: Message,
    token: Option<Token>,
}

/// The broker has a message whose end a complete node wants to hear of.
struct Taken(Deferred);

impl NodeType for MqttOut {
    type Config = MqttOutConfig;

    const META: Meta = Meta {
        icon: "mqtt",
        outputs: &[],
        keywords: &["publish", "send", "topic", "broker", "actuator", "iot"],
        ..Meta::new("mqtt out", "MQTT out", Category::Network, Role::Out, Kind::Effect)
    };

    fn build(config: MqttOutConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        let fixed = Fixed::new(&config);
        Ok(MqttOut { broker: config.broker, fixed, link: None, watch: None, feed: None })
    }
}

impl MqttOut {
    /// The message for the broker, or nothing when it was dealt with otherwise.
    fn outgoing(
        &self,
        message: &Message,
        token: Option<Token>,
        version_5: bool,
        ctx: &mut Ctx<'_>,
    ) -> Option<Outgoing> {
        if let Some(action) = message.get("action").and_then(Value::as_str) {
            ctx.begin(token, message);
            let result = self.act(action, message);
            ctx.end(result);
            return None;
        }
        match self.fixed.outgoing(message, version_5) {
            Ok(mut outgoing) => {
                ctx.begin(token, message);
                outgoing.done = self.when_done(&outgoing, message, ctx.defer());
                Some(outgoing)
            }
            Err(unfit) => {
                ctx.begin(token, message);
                if let Unfit::Topic(topic) = unfit {
                    ctx.warn(format!("Invalid topic specified: {topic}"));
                }
                ctx.drop_message();
                ctx.end(Ok(()));
                None
            }
        }
    }

    /// Ends the message's branch: for QoS 0 at hand-over to the network, else when the broker has confirmed it.
    fn when_done(
        &self,
        outgoing: &Outgoing,
        message: &Message,
        deferred: Deferred,
    ) -> Option<Box<dyn FnOnce(PublishOutcome) + Send>> {
        if deferred.token.is_none() && deferred.completion.is_none() && outgoing.qos == Qos::AtMostOnce {
            return None;
        }
        let (feed, topic, message) = (self.feed.clone()?, outgoing.topic.clone(), message.clone());
        Some(Box::new(move |outcome| {
            let Deferred { token, completion } = deferred;
            let ended = match outcome {
                PublishOutcome::Sent | PublishOutcome::Acknowledged { .. } if completion.is_some() => {
                    return feed.signal(Signal::Own(Box::new(Taken(Deferred { token, completion }))));
                }
                PublishOutcome::Sent | PublishOutcome::Acknowledged { .. } => Outcome::Done,
                PublishOutcome::Dropped => Outcome::Failed,
                PublishOutcome::Refused { reason } => {
                    let refused = NotTaken { topic: topic.to_string(), reason, message, token };
                    return feed.signal(Signal::Own(Box::new(refused)));
                }
            };
            if let Some(token) = token {
                token.finish(ended);
            }
        }))
    }

    fn act(&self, action: &str, message: &Message) -> Result<(), NodeError> {
        let Some(link) = &self.link else { return Ok(()) };
        match action {
            "connect" => link.connect().map_err(|error| NodeError::new(error.to_string()).on(message.clone())),
            "disconnect" => {
                link.disconnect();
                Ok(())
            }
            other => {
                let text = format!("\"{other}\" is no action; use connect or disconnect");
                Err(NodeError::new(text).on(message.clone()))
            }
        }
    }
}

/// Waits for room and hands over the rest.
async fn publish_later(connection: Arc<Connection>, mut rest: Vec<Outgoing>) -> Vec<Emission> {
    loop {
        connection.room().await;
        match connection.publish(rest) {
            Ok(()) => return Vec::new(),
            Err(PublishFull(left)) => rest = left,
        }
    }
}

impl Node for MqttOut {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let link: Arc<BrokerLink> =
            ctx.resource(&self.broker).ok_or_else(|| NodeError::new("missing broker configuration"))?;
        self.feed = Some(ctx.feed());
        self.watch = Some(link.watch(ctx.feed()));
        ctx.status(link.state().status());
        self.link = Some(link);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let mut batch = Batch::from([tidewire_node_api::Delivery::new(message, ctx.defer().token)]);
        self.process_batch(&mut batch, ctx);
        Ok(())
    }

    fn process_batch(&mut self, batch: &mut Batch, ctx: &mut Ctx<'_>) {
        let Some(link) = self.link.clone() else { return };
        let mut posts = Vec::with_capacity(batch.len());
        for delivery in batch.drain(..) {
            posts.extend(self.outgoing(&delivery.message, delivery.token, link.version_5, ctx));
        }
        if posts.is_empty() {
            return;
        }
        let Some(connection) = link.connection() else {
            ctx.warn(format!("{} messages were dropped: the connection is switched off", posts.len()));
            return;
        };
        if let Err(PublishFull(rest)) = connection.publish(posts) {
            ctx.spawn_ordered(publish_later(connection, rest));
        }
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let Signal::Own(own) = signal else { return Ok(()) };
        let own = match own.downcast::<LinkState>() {
            Ok(state) => {
                ctx.status(state.status());
                return Ok(());
            }
            Err(own) => own,
        };
        let own = match own.downcast::<Taken>() {
            Ok(taken) => {
                ctx.finish(taken.0, Outcome::Done);
                return Ok(());
            }
            Err(own) => own,
        };
        let Ok(refused) = own.downcast::<NotTaken>() else { return Ok(()) };
        let NotTaken { topic, reason, message, token } = *refused;
        ctx.begin(token, &message);
        let text = format!("the broker refused the message to \"{topic}\" (reason 0x{reason:02x})");
        Err(NodeError::new(text).on(message))
    }

    fn stop(&mut self, _reason: StopReason, _ctx: &mut Ctx<'_>) -> Option<State> {
        self.watch = None;
        None
    }

    /// While messages wait for room nothing more is taken, so that the flow slows down and keeps its order.
    fn concurrency(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests;
