//! The MQTT client behind [`Wire`].

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use tidewire_node_api::Feed;

use super::{Heard, Listener, Post, Posted, Wire};
use crate::network::mqtt::{
    AckOutcome, Incoming, Outgoing, Properties, PublishFull, PublishOutcome, Qos, Subscriber, Subscription,
};
use crate::network::mqtt_broker::{BrokerLink, LinkState, Watch};

/// The broker has the message, but nobody subscribes to its topic (MQTT 5).
const NOBODY: u8 = 0x10;

struct BrokerWire {
    link: Arc<BrokerLink>,
    /// Keeps the connection open.
    _watch: Watch,
}

/// The wire of what a broker node offers; the node behind `feed` is told of changes.
pub(super) fn wire(source: Arc<dyn Any + Send + Sync>, feed: Arc<dyn Feed>) -> Option<Arc<dyn Wire>> {
    let link = source.downcast::<BrokerLink>().ok()?;
    let watch = link.watch(feed);
    Some(Arc::new(BrokerWire { link, _watch: watch }))
}

impl Wire for BrokerWire {
    fn is_connected(&self) -> bool {
        self.link.state() == LinkState::Connected
    }

    fn post(&self, post: Post) {
        let qos = if post.assured { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let mut message = Outgoing::new(post.topic, post.payload, qos);
        message.retain = post.retain;
        if post.expiry_s.is_some() || post.command.is_some() {
            message.properties = Some(Box::new(Properties {
                message_expiry: post.expiry_s,
                correlation_data: post.command.clone().map(Bytes::from),
                user: post.command.map(|id| ("command".to_owned(), id)).into_iter().collect(),
                ..Properties::default()
            }));
        }
        message.done = post
            .done
            .map(|done| -> Box<dyn FnOnce(PublishOutcome) + Send> { Box::new(move |outcome| done(posted(outcome))) });
        let refused = match self.link.connection() {
            Some(connection) => match connection.publish(vec![message]) {
                Ok(()) => Vec::new(),
                Err(PublishFull(refused)) => refused,
            },
            None => vec![message],
        };
        for done in refused.into_iter().filter_map(|message| message.done) {
            done(PublishOutcome::Dropped);
        }
    }

    fn listen(&self, filter: &str, listener: Listener) -> Box<dyn Any + Send> {
        Box::new(self.link.subscribe(Subscription::new(filter, Qos::AtLeastOnce), Arc::new(Ears(listener))))
    }
}

fn posted(outcome: PublishOutcome) -> Posted {
    match outcome {
        PublishOutcome::Sent => Posted::Delivered { heard: true },
        PublishOutcome::Acknowledged { reason } => Posted::Delivered { heard: reason != NOBODY },
        PublishOutcome::Refused { reason } => Posted::Refused(match reason {
            0x87 => "this client may not publish on the topic".to_owned(),
            0x90 => "the topic is not valid".to_owned(),
            0x97 => "a quota is used up".to_owned(),
            0x99 => "it does not take the payload".to_owned(),
            other => format!("reason code {other:#04x}"),
        }),
        PublishOutcome::Dropped => Posted::Dropped,
    }
}

struct Ears(Listener);

impl Subscriber for Ears {
    fn deliver(&self, batch: &mut Vec<Incoming>) -> usize {
        let count = batch.len();
        for incoming in batch.drain(..) {
            let command = incoming.properties.as_ref().and_then(|properties| properties.correlation_data.clone());
            (self.0)(Heard {
                topic: incoming.topic.to_string(),
                payload: incoming.payload,
                retain: incoming.retain,
                command: command.and_then(|bytes| String::from_utf8(bytes.into()).ok()),
            });
            // An answer is of use only now: one that comes again after a restart would be none.
            if let Some(ack) = incoming.ack {
                ack.complete(AckOutcome::Done);
            }
        }
        count
    }
}
