//! A real broker for the tests of the MQTT nodes.

#![allow(clippy::unwrap_used)]

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidewire_model::Message;
use tidewire_node_api::Signal;
use tidewire_node_api::bench::Bench;

use super::mqtt::{AckOutcome, Incoming, Qos, Subscriber, Subscription};
use super::mqtt_broker::{BrokerLink, Seat};

/// Longest wait for something that must happen.
const SOON: Duration = Duration::from_secs(20);

/// A running mosquitto.
pub(super) struct Mosquitto {
    process: Child,
    pub(super) port: u16,
    _folder: tempfile::TempDir,
}

impl Mosquitto {
    pub(super) fn start() -> Mosquitto {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // By default mosquitto throws messages away when more than 1,000 wait for a client.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mosquitto.conf");
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nlog_dest none\npersistence false\n"
        );
        std::fs::write(&file, config).unwrap();
        let programs = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let start = |program: &&str| {
            let mut command = Command::new(program);
            command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        };
        let process = programs.iter().find_map(start).expect("mosquitto is not installed: apt-get install mosquitto");
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < SOON, "mosquitto did not start");
            std::thread::yield_now();
        }
        Mosquitto { process, port, _folder: folder }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Taker(Mutex<std::sync::mpsc::Sender<Incoming>>, Mutex<std::sync::mpsc::Sender<()>>);

impl Subscriber for Taker {
    fn deliver(&self, batch: &mut Vec<Incoming>) -> usize {
        let count = batch.len();
        for mut message in batch.drain(..) {
            if let Some(ack) = message.ack.take() {
                ack.complete(AckOutcome::Done);
            }
            // The test may have seen enough.
            let _ = self.0.lock().send(message);
        }
        count
    }

    fn answered(&self, _answer: Result<Qos, u8>) {
        let _ = self.1.lock().send(());
    }
}

/// Somebody who listens at the broker.
pub(super) struct Listener {
    messages: Receiver<Incoming>,
    _seat: Seat,
}

impl Listener {
    /// Returns once the broker has taken the subscription.
    pub(super) fn new(link: &std::sync::Arc<BrokerLink>, filter: &str) -> Listener {
        let ((taken, messages), (answered, answers)) = (channel(), channel());
        let taker = std::sync::Arc::new(Taker(Mutex::new(taken), Mutex::new(answered)));
        let seat = link.subscribe(Subscription::new(filter, Qos::AtLeastOnce), taker);
        link.connect().unwrap();
        answers.recv_timeout(SOON).unwrap();
        Listener { messages, _seat: seat }
    }

    /// The next message, if one comes within a moment.
    pub(super) fn soon(&self) -> Option<Incoming> {
        self.messages.recv_timeout(Duration::from_millis(100)).ok()
    }

    /// The next message, if one comes at all.
    pub(super) fn late(&self) -> Option<Incoming> {
        self.messages.recv_timeout(SOON).ok()
    }

    pub(super) fn next(&self) -> Incoming {
        self.late().unwrap()
    }
}

/// Lets the node work until it has sent `count` messages.
pub(super) fn wait_for(mut bench: Bench, count: usize) -> (Bench, Vec<Message>) {
    let (began, mut sent) = (Instant::now(), Vec::new());
    while sent.len() < count {
        assert!(began.elapsed() < SOON, "only {} of {count} messages came", sent.len());
        bench = bench.signal(Signal::Enable(true));
        sent.extend(bench.take().into_iter().map(|(_, message)| message));
        std::thread::yield_now();
    }
    (bench, sent)
}

/// Lets the node work until its status is `text`.
pub(super) fn wait_for_status(mut bench: Bench, text: &str) -> Bench {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < SOON, "the status never was {text}");
        bench = bench.signal(Signal::Enable(true));
        if bench.seen().statuses.iter().any(|status| status.text == text) {
            return bench;
        }
        std::thread::yield_now();
    }
}
