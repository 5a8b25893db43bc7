//! A device that keeps its word: it publishes numbers with QoS 1 or 2 and sends each one, marked as a duplicate, until it
//! is acknowledged, however often the connection breaks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

use crate::PATIENCE;
use crate::mqtt::{connect_packet, publish_packet, read_packet};

/// Messages that may wait for their acknowledgement.
const WINDOW: usize = 100;

/// Pause between attempts to connect.
const RECONNECT: Duration = Duration::from_millis(20);

/// How often a slow device looks for acknowledgements.
const SLOW: Duration = Duration::from_millis(100);

/// How a device goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It reads acknowledgements as they come.
    Prompt,
    /// It looks for them now and then. Those that it has not seen when the connection breaks are lost.
    Slow,
    /// Prompt, and with QoS 2.
    ExactlyOnce,
}

/// A device at work.
pub struct Device {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    task: JoinHandle<Kept>,
}

/// What a device did. All numbers from 1 to `last` are acknowledged.
#[derive(Debug)]
pub struct Kept {
    pub last: u64,
    /// How often a number was sent once more.
    pub again: u64,
    pub connections: u64,
    pub seconds: f64,
}

impl Device {
    /// Begins to publish `{"n":1,"of":name}`, `{"n":2,"of":name}`, … below `load/`, `rate` a second.
    pub fn start(port: u16, name: &str, manner: Manner, rate: u32) -> Device {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let work = Work {
            port,
            name: name.to_owned(),
            client: format!("device-{name}-{}", crate::port::free()),
            manner,
            rate,
            stop: Arc::clone(&stop),
            acknowledged: Arc::clone(&acknowledged),
            began: Instant::now(),
            last: 0,
            id: 0,
            waiting: VecDeque::new(),
            again: 0,
            connections: 0,
        };
        Device { stop, acknowledged, task: tokio::spawn(work.run()) }
    }

    /// Waits until this many more have been acknowledged.
    pub async fn more(&self, count: u64) {
        let target = self.acknowledged.load(Ordering::Relaxed) + count;
        let reached = || async { (self.acknowledged.load(Ordering::Relaxed) >= target).then_some(()) };
        crate::until("the device", reached).await;
    }

    /// Sends nothing new any more, and waits until everything is acknowledged.
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn stop(self) -> Kept {
        self.stop.store(true, Ordering::Relaxed);
        tokio::time::timeout(PATIENCE, self.task).await.expect("something is never acknowledged").unwrap()
    }
}

struct Work {
    port: u16,
    name: String,
    client: String,
    manner: Manner,
    rate: u32,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    began: Instant,
    last: u64,
    id: u16,
    /// What is not acknowledged, in the order it was sent in.
    waiting: VecDeque<Waiting>,
    again: u64,
    connections: u64,
}

struct Waiting {
    id: u16,
    n: u64,
    /// The broker has it, and is to forget its id.
    received: bool,
}

impl Work {
    async fn run(mut self) -> Kept {
        while !self.is_done() {
            if let Some((read, write)) = self.connect().await {
                self.connections += 1;
                self.talk(read, write).await;
            } else {
                tokio::time::sleep(RECONNECT).await;
            }
        }
        let seconds = self.began.elapsed().as_secs_f64();
        Kept { last: self.last, again: self.again, connections: self.connections, seconds }
    }

    fn is_done(&self) -> bool {
        self.stop.load(Ordering::Relaxed) && self.waiting.is_empty()
    }

    async fn connect(&self) -> Option<(BufReader<OwnedReadHalf>, OwnedWriteHalf)> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        write.write_all(&connect_packet(&self.client, false)).await.ok()?;
        let answer = tokio::time::timeout(PATIENCE, read_packet(&mut read)).await.ok()?;
        answer.ok().filter(|(kind, body)| *kind == 0x20 && body.get(1) == Some(&0)).map(|_| (read, write))
    }

    /// Until the connection breaks or everything is done. What is not acknowledged goes out first.
    async fn talk(&mut self, read: BufReader<OwnedReadHalf>, mut write: OwnedWriteHalf) {
        let again: Vec<u8> = self.waiting.iter().flat_map(|waiting| self.packet(waiting, true)).collect();
        self.again += self.waiting.len() as u64;
        if write.write_all(&again).await.is_err() {
            return;
        }
        // A task of its own: a read that is given up half-way would lose its place.
        let (packets, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let reader = tokio::spawn(read_all(read, packets));
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        let (slow, mut looked) = (self.manner == Manner::Slow, Instant::now());
        while !self.is_done() {
            let mut out = Vec::new();
            tokio::select! {
                answer = answers.recv(), if !slow => match answer {
                    Some((kind, id)) => out.extend(self.answered(kind, id)),
                    None => break,
                },
                _ = tick.tick() => {}
            }
            if slow && reader.is_finished() {
                break;
            }
            if slow && looked.elapsed() >= SLOW {
                looked = Instant::now();
                while let Ok((kind, id)) = answers.try_recv() {
                    out.extend(self.answered(kind, id));
                }
            }
            out.extend(self.due());
            if !out.is_empty() && write.write_all(&out).await.is_err() {
                break;
            }
        }
        reader.abort();
    }

    /// What follows from an answer.
    fn answered(&mut self, kind: u8, id: u16) -> Vec<u8> {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.id == id) else {
            panic!("{kind:x} for {id}, which nobody waits for");
        };
        if kind == 0x50 {
            self.waiting[at].received = true;
            return self.packet(&self.waiting[at], false);
        }
        assert_eq!(self.waiting[at].received, kind == 0x70, "{kind:x} for {id} out of turn");
        self.waiting.remove(at);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        Vec::new()
    }

    /// What the device has to say of a message.
    fn packet(&self, waiting: &Waiting, again: bool) -> Vec<u8> {
        let qos = if self.manner == Manner::ExactlyOnce { 2 } else { 1 };
        let Waiting { id, n, received } = *waiting;
        if received {
            let [high, low] = id.to_be_bytes();
            return vec![0x62, 2, high, low];
        }
        let payload = json!({"n": n, "of": self.name}).to_string();
        publish_packet(&format!("load/{}", self.name), id, payload.as_bytes(), qos, again)
    }

    /// What is to be sent now.
    fn due(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.stop.load(Ordering::Relaxed) {
            return bytes;
        }
        let due = (self.began.elapsed().as_secs_f64() * f64::from(self.rate)) as u64;
        while self.last < due && self.waiting.len() < WINDOW {
            self.last += 1;
            self.id = self.id.checked_add(1).unwrap_or(1);
            let waiting = Waiting { id: self.id, n: self.last, received: false };
            bytes.extend(self.packet(&waiting, false));
            self.waiting.push_back(waiting);
        }
        bytes
    }
}

async fn read_all(mut read: BufReader<OwnedReadHalf>, packets: tokio::sync::mpsc::UnboundedSender<(u8, u16)>) {
    while let Ok((kind, body)) = read_packet(&mut read).await {
        if kind >= 0x40 && packets.send((kind, u16::from_be_bytes([body[0], body[1]]))).is_err() {
            return;
        }
    }
}
