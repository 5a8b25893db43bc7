//! The editor's live channel: one task takes a picture of all counters four times a second while somebody watches;
//! each client is sent what changed since the last frame that it took.
//!
//! Nothing grows for a slow client: pictures replace each other, debug lines and events beyond a frame's worth are
//! left out.

mod picture;
pub mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidewire_engine::Engine;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::metrics::MeteredLog;
use picture::Painter;
pub use picture::Picture;

/// Time between two pictures.
const PERIOD: Duration = Duration::from_millis(250);

/// Hub of all live clients.
pub struct Live {
    engine: Engine,
    log: Arc<MeteredLog>,
    pictures: watch::Sender<Arc<Picture>>,
    watchers: Arc<AtomicUsize>,
}

/// A client's place; the pictures end when the last one is dropped.
pub struct Seat {
    pub pictures: watch::Receiver<Arc<Picture>>,
    watchers: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Live {
    pub fn new(engine: Engine, log: Arc<MeteredLog>) -> Self {
        Live { engine, log, pictures: watch::channel(Arc::default()).0, watchers: Arc::default() }
    }

    /// Takes a place; the first one starts the pictures.
    pub fn join(&self) -> Seat {
        let seat = Seat { pictures: self.pictures.subscribe(), watchers: Arc::clone(&self.watchers) };
        if self.watchers.fetch_add(1, Ordering::Relaxed) == 0 {
            tokio::spawn(paint(self.engine.clone(), self.log.clone(), self.pictures.clone(), self.watchers.clone()));
        }
        seat
    }
}

async fn paint(
    engine: Engine,
    log: Arc<MeteredLog>,
    pictures: watch::Sender<Arc<Picture>>,
    watchers: Arc<AtomicUsize>,
) {
    let mut painter = Painter::default();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if watchers.load(Ordering::Relaxed) == 0 {
            return;
        }
        let picture = painter.paint(&engine, &*log, Instant::now());
        pictures.send_replace(Arc::new(picture));
    }
}
