//! Hashes records into the root of their segment, on a thread of its own: nobody waits for a hash before an
//! acknowledgement.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;

use super::merkle::{Hash, Tree};
use super::record;

/// How many records may wait to be hashed; the writer waits for room beyond that.
const QUEUE: usize = 256;

/// How long it leaves records that come one after another alone, so that not each of them wakes this thread.
const NAP: Duration = Duration::from_millis(1);

enum Work {
    Record(Bytes),
    /// Answer the root and begin anew.
    Finish(SyncSender<Hash>),
}

/// The hash tree of the segment under way.
pub(crate) struct Chain {
    work: SyncSender<Work>,
}

impl Chain {
    /// Goes on with a tree.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(tree: Tree) -> std::io::Result<Self> {
        let (work, queue) = sync_channel(QUEUE);
        // Ends with the last sender.
        std::thread::Builder::new().name("log-chain".to_owned()).spawn(move || run(tree, &queue))?;
        Ok(Self { work })
    }

    /// Adds a record. `None` when the thread is gone.
    pub(crate) fn push(&self, record: Bytes) -> Option<()> {
        self.work.send(Work::Record(record)).ok()
    }

    /// The root over all records since the last time. `None` when the thread is gone.
    pub(crate) fn finish(&self) -> Option<Hash> {
        let (answer, root) = sync_channel(1);
        self.work.send(Work::Finish(answer)).ok()?;
        root.recv().ok()
    }
}

fn run(mut tree: Tree, queue: &Receiver<Work>) {
    while let Ok(first) = queue.recv() {
        for work in std::iter::once(first).chain(queue.try_iter()) {
            match work {
                Work::Record(bytes) => tree.push(record::leaf(&bytes)),
                Work::Finish(answer) => drop(answer.send(std::mem::take(&mut tree).root())),
            }
        }
        std::thread::sleep(NAP);
    }
}
