//! The behaviour of a node.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use tidewire_model::{Message, Value};

use crate::ctx::Ctx;
use crate::delivery::{Batch, Origin};
use crate::error::NodeError;

/// Why a node is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Its configuration changed; a successor takes over its inbox and state.
    Replaced,
    /// It is gone from the flow, or switched off.
    Removed,
    /// The runtime ends.
    Shutdown,
}

/// A node's state for its successor. `version` lets a node refuse a form it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub version: u32,
    pub data: Bytes,
}

/// Something that reaches a node beside its messages, ahead of them.
pub enum Signal {
    /// The button was pressed (`POST /inject/:id`); the value is the request's body, undefined if it had none.
    Trigger(Value),
    /// Switched on or off while it runs (`POST /debug/:id/enable`).
    Enable(bool),
    /// A timer set with [`Ctx::set_timer`] has come.
    Timer(u64),
    /// A wired node's own signal, from its connection or background work.
    Own(Box<dyn Any + Send>),
}

/// A running node. All methods but the futures they hand out are synchronous and short; the engine calls them from the
/// node's one task, so a node needs no locks for its own state.
pub trait Node: Send {
    /// Called once before the first message. `state` is what the predecessor left.
    ///
    /// # Errors
    /// The node is shown as failed and started again with back-off; its inbox is kept.
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let _ = (state, ctx);
        Ok(())
    }

    /// Takes one message.
    ///
    /// # Errors
    /// The error goes to the catch nodes, and the message counts as failed.
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError>;

    /// Takes one message from the node's own source (see [`crate::Feed`]), or from a node that addressed it
    /// ([`Ctx::deliver`], [`crate::Listens`]). Sent on as it is by default.
    ///
    /// # Errors
    /// As [`Node::process`].
    fn receive(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.emit(0, message);
        Ok(())
    }

    /// Takes what has come in together. Nodes whose work is dearer per call than per message override it.
    fn process_batch(&mut self, batch: &mut Batch, ctx: &mut Ctx<'_>) {
        while let Some(delivery) = batch.pop_front() {
            ctx.begin(delivery.token, &delivery.message);
            let result = match delivery.origin {
                Origin::Wire => self.process(delivery.message, ctx),
                Origin::Source => self.receive(delivery.message, ctx),
            };
            // What is left comes again after a rest: others have waited long enough.
            let runaway = result.as_ref().is_err_and(NodeError::is_runaway);
            ctx.end(result);
            if runaway {
                return;
            }
        }
    }

    /// Takes a signal.
    ///
    /// # Errors
    /// As [`Node::process`].
    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let _ = (signal, ctx);
        Ok(())
    }

    /// Called once at the end. What it returns goes to the successor when the node is replaced.
    fn stop(&mut self, reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        let _ = (reason, ctx);
        None
    }

    /// What a config node offers to the nodes that name it; see [`Ctx::resource`].
    fn resource(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }

    /// How many pieces of asynchronous work may be under way before the node is given no more messages.
    fn concurrency(&self) -> usize {
        8
    }
}
