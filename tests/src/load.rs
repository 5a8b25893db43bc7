//! Numbered messages at a steady rate, with a record of what the broker acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::mqtt::Mqtt;

/// At most this many messages wait for their acknowledgement.
const WINDOW: usize = 500;

/// A publisher at work: `{"n":1}`, `{"n":2}`, … with QoS 1.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    task: JoinHandle<Sent>,
}

/// What a publisher did.
#[derive(Debug)]
pub struct Sent {
    /// The numbers that were sent are 1 to this.
    pub last: u64,
    /// The numbers whose PUBACK came.
    pub acknowledged: Vec<u64>,
    pub seconds: f64,
}

impl Sent {
    /// Messages a second.
    pub fn rate(&self) -> u64 {
        (self.acknowledged.len() as f64 / self.seconds) as u64
    }
}

impl Load {
    /// Begins to publish on a topic, `rate` messages a second.
    pub async fn start(port: u16, topic: &str, rate: u32) -> Load {
        let mqtt = Mqtt::connect(port, &format!("load-{}", crate::port::free())).await;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(publish(mqtt, topic.to_owned(), rate, Arc::clone(&stop), Arc::clone(&sent)));
        Load { stop, sent, task }
    }

    /// How many have been sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until this many more have been sent.
    pub async fn more(&self, count: u64) {
        let target = self.sent() + count;
        crate::until("the publisher", || async { (self.sent() >= target).then_some(()) }).await;
    }

    /// Stops and waits for the last acknowledgement.
    pub async fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn publish(mut mqtt: Mqtt, topic: String, rate: u32, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> Sent {
    let window = Arc::new(Semaphore::new(WINDOW));
    let began = Instant::now();
    let mut waiting = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while last < due && !stop.load(Ordering::Relaxed) {
            let place = Arc::clone(&window).acquire_owned().await.unwrap();
            last += 1;
            let answer = mqtt.send(&topic, json!({ "n": last }).to_string().as_bytes());
            sent.store(last, Ordering::Relaxed);
            waiting.push(tokio::spawn(async move {
                let acknowledged = answer.await.is_ok();
                drop(place);
                acknowledged.then_some(last)
            }));
        }
    }
    let mut acknowledged = Vec::new();
    for answer in waiting {
        let answer = tokio::time::timeout(crate::PATIENCE, answer).await.expect("a PUBACK is missing");
        acknowledged.extend(answer.unwrap());
    }
    Sent { last, acknowledged, seconds: began.elapsed().as_secs_f64() }
}
