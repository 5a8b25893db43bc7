//! Clients of both versions and raw sockets for tests of the broker.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

pub mod v4;
pub mod v5;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tidewire_broker::{Broker, BrokerSettings};
pub use v4::V4;
pub use v5::V5;

/// Longest wait for something that must happen.
pub const SOON: Duration = Duration::from_secs(20);
/// Wait for something that must not happen.
pub const NOT: Duration = Duration::from_millis(300);

/// Settings for a free port on loopback.
pub fn settings() -> BrokerSettings {
    BrokerSettings::new(([127, 0, 0, 1], 0).into())
}

pub fn broker() -> Broker {
    Broker::start(settings()).unwrap()
}

/// A connection without a client library.
pub struct Raw(TcpStream);

impl Raw {
    pub fn to(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self(socket)
    }

    /// Sends bytes; a broker that has hung up already is no failure here.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.0.write_all(bytes);
        self
    }

    /// Everything until the broker hangs up.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        match self.0.read_to_end(&mut all) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("not closed: {error}"),
            _ => all,
        }
    }

    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// A CONNECT of the given protocol level with client id `raw` and no keep-alive.
pub fn connect_packet(level: u8) -> Vec<u8> {
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    let body = [&[0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 0], properties, &[0, 3, b'r', b'a', b'w']].concat();
    [vec![0x10, body.len() as u8], body].concat()
}
