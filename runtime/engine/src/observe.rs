//! What happens inside, for whoever watches: statuses, debug lines, errors, deploys and taps.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use tidewire_model::flow::FlowDiff;
use tidewire_model::{NodeId, Value};
use tidewire_node_api::{DebugEntry, Level, NodeError, NodeFacts, Status};
use tokio::sync::{broadcast, mpsc};

/// Something to be told of. A watcher that falls behind by more than the channel holds is told that it missed some.
#[derive(Debug, Clone)]
pub enum Observation {
    Status {
        facts: NodeFacts,
        status: Status,
    },
    Debug {
        facts: NodeFacts,
        entry: DebugEntry,
    },
    Log {
        facts: NodeFacts,
        level: Level,
        text: String,
    },
    Error {
        facts: NodeFacts,
        error: NodeError,
        handled: bool,
    },
    /// A node could not be built or started; the text says why.
    Failed {
        facts: NodeFacts,
        text: String,
    },
    Deployed {
        rev: String,
        diff: FlowDiff,
    },
}

/// Where a tapped message was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TapDir {
    In,
    Out,
    Status,
    Error,
    Log,
}

/// One thing a tap saw.
#[derive(Debug, Clone)]
pub struct TapFrame {
    pub node: NodeId,
    pub dir: TapDir,
    /// Output port, for [`TapDir::Out`].
    pub port: Option<usize>,
    pub message: Value,
    /// A catch node took the error.
    pub handled: bool,
}

/// Observations a slow watcher may lag behind before it misses some.
const OBSERVATIONS: usize = 4_096;

/// Frames a slow tap may lag behind; further ones are dropped and counted.
const TAP_FRAMES: usize = 65_536;

/// Hub of all watchers.
pub struct Observers {
    observations: broadcast::Sender<Observation>,
    taps: Mutex<Taps>,
    next_tap: AtomicU64,
}

/// Takes the frames of a tap. Called from within the nodes: it must be quick.
pub type Sink = Box<dyn Fn(TapFrame) + Send>;

#[derive(Default)]
struct Taps {
    sinks: HashMap<u64, Sink>,
    by_node: HashMap<NodeId, Vec<u64>>,
}

impl Default for Observers {
    fn default() -> Self {
        Observers {
            observations: broadcast::channel(OBSERVATIONS).0,
            taps: Mutex::default(),
            next_tap: AtomicU64::new(0),
        }
    }
}

/// A running tap. Dropping it ends it.
pub struct Tap {
    id: u64,
    frames: mpsc::Receiver<TapFrame>,
    release: Box<dyn Fn(u64) + Send + Sync>,
}

impl Tap {
    /// The next frame.
    pub async fn next(&mut self) -> Option<TapFrame> {
        self.frames.recv().await
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        (self.release)(self.id);
    }
}

impl Observers {
    pub fn subscribe(&self) -> broadcast::Receiver<Observation> {
        self.observations.subscribe()
    }

    /// Tells the watchers; costs nothing to speak of when there are none.
    pub fn tell(&self, observation: Observation) {
        if self.observations.receiver_count() > 0 {
            // No receiver is no error.
            let _ = self.observations.send(observation);
        }
    }

    /// Opens a tap. `release` is called with its number when it is dropped.
    pub fn open_tap(&self, nodes: &HashSet<NodeId>, release: Box<dyn Fn(u64) + Send + Sync>) -> Tap {
        let (sender, frames) = mpsc::channel(TAP_FRAMES);
        // A full tap loses the frame: a watcher must never slow what it watches.
        let id = self.attach(nodes, Box::new(move |frame| drop(sender.try_send(frame))));
        Tap { id, frames, release }
    }

    /// Has a sink given the frames of nodes that start from now on; returns its number.
    pub fn attach(&self, nodes: &HashSet<NodeId>, sink: Sink) -> u64 {
        let id = self.next_tap.fetch_add(1, Ordering::Relaxed);
        let mut taps = self.taps.lock();
        taps.sinks.insert(id, sink);
        for node in nodes {
            taps.by_node.entry(node.clone()).or_default().push(id);
        }
        id
    }

    pub fn close_tap(&self, id: u64) {
        let mut taps = self.taps.lock();
        taps.sinks.remove(&id);
        for watchers in taps.by_node.values_mut() {
            watchers.retain(|other| *other != id);
        }
        taps.by_node.retain(|_, watchers| !watchers.is_empty());
    }

    pub fn is_tapped(&self, node: &str) -> bool {
        self.taps.lock().by_node.contains_key(node)
    }

    /// Sends a frame to the taps of its node.
    pub fn tapped(&self, frame: TapFrame) {
        let taps = self.taps.lock();
        for id in taps.by_node.get(&frame.node).into_iter().flatten() {
            if let Some(sink) = taps.sinks.get(id) {
                sink(frame.clone());
            }
        }
    }
}
