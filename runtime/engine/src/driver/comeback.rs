//! How a node that is down comes back, and what becomes of its messages until then.

use std::future::poll_fn;

use tidewire_node_api::{Host, NodeError, Outcome, Status, StopReason};

use super::Driver;
use crate::down::WhenDown;
use crate::inbox::Taken;
use crate::observe::Observation;
use crate::wiring::finish;

/// Waits between attempts to start a node that fails, doubling from the first to the second.
const BACK_OFF_MS: (i64, i64) = (100, 30_000);

impl Driver {
    pub(super) fn failed(&mut self, text: String) -> String {
        *self.slot.problem.lock() = Some(text.clone());
        self.host.status(Status::error(text.clone()));
        let facts = self.host.facts().clone();
        self.shared.observers.tell(Observation::Failed { facts, text: text.clone() });
        text
    }

    /// Waits, builds the node if it is gone, and starts it; again and again until it runs or is stopped.
    pub(super) async fn start_again(&mut self) -> Result<(), StopReason> {
        loop {
            let wait = (BACK_OFF_MS.0 << self.failures.min(9)).min(BACK_OFF_MS.1);
            let clock = self.shared.clock.clone();
            self.failures = self.failures.saturating_add(1);
            if let Some(text) = self.crashes.too_many(self.shared.clock.now_ms()) {
                self.failed(text);
            }
            self.pass_time(clock.now_ms() + wait).await?;
            if self.node.is_none() {
                match (self.build)() {
                    Ok(node) => self.node = Some(node),
                    Err(text) => {
                        self.failed(text);
                        continue;
                    }
                }
            }
            if self.start().is_ok() {
                if self.slot.problem.lock().take().is_some() {
                    self.host.status(Status::default());
                }
                if !self.crashes.recent(self.shared.clock.now_ms()) {
                    self.failures = 0;
                }
                return Ok(());
            }
        }
    }

    /// Waits while the node is down; its messages wait too, or end as the user wants.
    async fn pass_time(&mut self, until_ms: i64) -> Result<(), StopReason> {
        let clock = self.shared.clock.clone();
        let again = clock.until(until_ms);
        let when_down = self.slot.when_down.lock().unwrap_or(WhenDown::Wait);
        if when_down == WhenDown::Wait {
            return tokio::select! {
                reason = self.slot.inbox.wait_stop() => Err(reason),
                () = again => Ok(()),
            };
        }
        tokio::pin!(again);
        loop {
            let Driver { slot, batch, .. } = self;
            let taken = poll_fn(|cx| slot.inbox.poll_take(batch, true, cx));
            tokio::select! {
                taken = taken => match taken {
                    Taken::Stop(reason) => return Err(reason),
                    Taken::Signal(_) => {}
                    Taken::Messages => self.end_all(when_down),
                },
                () = &mut again => return Ok(()),
            }
        }
    }

    /// Ends the messages of a node that is down.
    fn end_all(&mut self, when_down: WhenDown) {
        let why = self.slot.problem.lock().clone().unwrap_or_default();
        for delivery in std::mem::take(&mut self.batch) {
            if when_down == WhenDown::Drop {
                self.slot.counters.dropped.add(1);
                finish(delivery.token, Outcome::Dropped);
            } else {
                let error = NodeError::new(format!("the node is not running: {why}")).on(delivery.message);
                self.host.report(error, delivery.token);
            }
        }
    }
}
