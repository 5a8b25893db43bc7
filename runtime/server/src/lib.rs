//! The server of Tidewire: settings, command line, HTTP and WebSocket, access control, secrets, start and stop.
//!
//! What flows do is the engine's business; the server starts it, lets people and programs reach it, and keeps out
//! everybody else.

mod app;
mod assets;
mod audit;
mod auth;
mod backups;
pub mod cli;
mod comms;
mod compaction;
mod error;
mod files;
mod followers;
mod history;
mod ingest;
mod live;
mod metrics;
mod outgoing;
mod routes;
mod scrub;
mod secrets;
mod serve;
mod settings;
mod tabular;
mod taps;
mod telemetry;
mod things;
mod web;
mod wire;
