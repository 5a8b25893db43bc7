//! `actuator-out` gives commands to devices over MQTT and keeps the evidence of what became of them.

mod command;
mod config;
mod dispatch;
mod things;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use tidewire_model::position::Position;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, Signal, State, Status, StopReason,
};

use super::wire::{Heard, Line, is_topic};
use crate::shared::outbox::{Cause, News, Outbox, Recorded, Report, TIMER_KEYS, entry_id};
use command::Command;
use config::{ActuatorConfig, Texts};
use dispatch::Done;
use things::{Followed, Follower};

const CATEGORY: &str = "command";

/// Timer for the next thing to do.
const PUMP: u64 = 10;
/// Timer to follow the log again.
const FOLLOW: u64 = 11;

/// See [`ActuatorConfig`].
pub(crate) struct ActuatorOut {
    config: ActuatorConfig,
    texts: Texts,
    outbox: Outbox,
    /// Commands without outcome, oldest first.
    open: BTreeMap<Position, Command>,
    line: Line,
    /// Topics on which answers are awaited.
    listening: HashMap<String, Box<dyn Any + Send>>,
    /// Brings the commands of a thing, when there is one.
    follower: Option<Follower>,
    /// How far it has got.
    followed: Position,
    last: Status,
}

impl NodeType for ActuatorOut {
    type Config = ActuatorConfig;

    const META: Meta = Meta {
        icon: "power",
        outputs: &["confirmed", "failed"],
        keywords: &["command", "switch", "valve", "pump", "relay", "control", "mqtt", "device", "confirm"],
        ..Meta::new("actuator-out", "Actuator", Category::Actions, Role::Out, Kind::Effect)
    };

    fn check(config: &ActuatorConfig) -> Vec<Problem> {
        let mut problems = config.problems();
        problems.extend(Texts::compile(config).err().into_iter().flatten());
        problems
    }

    fn build(config: ActuatorConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(ActuatorOut {
            texts: Texts::compile(&config).map_err(BuildError)?,
            outbox: Outbox::new(CATEGORY),
            open: BTreeMap::new(),
            line: Line::default(),
            listening: HashMap::new(),
            follower: None,
            followed: Position::ZERO,
            last: Status::text("ready"),
            config,
        })
    }
}

impl Node for ActuatorOut {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.texts.start(ctx);
        self.outbox.start::<Command>(ctx);
        self.show(ctx);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if ctx.withholds(&message) {
            ctx.drop_message();
            return Ok(());
        }
        self.request(message, ctx)
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Timer(key) if TIMER_KEYS.contains(&key) => self.outbox.timer::<Command>(key, ctx),
            Signal::Timer(FOLLOW) => self.follow(ctx),
            Signal::Own(own) => self.own(own, ctx),
            _ => {}
        }
        self.pump(ctx);
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        ctx.cancel_timer(PUMP);
        self.follower = None;
        self.listening.clear();
        self.line.drop_wire();
        None
    }

    fn concurrency(&self) -> usize {
        self.outbox.room()
    }
}

impl ActuatorOut {
    fn own(&mut self, own: Box<dyn Any + Send>, ctx: &mut Ctx<'_>) {
        let own = match own.downcast::<Report<Command>>() {
            Ok(report) => return self.report(*report, ctx),
            Err(own) => own,
        };
        let own = match own.downcast::<Done>() {
            Ok(done) => return self.done(&done, ctx),
            Err(own) => own,
        };
        match own.downcast::<Heard>() {
            Ok(heard) => self.heard(&heard, ctx),
            Err(own) => {
                if let Ok(followed) = own.downcast::<Followed>() {
                    self.take_followed(*followed, ctx);
                }
            }
        }
    }

    fn report(&mut self, report: Report<Command>, ctx: &mut Ctx<'_>) {
        match self.outbox.take(report, ctx) {
            News::Ready(history) => {
                self.followed = history.head;
                for life in &history.open {
                    self.take_up(life, ctx);
                }
                self.follow(ctx);
            }
            News::Open(position, command) => {
                self.open.insert(position, *command);
            }
            News::Refused(command) => self.outbox.forget(&command.id, ctx),
            News::Known | News::Quiet => {}
        }
    }

    /// Makes a command of a message and puts it on disk.
    fn request(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match self.command_of(&message, None, ctx) {
            Ok((command, recorded)) => {
                let id = command.id.clone();
                self.outbox.request((&id, command), recorded.append, message, ctx);
                Ok(())
            }
            Err(error) => Err(error.on(message)),
        }
    }

    /// The command that a message asks for, under a given id or one of its own.
    fn command_of(&self, message: &Message, id: Option<&str>, ctx: &Ctx<'_>) -> Result<(Command, Recorded), NodeError> {
        let now = ctx.now_ms();
        let nameless = self.texts.render(message, "", now)?;
        let given = id.or_else(|| message.get("command").and_then(|value| value.get("id")).and_then(Value::as_str));
        let id = entry_id(message, &[&nameless.topic, &String::from_utf8_lossy(&nameless.payload)], given, ctx);
        let rendered = self.texts.render(message, &id, now)?;
        if !is_topic(&rendered.topic) {
            return Err(NodeError::new(format!("\"{}\" is not a topic that a command can go to", rendered.topic)));
        }
        let expires_at = now.saturating_add((self.config.ttl * 1000.0) as i64);
        let mut command = Command::new(id, rendered, Cause::of_message(message), expires_at);
        let data = command.request_data(&self.config.thing);
        let recorded = Recorded::new((CATEGORY, &command.id), ("requested", 0), &data, &command.cause, ctx)?;
        command.cause = Cause::of_request(recorded.id.clone(), command.cause.correlation);
        command.message = Some(message.clone());
        Ok((command, recorded))
    }

    fn show(&self, ctx: &Ctx<'_>) {
        let waiting = self.open.values().filter(|command| command.phase == command::Phase::Waiting).count();
        if !self.line.is_connected() && waiting > 0 {
            ctx.status(Status::waiting(format!("waits for the broker · {waiting} waiting")));
        } else {
            ctx.status(self.last.clone());
        }
    }
}
