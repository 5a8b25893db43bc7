//! `delay` holds messages back: each for a time, or all together to a rate.

mod config;
mod depth;
mod line;
mod pace;
mod paced;

use serde_json::{Map as JsonMap, Value as Json};
use tidewire_model::{Message, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Fill, Kind, Meta, Node, NodeError, NodeType, Outcome, Role, Shape, Signal,
    State, Status, StopReason, Token,
};

use crate::shared::coerce::parse_float;
use crate::shared::held::{Entry, Held, Holder, NEVER};
use config::{DelayConfig, PauseType};
use depth::Depth;
use line::Line;
use pace::Pace;

/// Timer of what leaves next.
const NEXT: u64 = 0;

/// Timer of the status.
const SHOW: u64 = 1;

/// The longest wait: far beyond any life, and far from overflow.
const WAIT_MAX_MS: f64 = 1e14;

pub(crate) struct Delay {
    mode: PauseType,
    timeout_ms: f64,
    random_ms: (f64, f64),
    drops: bool,
    allows_rate: bool,
    /// What is left out goes to a second output.
    second: bool,
    holder: Holder,
    line: Line,
    pace: Pace,
    depth: Depth,
    /// Messages held at most; 0 is any number.
    held_max: usize,
    /// When the timer [`NEXT`] is set for.
    armed: i64,
}

impl NodeType for Delay {
    type Config = DelayConfig;

    const META: Meta = Meta {
        icon: "delay",
        keywords: &["wait", "pause", "later", "rate limit", "throttle", "queue", "slow", "timer"],
        ..Meta::new("delay", "Delay", Category::Function, Role::Logic, Kind::Stateful)
    };

    fn derived(config: &DelayConfig) -> JsonMap<String, Json> {
        config.in_ms()
    }

    fn build(config: DelayConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Delay {
            mode: config.pause_type,
            timeout_ms: config.timeout_ms(),
            random_ms: config.random_ms(),
            drops: config.drop,
            allows_rate: config.allowrate,
            second: config.outputs == 2.0,
            holder: Holder::new(config.ack),
            line: Line::default(),
            pace: Pace::new(config.rate_ms()),
            depth: Depth::default(),
            held_max: 0,
            armed: NEVER,
        })
    }
}

/// Whether the message has a property besides `_msgid` and these.
fn has_content(message: &Message, besides: &[&str]) -> bool {
    message.body().iter().any(|(key, _)| key != "_msgid" && !besides.contains(&key))
}

/// How many of `count` messages `msg.flush` asks for.
fn flushed(flush: &Value, count: usize) -> usize {
    match flush.as_f64() {
        Some(number) if number < count as f64 => number.max(0.0) as usize,
        _ => count,
    }
}

impl Delay {
    /// Holds a message back. Its end comes when it leaves.
    fn hold(&mut self, mut message: Message, rank: i64, due: i64, token: Option<Token>, ctx: &Ctx<'_>) {
        message.reset_hops();
        let entry = Entry { id: ctx.next_id(), rank, due, label: "".into(), message };
        self.line.insert(self.holder.hold(entry, token, ctx));
    }

    fn discard_all(&mut self, ctx: &mut Ctx<'_>) {
        for held in self.line.take_all() {
            self.holder.discard(held, ctx);
        }
        ctx.status(Status::new(Fill::Blue, Shape::Ring, "0"));
    }

    fn send_first(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(held) = self.line.take_first() {
            self.holder.send(held, 0, ctx);
        }
    }

    /// Sends as many as `msg.flush` says.
    fn flush(&mut self, flush: &Value, ctx: &mut Ctx<'_>) -> usize {
        let count = flushed(flush, self.line.len());
        (0..count).for_each(|_| self.send_first(ctx));
        self.depth.show(self.line.len(), ctx);
        count
    }

    /// Sets the timer to what is due next.
    fn arm(&mut self, ctx: &Ctx<'_>) {
        let next = match self.mode {
            PauseType::Delay | PauseType::Delayv | PauseType::Random => self.line.next_due(),
            _ if self.line.is_empty() => None,
            _ => Some(self.pace.next(ctx.now_ms())),
        };
        let next = next.unwrap_or(NEVER);
        if next == self.armed {
            return;
        }
        self.armed = next;
        if next == NEVER {
            ctx.cancel_timer(NEXT);
        } else {
            ctx.set_timer(NEXT, next);
        }
    }

    /// How long this message is to wait, in milliseconds.
    fn wait(&self, message: &Message, ctx: &Ctx<'_>) -> f64 {
        let wait = match self.mode {
            PauseType::Delayv => message.get("delay").and_then(parse_float).unwrap_or(self.timeout_ms),
            PauseType::Random => {
                let (first, last) = self.random_ms;
                first + (last - first) * (ctx.random() as f64 / u64::MAX as f64)
            }
            _ => self.timeout_ms,
        };
        wait.clamp(0.0, WAIT_MAX_MS)
    }

    /// A wait for each message of its own.
    fn pause(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        let wait = self.wait(&message, ctx);
        let flush = message.get("flush").cloned();
        if message.body().contains_key("reset") {
            let deferred = ctx.defer();
            self.discard_all(ctx);
            ctx.finish(deferred, Outcome::Done);
        } else if let Some(flush) = flush {
            let deferred = ctx.defer();
            if has_content(&message, &["flush"]) {
                self.hold_until(message, wait, deferred.token, ctx);
            } else {
                ctx.finish(deferred, Outcome::Done);
            }
            self.flush(&flush, ctx);
        } else if wait < 1.0 {
            ctx.emit(0, message);
        } else {
            let token = ctx.defer().token;
            self.hold_until(message, wait, token, ctx);
            if self.mode != PauseType::Delay || self.timeout_ms > 1000.0 {
                self.depth.changed(self.line.len(), ctx);
            }
        }
        self.arm(ctx);
    }

    fn hold_until(&mut self, message: Message, wait: f64, token: Option<Token>, ctx: &Ctx<'_>) {
        let due = ctx.now_ms().saturating_add(wait.ceil() as i64);
        self.hold(message, self.line.back(), due, token, ctx);
    }

    /// The time has come for what is due.
    fn next(&mut self, ctx: &mut Ctx<'_>) {
        self.armed = NEVER;
        let now = ctx.now_ms();
        match self.mode {
            PauseType::Delay | PauseType::Delayv | PauseType::Random => {
                while let Some(held) = self.line.take_due(now) {
                    self.holder.send(held, 0, ctx);
                }
            }
            PauseType::Rate => {
                while !self.line.is_empty() && !self.pace.busy(now) {
                    self.pace.sent(now);
                    self.send_first(ctx);
                }
            }
            PauseType::Queue => {
                self.pace.begin(now);
                self.send_first(ctx);
            }
            PauseType::Timed => {
                self.pace.begin(now);
                while !self.line.is_empty() {
                    self.send_first(ctx);
                }
            }
        }
        self.depth.changed(self.line.len(), ctx);
        self.pace.keep(ctx);
        self.arm(ctx);
    }
}

impl Node for Delay {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let now = ctx.now_ms();
        let ticks = matches!(self.mode, PauseType::Queue | PauseType::Timed);
        self.pace.start(ticks, ctx);
        let held_max = ctx.setting("nodeMessageBufferMaxLength").and_then(|value| value.as_i64()).unwrap_or(0);
        self.held_max = usize::try_from(held_max).unwrap_or(0);
        for mut entry in self.holder.start(state.as_ref(), ctx) {
            if entry.due == NEVER {
                // Held in another mode before.
                entry.due = now.saturating_add(self.timeout_ms.clamp(0.0, WAIT_MAX_MS) as i64);
            }
            self.line.insert(Held { entry, token: None });
        }
        if !self.line.is_empty() {
            self.depth.show(self.line.len(), ctx);
        }
        self.arm(ctx);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match self.mode {
            PauseType::Delay | PauseType::Delayv | PauseType::Random => self.pause(message, ctx),
            PauseType::Rate if self.drops => self.thin_out(message, ctx),
            PauseType::Rate => self.limit(message, ctx),
            PauseType::Queue | PauseType::Timed => self.queue(message, ctx),
        }
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Timer(NEXT) => self.next(ctx),
            Signal::Timer(SHOW) => self.depth.show(self.line.len(), ctx),
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        for held in self.line.take_all() {
            self.holder.put_away(held, ctx);
        }
        ctx.status(Status::default());
        self.holder.stop()
    }
}

#[cfg(test)]
mod tests;
