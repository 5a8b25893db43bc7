//! The two node types that most figures take, and the count of messages that have come to their end.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::Message;
use tidewire_node_api::{Batch, BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role};
use tokio::sync::Notify;

static ENDED: AtomicU64 = AtomicU64::new(0);
static ALL_ENDED: Notify = Notify::const_new();
static EXPECTED: AtomicU64 = AtomicU64::new(0);

/// Begins to count anew, up to `messages`.
pub fn expect(messages: u64) {
    ENDED.store(0, Ordering::Relaxed);
    EXPECTED.store(messages, Ordering::Relaxed);
}

/// Messages that have come to an end.
pub fn ended() -> u64 {
    ENDED.load(Ordering::Relaxed)
}

/// Waits until all that are expected have.
pub async fn all_ended() {
    while ended() < EXPECTED.load(Ordering::Relaxed) {
        ALL_ENDED.notified().await;
    }
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NoConfig {
    round: u64,
}

pub const fn meta(name: &'static str) -> Meta {
    Meta::new(name, name, Category::Common, Role::Logic, Kind::Pure)
}

/// Passes on what it gets.
pub struct Pass;

impl NodeType for Pass {
    type Config = NoConfig;
    const META: Meta = meta("pass");

    fn build(_config: NoConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Pass)
    }
}

impl Node for Pass {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.emit(0, message);
        Ok(())
    }
}

/// Counts what it gets.
pub struct End;

impl NodeType for End {
    type Config = NoConfig;
    const META: Meta = meta("end");

    fn build(_config: NoConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(End)
    }
}

impl Node for End {
    fn process(&mut self, _message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        Ok(())
    }

    fn process_batch(&mut self, batch: &mut Batch, _ctx: &mut Ctx<'_>) {
        let count = batch.len() as u64;
        batch.clear();
        if ENDED.fetch_add(count, Ordering::Relaxed) + count >= EXPECTED.load(Ordering::Relaxed) {
            ALL_ENDED.notify_one();
        }
    }
}
