//! How a driver ends: a removed node works off what it has, every node finishes the work under way and leaves its state.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidewire_node_api::{State, StopReason};

use super::Driver;

/// How long a removed node may go on with what is in its inbox.
const DRAIN: Duration = Duration::from_secs(5);

impl Driver {
    pub(super) async fn wind_down(&mut self, reason: StopReason) {
        if reason != StopReason::Replaced && self.node.is_some() {
            self.drain(reason).await;
        }
        while let Some(emissions) = self.next_finished().await {
            self.take_emissions(emissions);
            self.flush().await;
        }
        let state = self.attempt(|node, ctx| node.stop(reason, ctx)).ok().flatten();
        self.flush().await;
        self.leave(state);
    }

    /// Works off what is in the inbox, along the wires as they are. A removed node closes its inbox once it is empty,
    /// so that a late sender follows the new wiring.
    async fn drain(&mut self, reason: StopReason) {
        let until = Instant::now() + DRAIN;
        while Instant::now() < until && self.held.is_empty() {
            if self.batch.is_empty() {
                match reason {
                    StopReason::Removed => match self.slot.inbox.close_if_empty() {
                        Ok(()) => return,
                        Err(batch) => self.batch = batch,
                    },
                    _ => self.slot.inbox.take_messages(&mut self.batch),
                }
            }
            if self.batch.is_empty() || !self.work_off().await {
                return;
            }
        }
    }

    fn leave(&mut self, state: Option<State>) {
        if self.slot.forgetful.load(Ordering::Relaxed) {
            self.slot.kept.lock().clear();
            self.shared.contexts.forget_node(&self.slot.facts().id);
        } else if state.is_some() {
            *self.slot.state.lock() = state;
        }
        self.node = None;
    }
}
