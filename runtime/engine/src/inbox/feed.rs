//! The way into an inbox for what comes from outside: connections of its node, people and programs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tidewire_node_api::{Batch, Delivery, Feed, Signal};

use super::{Drops, Inbox, Way};

/// The feed that connections of a node hold.
pub struct InboxFeed(pub Arc<Inbox>);

impl Feed for InboxFeed {
    fn feed(&self, deliveries: &mut Batch) -> usize {
        let queue = self.0.queue.lock();
        if queue.budget.as_ref().is_some_and(|budget| budget.sources_wait()) {
            return 0;
        }
        drop(queue);
        let before = deliveries.len();
        let mut all: Vec<Delivery> = std::mem::take(deliveries).into();
        self.0.push(&mut all, Way::SOURCE, &mut Drops::default());
        *deliveries = all.into();
        before - deliveries.len()
    }

    fn room(&self) -> usize {
        self.0.room()
    }

    fn wait_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let inbox = self.0.clone();
        Box::pin(async move {
            inbox.wait_room(Way::SOURCE).await;
            if inbox.queue.lock().is_closed(Way::SOURCE) {
                // There will be no room: whoever waits is to go with the node, not to ask again and again.
                std::future::pending().await
            }
        })
    }

    fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }
}
