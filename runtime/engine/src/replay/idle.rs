//! Tells when a runtime of one thread has nothing left to do: no task that could go on, so no message on its way and no
//! work that does not wait for time itself.
//!
//! Sound because nothing in a replay waits for another thread: its handles answer at once or wait for the clock.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use tokio::runtime::{Builder, Runtime};

#[derive(Default)]
struct State {
    parked: AtomicBool,
    waker: AtomicWaker,
}

/// See the module.
#[derive(Clone, Default)]
pub struct Idle(Arc<State>);

impl Idle {
    /// A runtime of one thread that tells when it has nothing to do. It has no timer: whoever asks for real time there
    /// fails loudly.
    pub fn runtime() -> std::io::Result<(Runtime, Idle)> {
        let idle = Idle::default();
        let state = idle.0.clone();
        let told = move || {
            state.parked.store(true, Ordering::Relaxed);
            state.waker.wake();
        };
        let runtime = Builder::new_current_thread().on_thread_park(told).build()?;
        Ok((runtime, idle))
    }

    /// Resolves when everything else on the runtime waits.
    pub async fn wait(&self) {
        self.0.parked.store(false, Ordering::Relaxed);
        poll_fn(|cx| {
            self.0.waker.register(cx.waker());
            if self.0.parked.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn idle_is_when_nobody_can_go_on_any_more() {
        let (runtime, idle) = Idle::runtime().unwrap();
        let done = Arc::new(AtomicU32::new(0));
        runtime.block_on(async {
            for round in 1..=3 {
                let counted = done.clone();
                let (sender, receiver) = tokio::sync::oneshot::channel();
                tokio::spawn(async move {
                    for _ in 0..1_000 {
                        tokio::task::yield_now().await;
                    }
                    sender.send(()).unwrap();
                });
                tokio::spawn(async move {
                    receiver.await.unwrap();
                    counted.fetch_add(1, Ordering::Relaxed);
                });
                idle.wait().await;
                assert_eq!(done.load(Ordering::Relaxed), round);
            }
        });
    }
}
