//! `mqtt-broker` is a connection to an MQTT broker, shared by the nodes that name it.

mod config;
mod link;

use std::any::Any;
use std::sync::Arc;

use tidewire_model::{Message, Problem};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Fill, Kind, Meta, Node, NodeError, NodeType, Role, Shape, Signal, State,
    Status, StopReason,
};

use super::mqtt::{ConnectionSettings, Surroundings};
use config::MqttBrokerConfig;
pub(crate) use config::pairs;
pub(crate) use link::{BrokerLink, LinkState, Seat, Watch};

pub(crate) struct MqttBroker {
    settings: ConnectionSettings,
    auto_connect: bool,
    link: Arc<BrokerLink>,
    /// Messages dropped so far, in and out, as they were told of.
    told: (u64, u64),
}

/// How often the node looks whether messages were dropped.
const LOOK_EVERY_MS: i64 = 10_000;

/// Key of the timer for that.
const LOOK: u64 = 0;

/// The node tells itself that all nodes of the deploy have started.
struct AllThere;

impl NodeType for MqttBroker {
    type Config = MqttBrokerConfig;

    const META: Meta = Meta {
        icon: "broker",
        inputs: 0,
        outputs: &[],
        keywords: &["mqtt", "server", "connection", "mosquitto"],
        ..Meta::new("mqtt-broker", "MQTT broker", Category::Config, Role::System, Kind::Config)
    };

    fn check(config: &MqttBrokerConfig) -> Vec<Problem> {
        config.problems()
    }

    fn build(config: MqttBrokerConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        let (settings, version_5) = config.settings().map_err(BuildError)?;
        let link = Arc::new(BrokerLink::new(version_5, config.is_local()));
        Ok(MqttBroker { settings, auto_connect: config.auto_connect(), link, told: (0, 0) })
    }
}

impl MqttBroker {
    /// Tells of messages that were dropped since the last look. QoS 0 allows it; silence would not be fair.
    fn tell_drops(&mut self, ctx: &Ctx<'_>) {
        let Some((came, went)) = self.link.connection().map(|connection| connection.dropped()) else { return };
        let (lost_in, lost_out) = (came.saturating_sub(self.told.0), went.saturating_sub(self.told.1));
        if lost_in > 0 {
            ctx.warn(format!("{lost_in} messages of QoS 0 were dropped: the flow is slower than they come in"));
        }
        if lost_out > 0 {
            ctx.warn(format!("{lost_out} messages of QoS 0 were dropped: the broker was not there to take them"));
        }
        if lost_in + lost_out > 0 {
            let text = format!("dropped {came} in, {went} out");
            ctx.status(Status::new(Fill::Yellow, Shape::Ring, text));
        }
        self.told = (came, went);
    }
}

impl Node for MqttBroker {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.settings.username = ctx.credential("user").filter(|user| !user.is_empty());
        self.settings.password = ctx.credential("password").filter(|password| !password.is_empty());
        let services = ctx.services();
        let around = Surroundings {
            broker: services.broker.clone(),
            log: Some(services.log.clone()),
            name: ctx.facts().id.to_string(),
        };
        self.link.open(self.settings.clone(), around).map_err(|error| NodeError::new(error.to_string()))?;
        // A broker delivers what it kept for the session at once: the nodes that want it must have subscribed by then.
        ctx.feed().signal(Signal::Own(Box::new(AllThere)));
        self.told = (0, 0);
        ctx.set_timer(LOOK, ctx.now_ms() + LOOK_EVERY_MS);
        Ok(())
    }

    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.drop_message();
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Own(own) if own.is::<AllThere>() => self.link.all_there(self.auto_connect),
            Signal::Timer(LOOK) => {
                self.tell_drops(ctx);
                ctx.set_timer(LOOK, ctx.now_ms() + LOOK_EVERY_MS);
            }
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, reason: StopReason, _ctx: &mut Ctx<'_>) -> Option<State> {
        let connection = self.link.close();
        match reason {
            // The process is about to end: what is queued goes out first.
            StopReason::Shutdown => drop(connection),
            // Saying goodbye may take two seconds, which must not hold up a deploy.
            StopReason::Replaced | StopReason::Removed => drop(std::thread::spawn(move || drop(connection))),
        }
        None
    }

    fn resource(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        Some(Arc::clone(&self.link) as Arc<dyn Any + Send + Sync>)
    }
}

#[cfg(test)]
pub(crate) mod tests;
