//! What a hop and a copy cost at least: the same steps without an engine.

use std::hint::black_box;
use std::time::Instant;

use parking_lot::Mutex;
use tidewire_model::Message;
use tidewire_node_api::{Batch, Delivery};

const ROUNDS: u32 = 20_000;

/// Messages of a batch: as many as a node is given at once.
const BATCH: u32 = 128;

/// Nanoseconds to put a message into a queue under a lock and to take it out again, in batches.
pub fn batch_move_ns() -> f64 {
    let queue = Mutex::new(Batch::new());
    let message = |id| Delivery::new(Message::with_payload(u64::from(id), 1), None);
    let mut waiting: Vec<Delivery> = (0..BATCH).map(message).collect();
    let mut taken = Batch::new();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        queue.lock().extend(waiting.drain(..));
        std::mem::swap(&mut *queue.lock(), &mut taken);
        waiting.extend(black_box(&mut taken).drain(..));
    }
    began.elapsed().as_nanos() as f64 / f64::from(ROUNDS * BATCH)
}

/// Nanoseconds to copy a message, which shares its contents, and to drop the copy.
pub fn clone_ns() -> f64 {
    let message = Message::with_payload(1, 1);
    let began = Instant::now();
    for _ in 0..ROUNDS * BATCH {
        drop(black_box(message.clone()));
    }
    began.elapsed().as_nanos() as f64 / f64::from(ROUNDS * BATCH)
}
