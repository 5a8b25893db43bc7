//! Links of nodes in this process: the same sessions as those of sockets, asked and told without packets.

use std::collections::HashMap;
use std::sync::Arc;

use tidewire_node_api::broker::{LinkNotice, LinkRequest, LinkSettings, Publication, Qos};

use super::{AWAITED_MAX, Entering, Hub, Leaving};
use crate::auth::{Login, Verdict};
use crate::link::{LinkState, Order};
use crate::message::{Message, now_ms};
use crate::packet::Wanted;
use crate::session::Seat;
use crate::topics;
use crate::tree::SessionKey;
use crate::window::Slot;
use crate::wire::reason;

/// How long the broker waits at its start for links that do not say what they want.
const SETTLING_MAX_MS: i64 = 10_000;

/// Which session each link uses.
#[derive(Debug, Default)]
pub(super) struct Links {
    seats: HashMap<u64, (SessionKey, u64)>,
    /// Links that have not said what they want at their start.
    settling: usize,
    /// Messages from devices are to be taken as soon as all links have settled, at the latest then.
    opening: Option<i64>,
}

impl Hub {
    pub(crate) fn order(&mut self, order: Order) {
        match order {
            Order::New => self.links.settling += 1,
            Order::Settled => {
                self.links.settling = self.links.settling.saturating_sub(1);
                self.force_open(i64::MIN);
            }
            Order::Open(link, settings) => self.open_link(&link, settings),
            Order::Requests(link, requests) => {
                for request in requests {
                    self.request(&link, request);
                }
            }
            Order::Gone(link) => self.close_link(&link, Leaving::Vanished, false),
            Order::Intake(true) => {
                self.links.opening = Some(now_ms() + SETTLING_MAX_MS);
                self.force_open(i64::MIN);
                self.deadlines.notify_one();
            }
            Order::Intake(false) => {
                self.links.opening = None;
                self.open = false;
            }
        }
    }

    /// Until when the links have time to settle.
    pub(super) fn opening_until(&self) -> Option<i64> {
        self.links.opening
    }

    /// Takes messages from devices if that is wanted and the links have settled, or had their time.
    pub(super) fn force_open(&mut self, now: i64) {
        let Some(until) = self.links.opening else { return };
        if self.links.settling == 0 || until <= now {
            self.links.opening = None;
            self.open = true;
            self.release();
        }
    }

    fn open_link(&mut self, link: &Arc<LinkState>, settings: LinkSettings) {
        // A link that is open already is opened anew: what it had comes again.
        self.close_link(link, Leaving::Goodbye, !settings.clean_start);
        let client_id: Arc<str> = match settings.client_id.as_str() {
            "" => format!("link-{}", link.number()).into(),
            given => given.into(),
        };
        let login = Login {
            client_id: &client_id,
            username: settings.username.as_deref(),
            password: settings.password.as_deref().map(str::as_bytes),
            address: ([127, 0, 0, 1], 0).into(),
        };
        self.told.push(Arc::clone(link));
        let user = match self.authenticator.login(&login) {
            Verdict::Accept { user } => user,
            refusal => {
                let text = match refusal {
                    Verdict::BadCredentials => "user name or password are wrong",
                    _ => "not allowed to connect",
                };
                link.push(LinkNotice::Closed { reason: text.to_owned() });
                return;
            }
        };
        let expiry = settings.session_expiry;
        let entering = Entering {
            client_id,
            user,
            clean_start: settings.clean_start,
            expiry,
            will: settings.will.map(|will| Hub::arm(Message::from_publication(will), 0, expiry)),
            seat: Seat::Link(Arc::clone(link)),
        };
        let entered = self.enter(entering, |entered| {
            link.push(LinkNotice::Opened { session_present: entered.session_present });
        });
        self.links.seats.insert(link.number(), (entered.key, entered.generation));
    }

    fn close_link(&mut self, link: &LinkState, how: Leaving, keep: bool) {
        let Some((key, generation)) = self.links.seats.remove(&link.number()) else { return };
        let current = self.sessions.get_mut(&key).filter(|session| session.generation == generation);
        let Some(session) = current else { return };
        session.held = keep;
        if session.seat.is_some() {
            self.leave(key, generation, how);
        } else if !keep && !session.is_durable() {
            self.end_session(key);
        }
    }

    fn request(&mut self, link: &Arc<LinkState>, request: LinkRequest) {
        if let LinkRequest::Close { keep } = request {
            let seat = self.links.seats.get(&link.number()).copied();
            self.close_link(link, Leaving::Goodbye, keep);
            match seat {
                // It may still go for good, and what was kept for it with it.
                Some(seat) if keep => drop(self.links.seats.insert(link.number(), seat)),
                _ => {
                    link.push(LinkNotice::Closed { reason: "goodbye".to_owned() });
                    self.told.push(Arc::clone(link));
                }
            }
            return;
        }
        let Some((key, _)) = self.links.seats.get(&link.number()).copied().filter(|seat| self.is_link(seat.0, link))
        else {
            // Asked for before it learned that it has been closed.
            return;
        };
        match request {
            LinkRequest::Subscribe { id, filter, qos, no_local, retain_as_published, retain_handling, tag } => {
                let wanted = [Wanted { filter, qos, no_local, retain_as_published, retain_handling }];
                let answers = self.subscribe(key, tag, &wanted);
                let code = answers.first().map_or(reason::UNSPECIFIED, |(code, _)| *code);
                link.push(LinkNotice::Subscribed { id, answer: Qos::from_u8(code).ok_or(code) });
                self.told.push(Arc::clone(link));
                self.bring_retained(key, tag, &wanted, &answers);
            }
            LinkRequest::Unsubscribe { filter } => drop(self.unsubscribe(key, &[filter])),
            LinkRequest::Publish { id, publication } => self.publish_of_link(key, link, id, publication),
            LinkRequest::Acknowledge { id } => {
                let ended = self.sessions.get_mut(&key).and_then(|session| session.outbox.acknowledged(id));
                if let Some(delivery) = ended {
                    self.end_delivery(key, delivery, false);
                }
            }
            LinkRequest::Close { .. } => {}
        }
    }

    fn publish_of_link(&mut self, key: SessionKey, link: &Arc<LinkState>, id: u64, publication: Publication) {
        let Some(session) = self.sessions.get(&key) else { return };
        self.counters.count_received(publication.payload.len());
        let valid = topics::is_topic(&publication.topic);
        let allowed = self.authenticator.may_publish(&session.client_id, session.user.as_deref(), &publication.topic);
        let message = Arc::new(Message::from_publication(publication));
        let quick = message.qos() == Qos::AtMostOnce;
        if !valid || !allowed {
            if !quick {
                let reason = if valid { reason::NOT_AUTHORIZED } else { reason::TOPIC_INVALID };
                link.push(LinkNotice::Published { id, reason });
                self.told.push(Arc::clone(link));
            }
            return;
        }
        if quick {
            return self.publish(&message, Some(key), None, false);
        }
        // It waits for the disk, but not for other links: what they do may wait for this link in turn.
        let slot = Slot::of_link(Arc::clone(&message), Arc::clone(link), id, key);
        slot.expect();
        self.publish(&message, Some(key), Some(&slot), false);
        if self.awaited.of_links >= AWAITED_MAX {
            // Other links cannot follow: this one is held up by the answers that it waits for.
            self.delayed.push(slot);
        } else {
            self.end_slot(&slot, false);
        }
    }
}
