//! Where a connection comes from.

use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::Connected;
use axum::http::HeaderMap;
use axum::serve::IncomingStream;
use tokio::net::{TcpListener, UnixListener};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Network(SocketAddr),
    /// Over the socket in the data folder; `true` when it is the same operating-system user.
    Socket(bool),
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Peer::Network(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let own = rustix::process::geteuid().as_raw();
        Peer::Socket(stream.io().peer_cred().is_ok_and(|peer| peer.uid() == own))
    }
}

/// The address of the client, as far as it can be known: behind a proxy, what the proxy says.
pub fn address(peer: Peer, headers: &HeaderMap, behind_proxy: bool) -> String {
    let Peer::Network(direct) = peer else { return "local".to_owned() };
    let forwarded = behind_proxy
        .then(|| headers.get("x-forwarded-for")?.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok())
        .flatten();
    forwarded.unwrap_or_else(|| direct.ip().to_canonical()).to_string()
}

/// Whether the client speaks TLS with the proxy in front.
pub fn is_secure(headers: &HeaderMap, behind_proxy: bool) -> bool {
    behind_proxy && headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes() == b"https")
}
