//! What can go wrong when the broker starts, and how to mend it.

use std::{io, net::SocketAddr};

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program, often another broker, listens on the address.
    #[error(
        "cannot listen for MQTT on {address}: port {} is in use; stop the program that uses it, \
         choose another one with `--mqtt {}:PORT`, or switch the embedded broker off with `--mqtt off`",
        address.port(), address.ip()
    )]
    PortInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen for MQTT on {address}: {source}; choose another address with `--mqtt ADDR:PORT`")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused a thread or a timer.
    #[error("cannot start the MQTT broker thread: {source}")]
    Thread {
        /// What the operating system said.
        source: io::Error,
    },
}

impl Error {
    /// Tells a port conflict from any other failure to listen.
    pub(crate) fn listen(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { address },
            _ => Self::Listen { address, source },
        }
    }
}
