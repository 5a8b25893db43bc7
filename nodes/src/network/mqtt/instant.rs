//! A connection to a broker that answers within the call: no thread, no network, no waiting. Its changes are told by
//! tasks of the runtime that the nodes run on, because whoever asks for them may hold a lock.

use super::{
    ConnectionState, Outgoing, PublishOutcome, Qos, Subscriber, Subscription, driver::OnState, local::publication,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tidewire_node_api::broker::{LinkNotice, LinkRequest, LinkSettings, LocalLink};
use tokio::runtime::Handle;

pub(super) struct InstantLink {
    link: Arc<dyn LocalLink>,
    on_state: OnState,
}

impl InstantLink {
    pub(super) fn new(link: Arc<dyn LocalLink>, on_state: OnState) -> Self {
        Self { link, on_state }
    }

    pub(super) fn connect(&self) {
        self.link.open(LinkSettings::default());
        let on_state = Arc::clone(&self.on_state);
        tell(move || on_state(ConnectionState::Connected { session_present: false }));
    }

    pub(super) fn subscribe(subscription: &Subscription, subscriber: Arc<dyn Subscriber>) {
        let qos = subscription.qos;
        tell(move || subscriber.answered(Ok(qos)));
    }

    pub(super) fn publish(&self, batch: Vec<Outgoing>) {
        let request = |(id, message)| LinkRequest::Publish { id, publication: publication(message) };
        self.link.send(&mut (0..).zip(&batch).map(request).collect());
        let mut notices = VecDeque::new();
        self.link.take(&mut notices);
        let answer = |notice| match notice {
            LinkNotice::Published { id, reason } => Some((id, reason)),
            _ => None,
        };
        let reasons: HashMap<u64, u8> = notices.into_iter().filter_map(answer).collect();
        for (id, message) in (0..).zip(batch) {
            let Some(done) = message.done else { continue };
            done(match reasons.get(&id) {
                _ if message.qos == Qos::AtMostOnce => PublishOutcome::Sent,
                Some(&reason) if reason < 0x80 => PublishOutcome::Acknowledged { reason },
                Some(&reason) => PublishOutcome::Refused { reason },
                None => PublishOutcome::Dropped,
            });
        }
    }
}

fn tell(what: impl FnOnce() + Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(async move { what() })),
        Err(_) => what(),
    }
}
