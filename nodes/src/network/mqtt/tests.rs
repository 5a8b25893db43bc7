//! The client against a real broker (mosquitto), also when connections are cut and the broker restarts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub(in crate::network) mod broker;
mod delivery;
mod local;
mod reconnect;
mod routing;

use super::*;
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

/// Longest wait for something that must happen.
const SOON: Duration = Duration::from_secs(20);
/// Wait for something that must not happen.
const NOT: Duration = Duration::from_millis(300);

/// Takes everything and passes it to the test.
struct Taker(Mutex<Sender<Incoming>>, Mutex<Sender<Result<Qos, u8>>>);

impl Subscriber for Taker {
    fn deliver(&self, batch: &mut Vec<Incoming>) -> usize {
        let count = batch.len();
        for message in batch.drain(..) {
            // The test may have seen enough.
            let _ = self.0.lock().unwrap().send(message);
        }
        count
    }

    fn answered(&self, answer: Result<Qos, u8>) {
        let _ = self.1.lock().unwrap().send(answer);
    }
}

/// A subscription and what it brought.
struct Sub {
    messages: Receiver<Incoming>,
    answers: Receiver<Result<Qos, u8>>,
    _guard: SubscriptionGuard,
}

impl Sub {
    fn new(connection: &Connection, subscription: Subscription) -> Self {
        let ((taken, messages), (answered, answers)) = (channel(), channel());
        let guard = connection.subscribe(subscription, Arc::new(Taker(Mutex::new(taken), Mutex::new(answered))));
        Self { messages, answers, _guard: guard }
    }

    fn to(connection: &Connection, filter: &str, qos: Qos) -> Self {
        Self::new(connection, Subscription::new(filter, qos))
    }

    fn granted(self) -> Self {
        assert!(self.answers.recv_timeout(SOON).unwrap().is_ok());
        self
    }

    /// The next message as text, acknowledged.
    fn next(&self) -> String {
        let mut message = self.messages.recv_timeout(SOON).unwrap();
        if let Some(ack) = message.ack.take() {
            ack.complete(AckOutcome::Done);
        }
        text(&message)
    }

    fn nothing_more(&self) {
        if let Ok(message) = self.messages.recv_timeout(NOT) {
            panic!("unexpected {message:?}");
        }
    }
}

fn text(message: &Incoming) -> String {
    format!("{}={}", message.topic, String::from_utf8_lossy(&message.payload))
}

/// A connection and its states.
struct Client {
    connection: Connection,
    states: Receiver<ConnectionState>,
}

impl Client {
    fn prepare(settings: ConnectionSettings) -> Self {
        Self::prepare_in(settings, Surroundings::default())
    }

    fn prepare_in(settings: ConnectionSettings, around: Surroundings) -> Self {
        let (told, states) = channel();
        let told = Mutex::new(told);
        let connection = Connection::open(settings, around, move |state| {
            let _ = told.lock().unwrap().send(state);
        })
        .unwrap();
        Self { connection, states }
    }

    fn connect(settings: ConnectionSettings) -> Self {
        let client = Self::prepare(settings);
        client.connection.connect();
        client.connected();
        client
    }

    /// Waits for the next time that it is connected; says whether the session was kept.
    fn connected(&self) -> bool {
        loop {
            if let ConnectionState::Connected { session_present } = self.states.recv_timeout(SOON).unwrap() {
                return session_present;
            }
        }
    }

    fn disconnected(&self) -> String {
        loop {
            if let ConnectionState::Disconnected { reason, .. } = self.states.recv_timeout(SOON).unwrap() {
                return reason;
            }
        }
    }

    fn publish(&self, topic: &str, payload: &str, qos: Qos) -> Receiver<PublishOutcome> {
        self.send(Outgoing::new(topic, payload.to_owned(), qos))
    }

    fn send(&self, mut message: Outgoing) -> Receiver<PublishOutcome> {
        let (told, outcome) = channel();
        message.done = Some(Box::new(move |outcome| {
            let _ = told.send(outcome);
        }));
        self.connection.publish(vec![message]).unwrap();
        outcome
    }
}

fn settings(port: u16) -> ConnectionSettings {
    let mut settings = ConnectionSettings::new("127.0.0.1", port);
    settings.reconnect_min = Duration::from_millis(20);
    settings.reconnect_max = Duration::from_millis(200);
    settings
}

/// Settings of a client whose session the broker keeps.
fn persistent(port: u16, client_id: &str) -> ConnectionSettings {
    let mut settings = settings(port);
    settings.client_id = client_id.into();
    settings.clean_session = false;
    settings
}
