//! Messages that were on their way when the runtime ended: kept in the log, and put where they were at the next start.
//!
//! Only those that nobody would bring again. After a kill there are none: what must outlive that has a token.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tidewire_model::{Message, NodeId};
use tidewire_node_api::delivery::Origin;
use tidewire_node_api::handles::{HandleError, Log};
use tidewire_node_api::{Batch, Delivery, Outputs};

use crate::keeper::Keeper;
use crate::kept::{Records, change_of, read_all};
use crate::slot::Slot;

const PREFIX: &str = "queued/";

/// Where a message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the inbox, from a wire.
    Wire,
    /// In the inbox, from the node's own source.
    Source,
    /// Made by the node for this port, and not sent yet.
    Port(u32),
}

const WIRE: u32 = u32::MAX;
const SOURCE: u32 = u32::MAX - 1;

/// Messages of the last run that wait for their nodes to start.
#[derive(Default)]
pub struct Leftovers(Mutex<HashMap<NodeId, Records>>);

impl Leftovers {
    /// Reads what the last run left.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read(&self, log: &dyn Log) -> Result<(), HandleError> {
        *self.0.lock() = read_all(log, PREFIX).await?;
        Ok(())
    }

    /// Puts messages back where they were in the slot of a node that is about to start.
    pub fn put_back(&self, node: &NodeId, slot: &Slot, keeper: &Keeper) {
        let Some(records) = self.0.lock().remove(node) else { return };
        let (mut inbox, mut outputs) = (Batch::new(), Outputs::default());
        for (key, value) in &records {
            match read(value) {
                Some((Place::Wire, message)) => inbox.push_back(Delivery::new(message, None)),
                Some((Place::Source, message)) => inbox.push_back(Delivery::from_source(message, None)),
                Some((Place::Port(port), message)) => outputs.push(usize::try_from(port).unwrap_or(0), message, None),
                None => tracing::error!(node_id = %node, "message left by the last run is damaged, left out"),
            }
            keeper.keep(change_of(PREFIX, node, key, None), None);
        }
        slot.inbox.put_back(&mut inbox);
        *slot.unsent.lock() = Some(outputs);
    }

    /// Keeps what is left in a slot at the end. What has a token is brought again by its source.
    pub fn keep(node: &NodeId, slot: &Slot, keeper: &Keeper) {
        let unsent = slot.unsent.lock().take();
        let mut left: Vec<(Place, Delivery)> = Vec::new();
        for (port, queue) in unsent.unwrap_or_default().ports_mut().iter_mut().enumerate() {
            let place = Place::Port(u32::try_from(port).unwrap_or(0));
            left.extend(queue.drain(..).map(|delivery| (place, delivery)));
        }
        for delivery in slot.inbox.close() {
            let place = if delivery.origin == Origin::Wire { Place::Wire } else { Place::Source };
            left.push((place, delivery));
        }
        let untold = left.into_iter().filter(|(_, delivery)| delivery.token.is_none());
        for (number, (place, delivery)) in untold.enumerate() {
            let value = written(place, &delivery.message);
            keeper.keep(change_of(PREFIX, node, &format!("{number:010}"), Some(&value)), None);
        }
    }
}

fn written(place: Place, message: &Message) -> Bytes {
    let place = match place {
        Place::Wire => WIRE,
        Place::Source => SOURCE,
        Place::Port(port) => port,
    };
    let message = message.to_bytes();
    let mut out = BytesMut::with_capacity(4 + message.len());
    out.put_u32_le(place);
    out.put_slice(&message);
    out.freeze()
}

fn read(value: &Bytes) -> Option<(Place, Message)> {
    let place = match u32::from_le_bytes(*value.first_chunk::<4>()?) {
        WIRE => Place::Wire,
        SOURCE => Place::Source,
        port => Place::Port(port),
    };
    Some((place, Message::from_bytes(value.get(4..)?).ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_message_comes_back_to_its_place() {
        for place in [Place::Wire, Place::Source, Place::Port(3)] {
            let (read_place, message) = read(&written(place, &Message::with_payload(7, "x"))).unwrap();
            assert_eq!((read_place, message.id(), message.payload().as_str()), (place, 7, Some("x")));
        }
    }
}
