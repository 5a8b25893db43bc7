//! The engine: one task per node, wires between inboxes, and deploys that change them while messages flow.
//!
//! It knows no node type by name and opens no socket; both come in through `node-api`.

mod apply;
pub mod bench;
mod build;
mod clock;
mod contexts;
mod crashes;
pub mod dead_letters;
mod deploy;
mod down;
mod driver;
mod engine;
mod entries;
mod host;
mod inbox;
mod inert;
mod keeper;
mod kept;
mod leftovers;
mod listeners;
pub mod log_handle;
pub mod observe;
mod pace;
pub mod projections;
mod record;
pub mod replay;
pub mod schemas;
mod shared;
mod slot;
mod stats;
mod timers;
mod wiring;

pub use clock::{Clock, Credentials, NoCredentials, SystemClock, Until};
pub use contexts::{ContextSettings, Contexts, Owner, StoreKind};
pub use deploy::{DeployError, DeployKind, DeployRequest, Deployed};
pub use engine::{Engine, EngineConfig, EngineError, Flows, NodeView, SendError};
pub use observe::{Observation, Tap, TapDir, TapFrame};
pub use record::{DEPLOYED, STREAM as DEPLOY_STREAM};
pub use stats::{Last, NodeStats, Stats, WireStats};
