//! Sending what a node emitted along its wires.

use std::sync::Arc;

use tidewire_node_api::{Delivery, Level, NodeError, Outcome, Token};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{GraphLimits, OutTable, Target, finish};
use crate::inbox::{Consumers, Drops, Pushed, Way};
use crate::slot::Slot;

/// Rounds after which a message's loop is worth a warning.
const MANY_HOPS: u32 = 1_000;

/// Space for sending, reused from batch to batch, and what is to be told afterwards.
#[derive(Default)]
pub struct Scratch {
    copies: Vec<Delivery>,
    drops: Drops,
    consumers: Consumers,
    /// The table in which a target was missing.
    seen: Option<Arc<OutTable>>,
    /// Messages that could not be sent, for whoever catches errors.
    pub errors: Vec<(NodeError, Option<Token>)>,
    /// Lines for the log of the node.
    pub lines: Vec<(Level, String)>,
}

impl Scratch {
    /// For a node on this runtime.
    pub fn on(runtime: &Handle) -> Self {
        // Only the runtime of several threads has a slot for the task woken last.
        let mut scratch = Scratch::default();
        scratch.consumers.last_runs_first = runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
        scratch
    }

    /// Wakes those to whom something was sent: to be called once all ports of a node are done.
    pub fn wake(&mut self) {
        self.consumers.wake();
    }
}

/// Sends what a node emitted on one port. Waits where a target is full, and follows the wiring when it changes
/// meanwhile. Invariant: every message goes to its old targets or, where one of them is gone, to the new ones; never to
/// nobody, and never twice to one.
pub async fn send(
    limits: &GraphLimits,
    slot: &Slot,
    port: usize,
    deliveries: &mut Vec<Delivery>,
    scratch: &mut Scratch,
) {
    let table = slot.table.load_full();
    let targets = table.targets(port);
    if targets.is_empty() {
        return end_all(deliveries, Outcome::Done);
    }
    scratch.seen = None;
    let mut left = send_to(limits, slot, port, targets, deliveries, scratch).await;
    if left.is_empty() {
        return;
    }
    // A target is gone: what it did not take goes where the new wiring leads and none before did.
    let mut before = vec![table];
    while !left.is_empty() {
        let new = scratch.seen.take().unwrap_or_else(|| slot.table.load_full());
        let known =
            |target: &&Target| !before.iter().any(|old: &Arc<OutTable>| old.way_to(port, &target.inbox).is_some());
        let added: Vec<Target> = new.targets(port).iter().filter(known).cloned().collect();
        before.push(new);
        if added.is_empty() {
            return end_all(&mut left, Outcome::Dropped);
        }
        left = send_to(limits, slot, port, &added, &mut left, scratch).await;
    }
}

/// Sends to each target; gives back what a target that is gone did not take, the longest of such rests.
async fn send_to(
    limits: &GraphLimits,
    slot: &Slot,
    port: usize,
    targets: &[Target],
    deliveries: &mut Vec<Delivery>,
    scratch: &mut Scratch,
) -> Vec<Delivery> {
    let mut left = Vec::new();
    let Some((last, others)) = targets.split_last() else { return left };
    for target in others {
        let mut copies = std::mem::take(&mut scratch.copies);
        copies.extend(deliveries.iter().map(copy));
        if !push(limits, slot, port, target, &mut copies, scratch).await {
            keep_longer(&mut left, &mut copies);
        }
        copies.clear();
        scratch.copies = copies;
    }
    if !push(limits, slot, port, last, deliveries, scratch).await {
        keep_longer(&mut left, deliveries);
    }
    left
}

fn copy(delivery: &Delivery) -> Delivery {
    Delivery::new(delivery.message.clone(), delivery.token.as_ref().map(Token::split))
}

/// Both are ends of one batch. The messages of the shorter one are in the longer one too.
fn keep_longer(left: &mut Vec<Delivery>, rest: &mut Vec<Delivery>) {
    if rest.len() > left.len() {
        std::mem::swap(left, rest);
    }
    end_all(rest, Outcome::Done);
}

/// Sends to one target. False when that is gone, with what it did not take left in `deliveries`.
async fn push(
    limits: &GraphLimits,
    slot: &Slot,
    port: usize,
    target: &Target,
    deliveries: &mut Vec<Delivery>,
    scratch: &mut Scratch,
) -> bool {
    if target.feedback {
        count_hops(limits, target, deliveries, scratch);
    }
    let (mut way, mut last_call) = (target.way(), false);
    loop {
        let before = deliveries.len();
        let now = Way { last_call, ..way };
        let pushed = target.inbox.push_quietly(deliveries, now, &mut scratch.drops, &mut scratch.consumers);
        target.counters.total.add((before - deliveries.len()) as u64);
        if !scratch.drops.is_empty() {
            end_drops(target, scratch);
        }
        match pushed {
            Pushed::All => return true,
            Pushed::Closed => return false,
            Pushed::Full => {}
        }
        // Nobody is kept asleep while this one waits.
        scratch.consumers.wake();
        let _blocked = target.counters.block();
        // Armed before the look at the table, so that a swap in between is not missed.
        let changed = slot.table_changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        // The wire may be gone by now, or close a loop that a deploy has made: then it must not wait.
        let table = slot.table.load_full();
        let Some(now) = table.way_to(port, &target.inbox) else {
            scratch.seen = Some(table);
            return false;
        };
        if now != way {
            way = now;
            continue;
        }
        tokio::select! {
            () = target.inbox.wait_room(Way { last_call, ..way }) => {}
            () = changed => {}
            // The successor of this sender does not wait for a full inbox, nor would it know which targets have these
            // messages already.
            () = slot.inbox.wait_replaced(), if !last_call => last_call = true,
        }
    }
}

/// Takes out messages that have gone round too often.
fn count_hops(limits: &GraphLimits, target: &Target, deliveries: &mut Vec<Delivery>, scratch: &mut Scratch) {
    let max = limits.max_hops();
    let (mut many, mut too_many) = (false, false);
    for delivery in deliveries.iter_mut() {
        let hops = delivery.message.add_hop();
        many |= hops == MANY_HOPS;
        too_many |= hops > max;
    }
    if many && target.counters.warn_again() {
        let text =
            format!("a message went round {MANY_HOPS} times in the loop over the wire to node \"{}\"", target.to);
        scratch.lines.push((Level::Warn, text));
    }
    if !too_many {
        return;
    }
    for delivery in std::mem::take(deliveries) {
        if delivery.message.hops() <= max {
            deliveries.push(delivery);
            continue;
        }
        target.counters.dropped.add(1);
        let text =
            format!("the message went round more than {max} times in the loop over the wire to \"{}\"", target.to);
        let error = NodeError::new(text).with_code("nodes.flow.hop-limit").on(delivery.message);
        scratch.errors.push((error, delivery.token));
    }
}

fn end_drops(target: &Target, scratch: &mut Scratch) {
    let Drops { by_policy, no_room } = &mut scratch.drops;
    target.counters.dropped.add((by_policy.len() + no_room.len()) as u64);
    end_all(by_policy, Outcome::Dropped);
    if !no_room.is_empty() {
        let count = no_room.len();
        let text = format!("{count} messages were dropped: the loop over the wire to node \"{}\" is full", target.to);
        scratch.errors.push((NodeError::new(text).with_code("nodes.flow.loop-full"), None));
        end_all(no_room, Outcome::Failed);
    }
}

fn end_all(deliveries: &mut Vec<Delivery>, outcome: Outcome) {
    for delivery in deliveries.drain(..) {
        finish(delivery.token, outcome);
    }
}
