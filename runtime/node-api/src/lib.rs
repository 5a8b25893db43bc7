//! What a node author sees: node types, the node trait, its context, effect handles and a test bench.
//!
//! It says nothing about how nodes are run; that is the engine's business. Nodes reach the world only through the
//! handles here, so that a replay can put recorders in their place.

pub mod bench;
pub mod broker;
pub mod cell;
pub mod context;
pub mod ctx;
pub mod delivery;
pub mod error;
pub mod handles;
pub mod host;
pub mod lenient;
pub mod node;
pub mod node_type;
pub mod registry;
pub mod schema;
pub mod selection;
pub mod status;
pub mod token;

pub use context::{Context, ContextError, ContextScope, ContextValues};
pub use ctx::Ctx;
pub use delivery::{Batch, Deferred, Delivery, Emission, Outputs, Work};
pub use error::{BuildError, NodeError, RUNAWAY};
pub use host::{DebugEntry, Feed, Host, Keep, Level, NodeFacts, Services};
pub use node::{Node, Signal, State, StopReason};
pub use node_type::{BuildEnv, Category, Kind, Meta, NodeDef, NodeType, Role};
pub use registry::Registry;
pub use status::{Fill, Shape, Status};
pub use token::{AckSink, Outcome, Token};
