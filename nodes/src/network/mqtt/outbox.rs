//! Outgoing messages until the broker has acknowledged them.
//!
//! The library resends what is under way while the session lasts. When the broker has lost the session, the library
//! forgets it all; then everything not acknowledged goes out again from here, in its order.

use super::{Outgoing, PublishOutcome, Qos};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// A message of QoS 1 or 2 that the library has.
struct Entry {
    order: u64,
    message: Outgoing,
    /// When it is of no use any more: such a message is not sent again, on MQTT 3.1.1 neither.
    stale_at: Option<Instant>,
}

impl Entry {
    fn new(order: u64, message: Outgoing) -> Self {
        let expiry = message.properties.as_ref().and_then(|properties| properties.message_expiry);
        let stale_at = expiry.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds.into())));
        Entry { order, message, stale_at }
    }

    fn is_stale(&self) -> bool {
        self.stale_at.is_some_and(|at| at <= Instant::now())
    }
}

#[derive(Default)]
pub(super) struct Outbox {
    /// Waiting for room in the library.
    queue: VecDeque<Outgoing>,
    /// Handed over, without a packet id yet, in order.
    submitted: VecDeque<Entry>,
    /// Under way, by packet id.
    unacked: Vec<Option<Entry>>,
    unacked_len: usize,
    /// Under way, answered one by one.
    tracked: BTreeMap<u64, Entry>,
    next_order: u64,
}

impl Outbox {
    pub(super) fn append(&mut self, messages: &mut VecDeque<Outgoing>) {
        self.queue.append(messages);
    }

    pub(super) fn push(&mut self, message: Outgoing) {
        self.queue.push_back(message);
    }

    pub(super) fn push_first(&mut self, message: Outgoing) {
        self.queue.push_front(message);
    }

    pub(super) fn front(&self) -> Option<&Outgoing> {
        self.queue.front()
    }

    /// Messages that wait for the library.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Messages that the broker has not acknowledged.
    pub(super) fn under_way(&self) -> usize {
        self.submitted.len() + self.unacked_len + self.tracked.len()
    }

    /// The library took the first message.
    pub(super) fn submit_front(&mut self) {
        let Some(message) = self.queue.pop_front() else { return };
        if message.qos == Qos::AtMostOnce {
            message.finish(PublishOutcome::Sent);
            return;
        }
        self.submitted.push_back(Entry::new(self.next_order, message));
        self.next_order += 1;
    }

    /// The library took the first message and will answer under the returned number.
    pub(super) fn track_front(&mut self) -> u64 {
        let order = self.next_order;
        self.next_order += 1;
        if let Some(message) = self.queue.pop_front() {
            self.tracked.insert(order, Entry::new(order, message));
        }
        order
    }

    /// The answer to a tracked message. Without a reason the library gave it up: it is queued again, unless a lost
    /// session has seen to that.
    pub(super) fn answered(&mut self, order: u64, reason: Option<u8>) {
        let Some(entry) = self.tracked.remove(&order) else { return };
        match reason {
            Some(reason) => entry.message.finish(outcome(reason)),
            None => self.again(entry),
        }
    }

    /// The first message cannot be sent at all.
    pub(super) fn refuse_front(&mut self, reason: u8) {
        if let Some(message) = self.queue.pop_front() {
            message.finish(PublishOutcome::Refused { reason });
        }
    }

    /// The library gave a message its packet id, or resends it under the one it has.
    pub(super) fn sent(&mut self, packet_id: u16) {
        let at = usize::from(packet_id);
        if self.unacked.len() <= at {
            self.unacked.resize_with(at + 1, || None);
        }
        if let Some(slot @ None) = self.unacked.get_mut(at) {
            *slot = self.submitted.pop_front();
            self.unacked_len += usize::from(slot.is_some());
        }
    }

    /// The broker took over responsibility for a message, or refused it.
    pub(super) fn acknowledged(&mut self, packet_id: u16, reason: u8) {
        let Some(entry) = self.unacked.get_mut(usize::from(packet_id)).and_then(Option::take) else { return };
        self.unacked_len -= 1;
        entry.message.finish(outcome(reason));
    }

    /// The broker has lost the session, and with it the library all that was under way: it is queued again.
    pub(super) fn session_lost(&mut self) {
        let mut again: Vec<Entry> =
            self.unacked.iter_mut().filter_map(Option::take).chain(self.submitted.drain(..)).collect();
        again.extend(std::mem::take(&mut self.tracked).into_values());
        self.unacked_len = 0;
        again.sort_by_key(|entry| entry.order);
        for entry in again.into_iter().rev() {
            self.again(entry);
        }
    }

    /// Puts a message before all others, unless its time is over.
    fn again(&mut self, entry: Entry) {
        if entry.is_stale() {
            entry.message.finish(PublishOutcome::Dropped);
        } else {
            self.queue.push_front(entry.message);
        }
    }

    /// Gives everything up.
    pub(super) fn drop_all(&mut self) {
        self.session_lost();
        for message in self.queue.drain(..) {
            message.finish(PublishOutcome::Dropped);
        }
    }
}

fn outcome(reason: u8) -> PublishOutcome {
    if reason < 0x80 { PublishOutcome::Acknowledged { reason } } else { PublishOutcome::Refused { reason } }
}

#[cfg(test)]
mod tests {
    use super::super::Properties;
    use super::*;
    use std::sync::{Arc, Mutex};

    fn message(topic: &str, seen: &Arc<Mutex<Vec<(String, PublishOutcome)>>>) -> Outgoing {
        let (seen, name) = (Arc::clone(seen), topic.to_owned());
        let mut message = Outgoing::new(topic, "x", Qos::AtLeastOnce);
        message.done = Some(Box::new(move |outcome| {
            if let Ok(mut seen) = seen.lock() {
                seen.push((name, outcome));
            }
        }));
        message
    }

    #[test]
    fn a_lost_session_sends_everything_unacknowledged_again_in_order() {
        let seen = Arc::default();
        let mut outbox = Outbox::default();
        for topic in ["a", "b", "c", "d"] {
            outbox.push(message(topic, &seen));
        }
        for _ in 0..3 {
            outbox.submit_front();
        }
        outbox.sent(2);
        outbox.sent(1);
        outbox.acknowledged(1, 0);
        outbox.session_lost();
        let mut left = Vec::new();
        while let Some(next) = outbox.queue.pop_front() {
            left.push(next.topic.to_string());
        }
        assert_eq!(left, ["a", "c", "d"]);
        assert_eq!(
            seen.lock().map(|s| s.clone()).unwrap_or_default(),
            [("b".into(), PublishOutcome::Acknowledged { reason: 0 })]
        );
    }

    #[test]
    fn a_message_whose_time_is_over_is_not_sent_again() {
        let seen = Arc::default();
        let mut outbox = Outbox::default();
        for (topic, expiry) in [("a", Some(0)), ("b", Some(60)), ("c", None)] {
            let mut message = message(topic, &seen);
            message.properties = Some(Box::new(Properties { message_expiry: expiry, ..Properties::default() }));
            outbox.push(message);
            outbox.submit_front();
        }
        outbox.session_lost();
        assert_eq!(outbox.queue.iter().map(|message| message.topic.to_string()).collect::<Vec<_>>(), ["b", "c"]);
        let told = seen.lock().map(|seen| seen.clone()).unwrap_or_default();
        assert_eq!(told, [("a".to_owned(), PublishOutcome::Dropped)]);
    }

    #[test]
    fn a_resent_message_keeps_its_packet_id_and_takes_no_other() {
        let seen = Arc::default();
        let mut outbox = Outbox::default();
        outbox.push(message("a", &seen));
        outbox.push(message("b", &seen));
        outbox.submit_front();
        outbox.sent(1);
        outbox.submit_front();
        outbox.sent(1);
        assert_eq!(outbox.submitted.len(), 1, "the resend of the first must not be taken for the second");
        outbox.sent(2);
        outbox.acknowledged(2, 0x97);
        outbox.acknowledged(1, 0x10);
        assert_eq!(
            seen.lock().map(|s| s.clone()).unwrap_or_default(),
            [
                ("b".into(), PublishOutcome::Refused { reason: 0x97 }),
                ("a".into(), PublishOutcome::Acknowledged { reason: 0x10 })
            ]
        );
    }
}
