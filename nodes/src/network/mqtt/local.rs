//! The broker of this process through its link: no socket, no packets.

use super::{
    ConnectionSettings, Outgoing, Qos,
    acks::Slot,
    link::{Event, Link, Local, Lost, Offer, Received, Sender},
    registry::{RetainHandling, Wanted},
    settings::Protocol,
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering::Relaxed},
    },
};
use tidewire_node_api::broker::{LinkNotice, LinkRequest, LinkSettings, LocalLink, Publication};
use tokio::sync::oneshot;

/// Requests that gather before they are sent off although the turn goes on.
const REQUESTS_MAX: usize = 1_024;

/// What both sides share.
struct Shared {
    link: Arc<dyn LocalLink>,
    requests: Mutex<Vec<LinkRequest>>,
    /// Who waits for the answer to a subscription.
    asked: Mutex<HashMap<u64, oneshot::Sender<Result<Qos, u8>>>>,
    next_id: AtomicU64,
    next_packet_id: AtomicU16,
}

impl Shared {
    fn request(&self, request: LinkRequest) {
        let mut requests = self.requests.lock();
        requests.push(request);
        if requests.len() >= REQUESTS_MAX {
            self.link.send(&mut requests);
        }
    }

    fn flush(&self) {
        self.link.send(&mut self.requests.lock());
    }
}

pub(super) struct LinkLocal {
    shared: Arc<Shared>,
    settings: LinkSettings,
    version_5: bool,
    notices: VecDeque<LinkNotice>,
    open: bool,
    /// What comes before the link says that it is open belongs to an earlier one.
    opening: bool,
}

impl LinkLocal {
    pub(super) fn new(link: Arc<dyn LocalLink>, settings: &ConnectionSettings, client_id: &str) -> Self {
        let will = settings.will.as_ref().map(|will| publication(&will.to_outgoing()));
        let kept = if settings.protocol == Protocol::V5 { settings.session_expiry } else { None };
        let session_expiry = if settings.broker_keeps_session() { kept.unwrap_or(u32::MAX) } else { 0 };
        let settings_ = LinkSettings {
            client_id: client_id.to_owned(),
            username: settings.username.clone(),
            password: settings.password.clone(),
            clean_start: settings.clean_session,
            session_expiry,
            will,
        };
        let shared = Shared {
            link,
            requests: Mutex::default(),
            asked: Mutex::default(),
            next_id: AtomicU64::new(1),
            next_packet_id: AtomicU16::new(1),
        };
        let version_5 = settings.protocol == Protocol::V5;
        Self {
            shared: Arc::new(shared),
            settings: settings_,
            version_5,
            notices: VecDeque::new(),
            open: false,
            opening: false,
        }
    }

    fn translate(&mut self, notice: LinkNotice) -> Result<Event, Lost> {
        Ok(match notice {
            LinkNotice::Opened { session_present } => {
                self.opening = false;
                Event::Connected { session_present, subscription_ids: false, receive_max: u16::MAX }
            }
            LinkNotice::Message { id, publication, sender, duplicate } => Event::Message(Received {
                topic: publication.topic.into_bytes(),
                payload: publication.payload,
                qos: publication.qos,
                retain: publication.retain,
                duplicate,
                packet_id: 0,
                properties: publication.properties.filter(|_| self.version_5),
                local: Some(Local { delivery: id.unwrap_or_default(), author: sender }),
                identity: None,
            }),
            LinkNotice::Subscribed { id, answer } => {
                if let Some(asked) = self.shared.asked.lock().remove(&id) {
                    // Nobody waits any more when the connection is about to end.
                    let _ = asked.send(answer);
                }
                Event::Other
            }
            LinkNotice::Published { id, reason } => match u16::try_from(id) {
                Ok(packet_id) => Event::Acknowledged { packet_id, reason },
                Err(_) => Event::Other,
            },
            LinkNotice::Closed { reason } => {
                self.open = false;
                return Err(Lost { reason, ended: false });
            }
        })
    }
}

impl Link for LinkLocal {
    type Sender = SenderLocal;

    fn sender(&self) -> SenderLocal {
        SenderLocal(Arc::clone(&self.shared))
    }

    async fn poll(&mut self) -> Result<Event, Lost> {
        if !self.open {
            (self.open, self.opening) = (true, true);
            self.shared.link.open(self.settings.clone());
            // From now on the session is this connection's own, and what it has not dealt with comes again.
            self.settings.clean_start = false;
        }
        loop {
            while let Some(notice) = self.notices.pop_front() {
                if !self.opening || !matches!(notice, LinkNotice::Message { .. } | LinkNotice::Subscribed { .. }) {
                    return self.translate(notice);
                }
            }
            self.shared.link.take(&mut self.notices);
            if self.notices.is_empty() {
                self.shared.link.changed().await;
            }
        }
    }

    fn buffered(&mut self) -> Option<Event> {
        if !self.open || matches!(self.notices.front()?, LinkNotice::Closed { .. }) {
            return None;
        }
        let notice = self.notices.pop_front()?;
        self.translate(notice).ok()
    }

    fn drop_network(&mut self) {
        self.open = false;
        self.shared.requests.lock().push(LinkRequest::Close { keep: true });
        self.shared.flush();
        // What is on its way comes again; answers to what was published still count.
        self.shared.link.take(&mut self.notices);
        self.notices.retain(|notice| matches!(notice, LinkNotice::Published { .. }));
    }
}

#[derive(Clone)]
pub(super) struct SenderLocal(Arc<Shared>);

impl Sender for SenderLocal {
    fn publish(&self, message: &Outgoing) -> Offer {
        let publication = publication(message);
        if message.qos == Qos::AtMostOnce {
            self.0.request(LinkRequest::Publish { id: 0, publication });
            return Offer::Taken;
        }
        let id = loop {
            match self.0.next_packet_id.fetch_add(1, Relaxed) {
                0 => {}
                id => break id,
            }
        };
        self.0.request(LinkRequest::Publish { id: u64::from(id), publication });
        Offer::Sent(id)
    }

    fn acknowledge(&self, slot: Slot) -> bool {
        self.0.request(LinkRequest::Acknowledge { id: slot.delivery });
        true
    }

    fn subscribe(
        &self,
        wanted: &Wanted,
        _identified: bool,
    ) -> Result<Pin<Box<dyn Future<Output = Option<Result<Qos, u8>>>>>, ()> {
        let id = self.0.next_id.fetch_add(1, Relaxed);
        let subscription = &wanted.subscription;
        let (told, answer) = oneshot::channel();
        self.0.asked.lock().insert(id, told);
        self.0.request(LinkRequest::Subscribe {
            id,
            filter: subscription.filter.clone(),
            qos: subscription.qos,
            no_local: subscription.no_local && !subscription.filter.starts_with("$share/"),
            retain_as_published: subscription.retain_as_published,
            retain_handling: match subscription.retain_handling {
                RetainHandling::Send => 0,
                RetainHandling::SendIfNew => 1,
                RetainHandling::Never => 2,
            },
            tag: None,
        });
        Ok(Box::pin(async move { answer.await.ok() }))
    }

    fn unsubscribe(&self, filter: &str) -> bool {
        self.0.request(LinkRequest::Unsubscribe { filter: filter.to_owned() });
        true
    }

    fn disconnect(&self) {
        self.0.request(LinkRequest::Close { keep: false });
        self.0.flush();
    }

    fn flush(&self) {
        self.0.flush();
    }

    fn settled(&self) {
        self.0.flush();
        self.0.link.settled();
    }

    fn is_local(&self) -> bool {
        true
    }
}

pub(super) fn publication(message: &Outgoing) -> Publication {
    Publication {
        topic: message.topic.clone(),
        payload: message.payload.clone(),
        qos: message.qos,
        retain: message.retain,
        properties: message.properties.clone(),
    }
}
