//! What the black-box tests share: a running server, a broker that is not ours, and small clients for both.
//!
//! Nothing here knows the inside of Tidewire; everything goes through the command line, HTTP, WebSocket and MQTT.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it did not expect should stop"
)]

pub mod browser;
pub mod device;
pub mod flow;
pub mod http;
pub mod load;
pub mod mosquitto;
pub mod mqtt;
pub mod notify_lab;
pub mod port;
pub mod server;
pub mod socket;
pub mod wait;

pub use device::Device;
pub use flow::Flow;
pub use http::{Answer, Http};
pub use load::Load;
pub use mosquitto::Mosquitto;
pub use mqtt::Mqtt;
pub use server::Server;
pub use socket::Socket;
pub use wait::{PATIENCE, until, until_within};
