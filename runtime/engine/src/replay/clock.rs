//! Virtual time: it stands still until the scheduler moves it on.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use crate::clock::{Clock, Until};

/// Due time, and a serial number, so that those who wait for the same moment go on in the order they came.
type Place = (i64, u64);

#[derive(Default)]
struct State {
    now_ms: i64,
    serial: u64,
    sleepers: BTreeMap<Place, Waker>,
}

/// See the module. A clone is the same clock.
#[derive(Clone, Default)]
pub struct VirtualClock(Arc<Mutex<State>>);

impl VirtualClock {
    pub fn starting_at(now_ms: i64) -> Self {
        VirtualClock(Arc::new(Mutex::new(State { now_ms, ..State::default() })))
    }

    /// The moment that somebody waits for next.
    pub fn next_due(&self) -> Option<i64> {
        self.0.lock().sleepers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Moves on to a moment, never back, and wakes those who waited for it, in order.
    pub fn advance(&self, to_ms: i64) {
        let mut state = self.0.lock();
        state.now_ms = state.now_ms.max(to_ms);
        let after = (state.now_ms.saturating_add(1), 0);
        let later = state.sleepers.split_off(&after);
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }
}

/// A place in the queue of those who wait, given up when it is dropped.
struct Waiting<'a> {
    clock: &'a VirtualClock,
    place: Option<Place>,
}

impl Waiting<'_> {
    fn poll(&mut self, at_ms: i64, waker: &Waker) -> Poll<()> {
        let mut state = self.clock.0.lock();
        if at_ms <= state.now_ms {
            return Poll::Ready(());
        }
        let place = *self.place.get_or_insert_with(|| {
            state.serial += 1;
            (at_ms, state.serial)
        });
        state.sleepers.insert(place, waker.clone());
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.clock.0.lock().sleepers.remove(&place);
        }
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.0.lock().now_ms
    }

    fn until(&self, at_ms: i64) -> Until<'_> {
        let mut waiting = Waiting { clock: self, place: None };
        Box::pin(poll_fn(move |cx| waiting.poll(at_ms, cx.waker())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn those_who_wait_go_on_when_their_time_has_come_and_not_before() {
        let clock = VirtualClock::starting_at(1_000);
        let mut soon = clock.until(1_010);
        let mut later = clock.until(1_020);
        let given_up = clock.until(1_005);
        assert!((&mut soon).now_or_never().is_none() && (&mut later).now_or_never().is_none());
        assert!(clock.until(1_000).now_or_never().is_some(), "now is not waited for");
        drop(given_up);
        assert_eq!(clock.next_due(), Some(1_010));
        clock.advance(1_015);
        assert!(soon.now_or_never().is_some() && (&mut later).now_or_never().is_none());
        assert_eq!((clock.next_due(), clock.now_ms()), (Some(1_020), 1_015));
        clock.advance(1_000);
        assert_eq!(clock.now_ms(), 1_015, "never back");
        drop(later);
        assert_eq!(clock.next_due(), None);
    }
}
