//! The event log of Tidewire: append, read and subscribe, with projections beside it.
//!
//! [`EventLog`] is the contract; [`JournalLog`] keeps it on disk and [`MemoryLog`] in memory, and one conformance
//! suite runs on both. The crate knows nothing of flows, nodes or scripts.
//!
//! Invariant: an append that was acknowledged by an engine whose [`Capabilities::durable`] is set survives a
//! power loss of the machine.

mod archivist;
mod backlog;
pub mod backup;
pub mod bench;
mod block;
mod bodies;
pub mod consumers;
pub mod content;
mod digest;
mod door;
mod envelope;
mod error;
mod folders;
mod hashed;
mod hex;
mod index;
mod indexer;
mod journal;
mod journal_log;
mod keys;
mod leads;
mod lists;
mod live;
mod lock;
mod log;
mod memory;
mod names;
mod personal;
mod plan;
pub mod private_file;
mod projection;
mod queue;
mod reader;
mod retention;
mod shared;
pub mod snapshots;
mod space;
mod store;
mod subscription;
mod ticket;
mod usage;
mod values;
mod verify;
mod writer;

/// Runs something that blocks on the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(LogError::Store(error.to_string())))
}

pub use bodies::{Bodies, Check, Hooks, Upcaster};
pub use content::Swept;
pub use error::LogError;
pub use journal_log::{JournalLog, JournalOptions, LastScrub, SCRUBBED, last_scrub};
pub use keys::{
    KEY_BACKUP_DAYS, KEY_BACKUP_DAYS_MAX, KeyBackup, KeysRestored, KnownKeyBackup, destroy_expired_key_backups,
    known_key_backups, restore_keys,
};
pub use log::{
    BoxFuture, Capabilities, Commit, EventLog, Health, StoreHealth, StreamList, StreamMark, StreamOrder, Take,
    checkpoint_change,
};
pub use memory::MemoryLog;
pub use personal::{Erasure, PersonalError, erase, erased_keys, finish_erasure, set_personal, unfinished_erasures};
pub use plan::IdWindow;
pub use projection::{MemoryProjections, ProjectionChange, ProjectionInfo, ProjectionStore};
pub use retention::{
    BeforeDrop, COMPACTED, CompactOrder, DEDUPLICATION_MS, DroppedGroup, Dropping, Holds, Spared, StreamHold, policies,
    set_policies,
};
pub use subscription::{Delivery, Subscription};
pub use ticket::Ticket;
pub use tidewire_model::retention::{Compacted, Hold, PolicyDrop};
pub use tidewire_model::usage::{SpaceLevel, Usage, UsageGroup};
pub use verify::{Verified, verify, verify_with};
