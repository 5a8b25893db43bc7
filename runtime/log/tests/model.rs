//! Random operations, crashes and restarts among them: both engines say the same as a model that fits on a page.
//!
//! A failing run prints its seed (`FAULT_SEED` repeats it) and the shortest list of steps that still fails.
//! `FAULT_ROUNDS` says how often.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "shared/dice.rs"]
mod dice;
#[path = "model/expected.rs"]
mod expected;
#[path = "shared/files.rs"]
mod files;
#[path = "model/op.rs"]
mod op;
#[path = "shared/report.rs"]
mod report;
#[path = "model/run.rs"]
mod run;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use op::{Op, Source};
use run::{Engine, run};

const ENGINES: &[Engine] = &[
    Engine::Memory,
    Engine::Journal { keep_events: 4096, segment_bytes: 64 << 20 },
    Engine::Journal { keep_events: 0, segment_bytes: 16 * 1024 },
    Engine::Journal { keep_events: 50, segment_bytes: 256 * 1024 },
];
/// Steps of one round.
const STEPS: usize = 200;
/// So many rounds at a time.
const SIDE_BY_SIDE: usize = 6;
/// How long a list of steps is made shorter.
const SHRINKING: Duration = Duration::from_secs(60);

#[test]
fn every_engine_does_as_the_model() {
    let (rounds, first) = (dice::rounds(2), dice::seed());
    // Most of a round is waiting for the disk.
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < first + rounds)
                {
                    if let Err(failure) = round(seed) {
                        next.store(first + rounds, Ordering::Relaxed);
                        panic!("{failure}");
                    }
                }
            });
        }
    });
    let done = format!(
        "{rounds} rounds of {STEPS} random steps, restarts, crashes and clock jumps on {} engines",
        ENGINES.len()
    );
    report::report("model", &format!("{done}, seed {first}"), "all say what the model says");
}

fn round(seed: u64) -> Result<(), String> {
    let ops = Source::new(seed).ops(STEPS);
    for engine in ENGINES {
        if let Err(error) = attempt(*engine, &ops) {
            let (ops, error) = shrink(*engine, ops, error);
            return Err(format!("FAULT_SEED={seed}, {engine:?}, {} steps:\n{ops:#?}\n{error}", ops.len()));
        }
    }
    Ok(())
}

fn attempt(engine: Engine, ops: &[Op]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ops = ops.to_vec();
    let run = runtime.spawn(async move { run(engine, &ops).await });
    let answer = runtime.block_on(run).unwrap_or_else(|panic| Err(panic.to_string()));
    runtime.shutdown_timeout(Duration::from_secs(1));
    answer
}

/// Leaves steps out, fewer and fewer at a time, as long as it still fails.
fn shrink(engine: Engine, mut ops: Vec<Op>, mut error: String) -> (Vec<Op>, String) {
    let began = Instant::now();
    let mut piece = ops.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < ops.len() && began.elapsed() < SHRINKING {
            let rest = [&ops[..at], &ops[(at + piece).min(ops.len())..]].concat();
            match attempt(engine, &rest) {
                Err(still) => (ops, error) = (rest, still),
                Ok(()) => at += piece,
            }
        }
        piece /= 2;
    }
    (ops, error)
}
