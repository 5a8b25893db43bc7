//! Routing: where the messages of a node's outputs go. Tables are swapped as a whole.

use std::sync::Arc;
use std::time::Instant;

use tidewire_model::NodeId;
use tidewire_node_api::{Delivery, Outcome, Token};

use crate::inbox::{CAPACITY, FEEDBACK_CAPACITY, Inbox, Pushed};
use crate::slot::Slot;
use crate::stats::WireCounters;

/// One wire as its sender sees it.
#[derive(Clone)]
pub struct Target {
    pub to: NodeId,
    pub inbox: Arc<Inbox>,
    pub counters: Arc<WireCounters>,
    /// Closes a loop: the sender never waits on it.
    pub feedback: bool,
}

/// Targets per output port.
#[derive(Default)]
pub struct OutTable {
    pub ports: Vec<Vec<Target>>,
}

impl OutTable {
    pub fn targets(&self, port: usize) -> &[Target] {
        self.ports.get(port).map_or(&[], Vec::as_slice)
    }

    /// Counters of a wire that was there already, so that its figures go on.
    pub fn counters(&self, port: usize, to: &NodeId) -> Option<Arc<WireCounters>> {
        self.targets(port).iter().find(|target| target.to == *to).map(|target| target.counters.clone())
    }
}

/// Sends what a node emitted on one port. Waits where a target is full, and follows the wiring when it changes
/// meanwhile. Invariant: every message goes to its old targets or to the new ones, never to nobody.
pub async fn send(slot: &Slot, port: usize, deliveries: &mut Vec<Delivery>, spare: &mut Vec<Delivery>) {
    let table = slot.table.load_full();
    let targets = table.targets(port);
    let Some((last, others)) = targets.split_last() else {
        for delivery in deliveries.drain(..) {
            finish(delivery.token, Outcome::Done);
        }
        return;
    };
    for target in others {
        spare.clear();
        spare.extend(
            deliveries
                .iter()
                .map(|delivery| Delivery::new(delivery.message.clone(), delivery.token.as_ref().map(Token::split))),
        );
        push(slot, port, &table, target, spare).await;
    }
    push(slot, port, &table, last, deliveries).await;
}

async fn push(slot: &Slot, port: usize, table: &Arc<OutTable>, target: &Target, deliveries: &mut Vec<Delivery>) {
    if target.feedback {
        for delivery in deliveries.iter_mut() {
            delivery.message.add_hop();
        }
    }
    let capacity = if target.feedback { FEEDBACK_CAPACITY } else { CAPACITY };
    let count = deliveries.len() as u64;
    loop {
        match target.inbox.push(deliveries, capacity) {
            Pushed::All => {
                target.counters.total.add(count);
                return;
            }
            Pushed::Full if target.feedback => {
                target.counters.dropped.add(count);
                drop_all(deliveries, Outcome::Failed);
                return;
            }
            Pushed::Full => {
                let since = Instant::now();
                // Armed before the look at the table, so that a swap in between is not missed.
                let changed = slot.table_changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if still_wired(slot, port, target) {
                    tokio::select! {
                        () = target.inbox.wait_room() => {}
                        () = changed => {}
                    }
                }
                target.counters.blocked_ns.add(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
                if still_wired(slot, port, target) {
                    continue;
                }
            }
            Pushed::Closed => {}
        }
        return follow_new_wiring(slot, port, table, deliveries).await;
    }
}

fn still_wired(slot: &Slot, port: usize, target: &Target) -> bool {
    slot.table.load().targets(port).iter().any(|other| Arc::ptr_eq(&other.inbox, &target.inbox))
}

/// The target is gone: the messages go where the new wiring leads and the old one did not.
async fn follow_new_wiring(slot: &Slot, port: usize, old: &Arc<OutTable>, deliveries: &mut Vec<Delivery>) {
    let new = slot.table.load_full();
    let known = |target: &&Target| !old.targets(port).iter().any(|other| Arc::ptr_eq(&other.inbox, &target.inbox));
    let added: Vec<Target> = new.targets(port).iter().filter(known).cloned().collect();
    let Some((last, others)) = added.split_last() else {
        return drop_all(deliveries, Outcome::Dropped);
    };
    for target in others {
        let mut copies = deliveries
            .iter()
            .map(|delivery| Delivery::new(delivery.message.clone(), delivery.token.as_ref().map(Token::split)))
            .collect();
        Box::pin(push(slot, port, &new, target, &mut copies)).await;
    }
    Box::pin(push(slot, port, &new, last, deliveries)).await;
}

fn drop_all(deliveries: &mut Vec<Delivery>, outcome: Outcome) {
    for delivery in deliveries.drain(..) {
        finish(delivery.token, outcome);
    }
}

/// Ends a branch that has a token.
pub fn finish(token: Option<Token>, outcome: Outcome) {
    if let Some(token) = token {
        token.finish(outcome);
    }
}
