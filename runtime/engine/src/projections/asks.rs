//! What is asked of the task that keeps a read model, and what it answers.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidewire_model::event::StreamName;
use tidewire_model::position::Position;
use tokio::sync::oneshot;

/// Who says that a parked event is to be left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub by: String,
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub time: i64,
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, String>>;

/// Something to be done between two events.
pub(super) enum Ask {
    /// Build once more beside the one that is served; `hold` waits for [`Ask::Swap`] before it takes its place.
    Rebuild {
        hold: bool,
        answer: Answer<()>,
    },
    /// Build once more from what the log holds now, and keep nothing of what was made before: events have been erased.
    Renew(StreamName),
    /// Build once more, as the definition is another one by now: events are read in another form.
    Redefine,
    Swap(Answer<()>),
    Cancel(Answer<()>),
    Retry {
        position: Position,
        answer: Answer<()>,
    },
    Skip {
        position: Position,
        skipped: Skipped,
        answer: Answer<()>,
    },
    /// Keep a snapshot at or after this position in a file, from which it can be built again; answers where it stands.
    Snapshot {
        through: Position,
        answer: Answer<Position>,
    },
}

impl Ask {
    fn refuse(self, why: &str) {
        // Who asked may have gone; then nobody needs the answer.
        let why = why.to_owned();
        match self {
            // Who keeps it next finds what is to be done.
            Ask::Renew(_) | Ask::Redefine => {}
            Ask::Rebuild { answer, .. } | Ask::Swap(answer) | Ask::Cancel(answer) => drop(answer.send(Err(why))),
            Ask::Retry { answer, .. } | Ask::Skip { answer, .. } => drop(answer.send(Err(why))),
            Ask::Snapshot { answer, .. } => drop(answer.send(Err(why))),
        }
    }
}

/// What has been asked and not been done.
#[derive(Default)]
pub(super) struct Asks {
    queue: Mutex<VecDeque<Ask>>,
}

impl Asks {
    pub(super) fn push(&self, ask: Ask) {
        self.queue.lock().push_back(ask);
    }

    pub(super) fn take_all(&self) -> VecDeque<Ask> {
        std::mem::take(&mut *self.queue.lock())
    }

    /// Answers all that nobody will do any more.
    pub(super) fn refuse_all(&self, why: &str) {
        self.take_all().into_iter().for_each(|ask| ask.refuse(why));
    }
}
