//! Black-box tests: one promise per file, a real server each.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it did not expect should stop"
)]

mod access;
mod backup;
mod bad_input;
mod consumers;
mod context;
mod dead_letters;
mod deploy_load;
mod deploys;
mod documents;
mod events;
mod first_run;
mod key_backups;
mod kill;
mod links;
mod live;
mod log_room;
mod neighbour;
mod node_red_api;
mod node_types;
mod notifications;
mod personal;
mod read_models;
mod reading;
mod restart;
mod rewire;
mod schemas;
mod spine;
mod take_back;
mod test_api;
mod tidy;
mod waiting;
