//! A link as nodes use it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{NOT, SOON};
use tidewire_broker::Broker;
use tidewire_node_api::broker::{LinkNotice, LinkRequest, LinkSettings, LocalLink, Publication, Qos};

/// See the module.
pub struct Flow {
    link: Arc<dyn LocalLink>,
    notices: Mutex<VecDeque<LinkNotice>>,
}

impl Flow {
    /// One that is not open yet.
    pub fn link(broker: &Broker) -> Self {
        Self { link: broker.local().link(), notices: Mutex::default() }
    }

    pub fn open(broker: &Broker, id: &str, clean: bool) -> Self {
        let flow = Self::link(broker);
        flow.connect(id, clean);
        flow.settled();
        flow
    }

    pub fn connect(&self, id: &str, clean: bool) {
        self.link.open(LinkSettings { client_id: id.into(), clean_start: clean, ..LinkSettings::default() });
        assert!(matches!(self.next(), LinkNotice::Opened { .. }));
    }

    /// Ends the link and opens it, as after messages that could not be processed.
    pub fn open_again(&self, id: &str) {
        self.request(LinkRequest::Close { keep: true });
        self.link.open(LinkSettings { client_id: id.into(), ..LinkSettings::default() });
        // What had been on its way is not looked at any more.
        while !matches!(self.next(), LinkNotice::Opened { session_present: true }) {}
    }

    pub fn settled(&self) {
        self.link.settled();
    }

    fn request(&self, request: LinkRequest) {
        self.link.send(&mut vec![request]);
    }

    /// What comes next, if anything comes in time.
    fn within(&self, patience: Duration) -> Option<LinkNotice> {
        let began = Instant::now();
        loop {
            let mut notices = self.notices.lock().unwrap();
            self.link.take(&mut notices);
            if let Some(notice) = notices.pop_front() {
                return Some(notice);
            }
            if began.elapsed() > patience {
                return None;
            }
            drop(notices);
            std::thread::yield_now();
        }
    }

    fn next(&self) -> LinkNotice {
        self.within(SOON).expect("a notice")
    }

    pub fn nothing(&self) {
        if let Some(notice) = self.within(NOT) {
            panic!("unexpected {notice:?}");
        }
    }

    pub fn subscribe(&self, filter: &str, qos: u8) {
        self.request(LinkRequest::Subscribe {
            id: 1,
            filter: filter.into(),
            qos: Qos::from_u8(qos).unwrap(),
            no_local: false,
            retain_as_published: false,
            retain_handling: 0,
            tag: None,
        });
        // What the session had still to get comes before the answer.
        let mut before = VecDeque::new();
        loop {
            match self.next() {
                LinkNotice::Subscribed { answer, .. } => break assert!(answer.is_ok()),
                notice => before.push_back(notice),
            }
        }
        let mut notices = self.notices.lock().unwrap();
        before.append(&mut notices);
        *notices = before;
    }

    /// The next message: its id and its text.
    pub fn message(&self) -> (u64, String) {
        match self.next() {
            LinkNotice::Message { id, publication, .. } => {
                let payload = String::from_utf8_lossy(&publication.payload);
                (id.unwrap_or_default(), format!("{}={payload}", publication.topic))
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn text(&self) -> String {
        self.message().1
    }

    pub fn done(&self, id: u64) {
        self.request(LinkRequest::Acknowledge { id });
    }

    pub fn publish(&self, topic: &str, payload: &str, qos: u8) {
        let publication = Publication {
            topic: topic.into(),
            payload: payload.to_owned().into(),
            qos: Qos::from_u8(qos).unwrap(),
            retain: false,
            properties: None,
        };
        self.request(LinkRequest::Publish { id: 5, publication });
    }

    /// How many notices come within a while.
    pub fn count(&self) -> usize {
        let mut count = 0;
        while self.within(NOT).is_some() {
            count += 1;
        }
        count
    }

    pub fn published(&self) -> u8 {
        match self.next() {
            LinkNotice::Published { id: 5, reason } => reason,
            other => panic!("{other:?}"),
        }
    }
}
