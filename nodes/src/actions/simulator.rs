//! `simulator`: seeded virtual things that speak MQTT like real ones.

mod config;
mod speech;
mod thing;

#[cfg(test)]
mod tests;

use std::any::Any;

use tidewire_model::{Message, Problem};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, Signal, State, Status, StopReason,
};

use super::wire::{Heard, Line, Post};
use config::{SimulatorConfig, ThingKind};
use speech::{Said, Speech};
use thing::Thing;

/// Timer to look for the broker.
const CONNECT: u64 = 0;
/// First timer of the readings, one per thing.
const READING: u64 = 1_000;
/// First timer of the valves, one per thing.
const REACTION: u64 = 1_000_000;

/// How often it is looked whether the broker is there.
const LOOK_FOR_BROKER_MS: i64 = 500;

/// See [`SimulatorConfig`].
pub(crate) struct Simulator {
    config: SimulatorConfig,
    speech: Speech,
    things: Vec<Thing>,
    /// Commands that valves are carrying out, by number of the thing.
    moving: Vec<(usize, bool, Option<String>)>,
    line: Line,
    listening: Vec<Box<dyn Any + Send>>,
    /// Whether the things have said hello on this connection.
    online: bool,
}

impl NodeType for Simulator {
    type Config = SimulatorConfig;

    const META: Meta = Meta {
        icon: "flask",
        inputs: 0,
        outputs: &[],
        keywords: &["demo", "virtual", "fake", "test", "sensor", "device", "thing", "mqtt"],
        ..Meta::new("simulator", "Simulator", Category::Actions, Role::Out, Kind::Effect)
    };

    fn check(config: &SimulatorConfig) -> Vec<Problem> {
        config.problems()
    }

    fn build(config: SimulatorConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Simulator {
            speech: Speech::new(&config),
            things: Vec::new(),
            moving: Vec::new(),
            line: Line::default(),
            listening: Vec::new(),
            online: false,
            config,
        })
    }
}

impl Node for Simulator {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let now = ctx.now_ms();
        let seed = self.config.seed as i64 as u64;
        let valve = self.config.things.iter().find(|thing| thing.kind == ThingKind::Valve);
        let valve = valve.map(|thing| thing.id.clone()).unwrap_or_default();
        self.things = self.config.things.iter().map(|thing| Thing::new(thing, &valve, seed, now)).collect();
        let count = self.things.len().max(1) as i64;
        for (index, thing) in self.things.iter().enumerate() {
            // Spread over the interval, so that they do not all speak at once.
            ctx.set_timer(READING + index as u64, now + 200 + thing.every_ms * index as i64 / count);
        }
        self.connect(ctx);
        Ok(())
    }

    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.drop_message();
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Timer(CONNECT) => self.connect(ctx),
            Signal::Timer(key) if key >= REACTION => self.react((key - REACTION) as usize, ctx),
            Signal::Timer(key) if key >= READING => self.read((key - READING) as usize, ctx),
            Signal::Own(own) => match own.downcast::<Heard>() {
                Ok(heard) => self.heard(&heard, ctx),
                // The connection has changed.
                Err(_) => self.connect(ctx),
            },
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, reason: StopReason, _ctx: &mut Ctx<'_>) -> Option<State> {
        if reason != StopReason::Replaced {
            for said in self.things.iter().filter_map(|thing| self.speech.goodbye(thing)) {
                self.say(said);
            }
        }
        self.listening.clear();
        self.line.drop_wire();
        None
    }
}

impl Simulator {
    /// Follows the broker: takes its connection, listens for commands, and says hello once it is there.
    fn connect(&mut self, ctx: &Ctx<'_>) {
        if self.line.refresh(&self.config.broker, ctx) {
            self.listening.clear();
            self.listen(ctx);
        }
        let online = self.line.is_connected();
        if online && !self.online {
            for said in self.things.iter().flat_map(|thing| self.speech.hello(thing)) {
                self.say(said);
            }
        }
        self.online = online;
        ctx.status(match (online, self.things.len()) {
            (false, _) => Status::waiting("waits for the broker"),
            (true, 1) => Status::ok("1 thing"),
            (true, count) => Status::ok(format!("{count} things")),
        });
        ctx.set_timer(CONNECT, ctx.now_ms() + LOOK_FOR_BROKER_MS);
    }

    fn listen(&mut self, ctx: &Ctx<'_>) {
        let Some(wire) = self.line.wire() else { return };
        for thing in self.things.iter().filter(|thing| thing.kind == ThingKind::Valve) {
            let feed = ctx.feed();
            let listener = Box::new(move |heard: Heard| feed.signal(Signal::Own(Box::new(heard))));
            self.listening.push(wire.listen(&self.speech.set_topic(&thing.id), listener));
        }
    }

    /// Says something, as long as there is somebody to say it to: a device without network is silent.
    fn say(&self, said: Said) {
        let Some(wire) = self.line.wire().filter(|wire| wire.is_connected()) else { return };
        wire.post(Post {
            topic: said.topic,
            payload: said.payload.into(),
            assured: true,
            retain: said.retain,
            expiry_s: None,
            command: None,
            done: None,
        });
    }

    /// A thing takes a reading and reports it.
    fn read(&mut self, index: usize, ctx: &Ctx<'_>) {
        let now = ctx.now_ms();
        let watered = self.is_watered(index);
        let Some(thing) = self.things.get_mut(index) else { return };
        thing.pass(now, self.config.speed, watered);
        ctx.set_timer(READING + index as u64, now + thing.every_ms);
        let said = self.speech.readings(thing);
        for said in said {
            self.say(said);
        }
    }

    fn is_watered(&self, index: usize) -> bool {
        let Some(valve) = self.things.get(index).map(|thing| thing.valve.as_str()) else { return false };
        self.things.iter().any(|thing| thing.kind == ThingKind::Valve && thing.id == valve && thing.is_open)
    }

    /// A valve gets a command. Retained ones are old: a real device that obeyed them would move at every reconnect.
    fn heard(&mut self, heard: &Heard, ctx: &Ctx<'_>) {
        let is_meant =
            |thing: &Thing| thing.kind == ThingKind::Valve && self.speech.set_topic(&thing.id) == heard.topic;
        let Some(index) = self.things.iter().position(is_meant).filter(|_| !heard.retain) else { return };
        let Some((open, command)) = self.speech.understand(&heard.payload) else { return };
        let Some(thing) = self.things.get_mut(index) else { return };
        ctx.set_timer(REACTION + index as u64, ctx.now_ms() + thing.reaction_ms());
        let accepted = self.speech.accepted(&thing.id, open);
        self.moving.retain(|(moving, ..)| *moving != index);
        self.moving.push((index, open, command.or_else(|| heard.command.clone())));
        if let Some(said) = accepted {
            self.say(said);
        }
    }

    /// A valve has moved.
    fn react(&mut self, index: usize, ctx: &Ctx<'_>) {
        let Some(at) = self.moving.iter().position(|(moving, ..)| *moving == index) else { return };
        let (_, open, command) = self.moving.swap_remove(at);
        let now = ctx.now_ms();
        // What it waters had the old state until now.
        for other in 0..self.things.len() {
            let watered = self.is_watered(other);
            let by_this =
                self.things.get(index).is_some_and(|valve| self.things.get(other).is_some_and(|o| o.valve == valve.id));
            if let Some(thing) = self.things.get_mut(other).filter(|thing| by_this && thing.kind == ThingKind::Soil) {
                thing.pass(now, self.config.speed, watered);
            }
        }
        let Some(thing) = self.things.get_mut(index) else { return };
        thing.is_open = open;
        let mut said = vec![self.speech.answer(thing, command.as_deref())];
        if self.config.convention == config::Convention::Plain {
            said.extend(self.speech.readings(thing));
        }
        for said in said {
            self.say(said);
        }
    }
}
