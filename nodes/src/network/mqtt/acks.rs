//! Acknowledgements of incoming messages: given from any thread in any order, sent in the order of receipt.

use super::shared::Shared;
use std::{collections::VecDeque, fmt, sync::Arc};

/// How the processing of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckOutcome {
    /// It took effect.
    Done,
    /// It was dropped on purpose.
    Dropped,
    /// It could not be processed.
    Failed,
    /// Whoever had it was cut off. It is not acknowledged where the broker can deliver it again.
    Lost,
}

/// The right, and duty, to say how the processing of one message ended. One that is merely dropped counts as lost.
pub struct Ack {
    shared: Option<Arc<Shared>>,
    epoch: u32,
    index: u64,
}

/// What an [`Ack`] reports to the client thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    pub(super) epoch: u32,
    pub(super) index: u64,
    pub(super) outcome: AckOutcome,
}

impl Ack {
    pub(super) fn new(shared: Arc<Shared>, epoch: u32, index: u64) -> Self {
        Self { shared: Some(shared), epoch, index }
    }

    /// Says how it ended.
    pub fn complete(mut self, outcome: AckOutcome) {
        self.report(outcome);
    }

    fn report(&mut self, outcome: AckOutcome) {
        if let Some(shared) = self.shared.take() {
            shared.complete(Completion { epoch: self.epoch, index: self.index, outcome });
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.report(AckOutcome::Lost);
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("epoch", &self.epoch).field("index", &self.index).finish_non_exhaustive()
    }
}

/// A message that the broker waits to hear of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) packet_id: u16,
    pub(super) exactly_once: bool,
    /// The number that a broker in this process gave it.
    pub(super) delivery: u64,
    waiting: u32,
    failed: bool,
    lost: bool,
    acknowledged: bool,
}

impl Slot {
    fn may(&self, failed_too: bool, lost_too: bool) -> bool {
        self.waiting == 0 && (failed_too || !self.failed) && (lost_too || !self.lost)
    }
}

/// Unacknowledged messages of one connection in the order of receipt.
#[derive(Debug, Default)]
pub(super) struct Window {
    epoch: u32,
    first: u64,
    slots: VecDeque<Slot>,
}

impl Window {
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Notes a message that `takers` will complete; returns its index.
    #[cfg(test)]
    pub(super) fn push(&mut self, packet_id: u16, exactly_once: bool, takers: u32) -> u64 {
        self.push_delivery(packet_id, exactly_once, takers, 0)
    }

    /// Notes a message that `takers` will complete, and the number that a broker in this process gave it, else 0;
    /// returns its index.
    pub(super) fn push_delivery(&mut self, packet_id: u16, exactly_once: bool, takers: u32, delivery: u64) -> u64 {
        self.slots.push_back(Slot {
            packet_id,
            exactly_once,
            delivery,
            waiting: takers,
            failed: false,
            lost: false,
            acknowledged: false,
        });
        self.first + self.slots.len() as u64 - 1
    }

    /// Changes how many completions a message waits for.
    pub(super) fn expect(&mut self, index: u64, takers: u32) {
        if let Some(slot) = self.slot(index) {
            slot.waiting = takers;
        }
    }

    /// Counts a completion; those of an earlier connection are ignored. Says whether the message failed by it.
    pub(super) fn complete(&mut self, completion: Completion) -> bool {
        if completion.epoch != self.epoch {
            return false;
        }
        let Some(slot) = self.slot(completion.index) else { return false };
        slot.waiting = slot.waiting.saturating_sub(1);
        slot.failed |= completion.outcome == AckOutcome::Failed;
        slot.lost |= completion.outcome == AckOutcome::Lost;
        slot.failed || slot.lost
    }

    /// The oldest message if it may be acknowledged; with `failed_too` also when its processing failed.
    /// With `lost_too` also when it was lost.
    pub(super) fn ready(&self, failed_too: bool, lost_too: bool) -> Option<Slot> {
        self.slots.front().copied().filter(|slot| slot.may(failed_too, lost_too))
    }

    /// A message that may be acknowledged whatever became of older ones; it counts as acknowledged from now on.
    pub(super) fn ready_at(&mut self, index: u64, failed_too: bool, lost_too: bool) -> Option<Slot> {
        let slot = self.slot(index).filter(|slot| !slot.acknowledged && slot.may(failed_too, lost_too))?;
        slot.acknowledged = true;
        let ready = *slot;
        while self.slots.front().is_some_and(|slot| slot.acknowledged) {
            self.pop();
        }
        Some(ready)
    }

    /// Forgets the oldest message: it has been acknowledged.
    pub(super) fn pop(&mut self) {
        if self.slots.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Starts a new connection: the broker will deliver again what was not acknowledged.
    pub(super) fn next_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.first = 0;
        self.slots.clear();
    }

    fn slot(&mut self, index: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(window: &Window, index: u64) -> Completion {
        Completion { epoch: window.epoch(), index, outcome: AckOutcome::Done }
    }

    #[test]
    fn acknowledgements_wait_for_the_older_ones() {
        let mut window = Window::default();
        let (first, second) = (window.push(7, false, 1), window.push(8, false, 1));
        window.complete(done(&window, second));
        assert!(window.ready(false, false).is_none(), "the older one is still being processed");
        window.complete(done(&window, first));
        assert_eq!(window.ready(false, false).map(|slot| slot.packet_id), Some(7));
        window.pop();
        assert_eq!(window.ready(false, false).map(|slot| slot.packet_id), Some(8));
    }

    #[test]
    fn all_takers_must_have_finished() {
        let mut window = Window::default();
        let index = window.push(7, false, 2);
        window.complete(done(&window, index));
        assert!(window.ready(false, false).is_none());
        window.complete(done(&window, index));
        assert!(window.ready(false, false).is_some());
    }

    #[test]
    fn in_any_order_each_is_ready_once() {
        let mut window = Window::default();
        let (first, second) = (window.push_delivery(7, false, 1, 70), window.push_delivery(8, false, 1, 80));
        window.complete(done(&window, second));
        assert_eq!(window.ready_at(second, false, false).map(|slot| slot.delivery), Some(80));
        assert!(window.ready_at(second, false, false).is_none());
        window.complete(done(&window, first));
        assert_eq!(window.ready_at(first, false, false).map(|slot| slot.delivery), Some(70));
        assert_eq!(window.len(), 0);
    }

    #[test]
    fn a_failure_holds_and_an_old_connection_is_ignored() {
        let mut window = Window::default();
        let index = window.push(7, false, 1);
        assert!(window.complete(Completion { outcome: AckOutcome::Failed, ..done(&window, index) }));
        assert!(window.ready(false, false).is_none());
        assert!(window.ready(true, false).is_some());
        assert!(window.complete(Completion { outcome: AckOutcome::Lost, ..done(&window, index) }));
        assert!(window.ready(true, false).is_none());
        assert!(window.ready(true, true).is_some());
        let stale = done(&window, 0);
        window.next_epoch();
        window.push(9, false, 1);
        window.complete(stale);
        assert!(window.ready(true, false).is_none(), "a completion of the lost connection must not count");
    }
}
