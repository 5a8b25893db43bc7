//! The modes with a rate: one after the other, left out if too soon, or the latest of each topic.

use tidewire_model::{Message, Value};
use tidewire_node_api::{Ctx, Deferred, Fill, NodeError, Outcome, Shape, Status, Token};

use super::{Delay, has_content};
use crate::shared::coerce::parse_float;
use crate::shared::held::NEVER;

fn without(mut message: Message, keys: &[&str]) -> Message {
    for key in keys {
        if message.body().contains_key(key) {
            message.body_mut().remove(key);
        }
    }
    message
}

impl Delay {
    /// Takes `msg.rate`; true if it changed the rate.
    fn take_rate(&mut self, message: &Message) -> bool {
        let rate = message.get("rate").filter(|_| self.allows_rate).and_then(parse_float);
        rate.is_some_and(|rate| self.pace.set_rate(rate))
    }

    /// One after the other, at a rate.
    pub(super) fn limit(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        let flush = message.get("flush").cloned();
        let resets = message.body().contains_key("reset");
        let mut deferred = Some(ctx.defer());
        let lined_up = self.line_up(message, (resets, flush.is_some()), &mut deferred, ctx);
        if let Some(flush) = &flush {
            let sent = self.flush(flush, ctx);
            if sent == 0 {
                self.pace.idle();
            } else {
                self.pace.begin(ctx.now_ms());
            }
        }
        if resets {
            self.discard_all(ctx);
            self.pace.reset_rate();
            if flush.is_none() {
                self.pace.idle();
            }
        }
        self.pace.keep(ctx);
        self.arm(ctx);
        match (lined_up, deferred) {
            (Err(error), deferred) => ctx.host().report(error, deferred.and_then(|deferred| deferred.token)),
            (Ok(()), Some(deferred)) => ctx.finish(deferred, Outcome::Done),
            (Ok(()), None) => {}
        }
    }

    /// Sends a message if the rate allows it, else lets it wait for its turn. Takes `deferred` if it did.
    fn line_up(
        &mut self,
        message: Message,
        (resets, flushes): (bool, bool),
        deferred: &mut Option<Deferred>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), NodeError> {
        let now = ctx.now_ms();
        let busy = self.pace.busy(now) || !self.line.is_empty();
        if self.take_rate(&message) && busy {
            self.pace.begin(now);
        }
        if (resets && !flushes) || !has_content(&message, &["flush", "reset"]) {
            return Ok(());
        }
        let message = without(message, &["flush", "reset"]);
        if !busy && !resets {
            self.pace.sent(now);
            let token = deferred.take().and_then(|deferred| deferred.token);
            ctx.begin(token, &message);
            ctx.emit(0, message);
            ctx.end(Ok(()));
            return Ok(());
        }
        if !busy {
            self.pace.begin(now);
        } else if self.held_max > 0 && self.line.len() >= self.held_max {
            self.discard_all(ctx);
            let error = NodeError::new("too many pending messages in delay node").with_code("delay.errors.too-many");
            return Err(error.on(message));
        }
        let first = matches!(message.get("toFront"), Some(Value::Bool(true)));
        let rank = if first { self.line.front() } else { self.line.back() };
        let token = deferred.take().and_then(|deferred| deferred.token);
        self.hold(message, rank, NEVER, token, ctx);
        self.depth.changed(self.line.len(), ctx);
        Ok(())
    }

    /// What comes too soon is left out.
    pub(super) fn thin_out(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        if message.body().contains_key("reset") {
            self.pace.idle();
            self.pace.reset_rate();
            ctx.status(Status::new(Fill::Blue, Shape::Ring, "0"));
        } else {
            let now = ctx.now_ms();
            self.take_rate(&message);
            if !self.pace.busy(now) {
                self.pace.sent(now);
                ctx.emit(0, message);
            } else if self.second {
                ctx.emit(1, message);
            } else {
                ctx.drop_message();
            }
        }
        self.pace.keep(ctx);
    }

    /// The latest message of each topic, one topic or all of them at each tick.
    pub(super) fn queue(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        if self.take_rate(&message) {
            self.pace.begin(ctx.now_ms());
            self.pace.keep(ctx);
        }
        let (flush, resets) = (message.get("flush").cloned(), message.body().contains_key("reset"));
        let deferred = ctx.defer();
        let message = without(message, &["flush", "reset"]);
        let plain = flush.is_none() && !resets;
        let mut ends = None;
        if plain || (flush.is_some() && has_content(&message, &["topic"])) {
            self.enqueue(message, deferred.token, ctx);
        } else {
            ends = Some(deferred);
        }
        if let Some(flush) = flush {
            self.flush(&flush, ctx);
        }
        if resets {
            self.discard_all(ctx);
            self.pace.reset_rate();
            self.pace.keep(ctx);
            ctx.status(Status::text("reset"));
        }
        if let Some(deferred) = ends {
            ctx.finish(deferred, Outcome::Done);
        }
        self.arm(ctx);
    }

    fn enqueue(&mut self, mut message: Message, token: Option<Token>, ctx: &mut Ctx<'_>) {
        if !message.body().contains_key("topic") {
            message.set("topic", "_none_");
        }
        if self.line.is_empty() {
            self.pace.catch_up(ctx.now_ms());
        }
        let earlier = self.line.take_topic(&message);
        let rank = earlier.as_ref().map_or_else(|| self.line.back(), |held| held.entry.rank);
        let port = usize::from(self.second);
        match earlier {
            Some(earlier) if port == 1 => self.holder.send(earlier, port, ctx),
            Some(earlier) => self.holder.discard(earlier, ctx),
            None => {}
        }
        self.hold(message, rank, NEVER, token, ctx);
        self.depth.changed(self.line.len(), ctx);
    }
}
