//! A device that keeps its word: it publishes numbers with QoS 1 and sends each one, marked as a duplicate, until it is
//! acknowledged, however often the connection breaks.

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
    /// Begins to publish `{"n":1}`, `{"n":2}`, … on a topic, `rate` a second.
    pub fn start(port: u16, topic: &str, rate: u32) -> Device {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let work = Work {
            port,
            topic: topic.to_owned(),
            client: format!("device-{}", crate::port::free()),
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
    topic: String,
    client: String,
    rate: u32,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    began: Instant,
    last: u64,
    id: u16,
    /// Packet id and number of what is not acknowledged, in the order it was sent in.
    waiting: VecDeque<(u16, u64)>,
    again: u64,
    connections: u64,
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
        let again: Vec<u8> =
            self.waiting.iter().flat_map(|(id, n)| publish_packet(&self.topic, *id, &payload(*n), true)).collect();
        self.again += self.waiting.len() as u64;
        if write.write_all(&again).await.is_err() {
            return;
        }
        // A task of its own: a read that is given up half-way would lose its place.
        let (packets, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let reader = tokio::spawn(read_all(read, packets));
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while !self.is_done() {
            tokio::select! {
                answer = answers.recv() => match answer {
                    Some(id) => self.acknowledge(id),
                    None => break,
                },
                _ = tick.tick() => {}
            }
            let due = self.due();
            if !due.is_empty() && write.write_all(&due).await.is_err() {
                break;
            }
        }
        reader.abort();
    }

    fn acknowledge(&mut self, id: u16) {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == id) else {
            panic!("PUBACK for {id}, which nobody waits for");
        };
        self.waiting.remove(at);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
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
            self.waiting.push_back((self.id, self.last));
            bytes.extend(publish_packet(&self.topic, self.id, &payload(self.last), false));
        }
        bytes
    }
}

async fn read_all(mut read: BufReader<OwnedReadHalf>, packets: tokio::sync::mpsc::UnboundedSender<u16>) {
    while let Ok((kind, body)) = read_packet(&mut read).await {
        if kind == 0x40 && packets.send(u16::from_be_bytes([body[0], body[1]])).is_err() {
            return;
        }
    }
}

fn payload(n: u64) -> Vec<u8> {
    json!({ "n": n }).to_string().into_bytes()
}
