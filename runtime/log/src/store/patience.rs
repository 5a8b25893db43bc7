//! sled can wait for ever for a write that has failed; nobody may wait with it.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::LogError;

/// After so long a second attempt is made …
const SECOND: Duration = Duration::from_secs(5);
/// … and after so long it is given up.
const LAST: Duration = Duration::from_secs(25);

/// Does something that may never come back, on a thread of its own. What does not answer is tried on a second thread:
/// sled wakes those who wait for a write that failed when somebody else asks. What answers first counts.
///
/// # Errors
/// What the work says, or that it does not come back; then the store is of no use until the next start.
pub(super) fn patiently(work: impl FnOnce() -> Result<(), LogError> + Clone + Send + 'static) -> Result<(), LogError> {
    within((SECOND, LAST), work)
}

fn within(
    (second, last): (Duration, Duration),
    work: impl FnOnce() -> Result<(), LogError> + Clone + Send + 'static,
) -> Result<(), LogError> {
    let (done, answer) = channel();
    for patience in [second, last] {
        let (work, done) = (work.clone(), done.clone());
        let thread = std::thread::Builder::new().name("log-flush".to_owned());
        let started = thread.spawn(move || drop(done.send(work())));
        started.map_err(|error| LogError::Store(format!("no thread can be started: {error}")))?;
        match answer.recv_timeout(patience) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
    Err(LogError::Store("it waits for a write that has failed; check the disk, then restart".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn who_never_answers_is_asked_again_and_then_given_up() {
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = |answers_from: usize| {
            let asked = Arc::clone(&asked);
            move || {
                if asked.fetch_add(1, Ordering::SeqCst) + 1 < answers_from {
                    // Never woken.
                    loop {
                        std::thread::park();
                    }
                }
                Ok(())
            }
        };
        let patience = (Duration::from_millis(20), Duration::from_millis(200));
        within(patience, ask(1)).unwrap();
        asked.store(0, Ordering::SeqCst);
        within((patience.0, Duration::from_secs(60)), ask(2)).unwrap();
        asked.store(0, Ordering::SeqCst);
        let error = within(patience, ask(3)).unwrap_err();
        assert!(error.to_string().contains("restart"), "{error}");
    }
}
