//! Who may connect, publish and subscribe: the hook and its default.

use std::net::SocketAddr;

/// What a client says about itself when it connects.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The client id, assigned by the broker when the client sent none.
    pub client_id: &'a str,
    /// The user name, if one was sent.
    pub username: Option<&'a str>,
    /// The password, if one was sent.
    pub password: Option<&'a [u8]>,
    /// Where the connection comes from.
    pub address: SocketAddr,
}

/// What becomes of a connection attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The client may connect, as the named user or anonymously.
    Accept {
        /// The name that later checks get.
        user: Option<String>,
    },
    /// User name or password are wrong.
    BadCredentials,
    /// The client may not connect at all.
    NotAllowed,
}

/// Decides about clients. Called from the broker's thread: the topic checks must not block.
pub trait Authenticator: Send + Sync + 'static {
    /// Judges a connection. May take its time (a password hash): it runs on a worker thread when credentials were sent.
    fn login(&self, login: &Login<'_>) -> Verdict;

    /// Says whether a client may publish to `topic`; asked for every message and for the will.
    fn may_publish(&self, _client_id: &str, _user: Option<&str>, _topic: &str) -> bool {
        true
    }

    /// Says whether a client may subscribe to `filter`; asked again when a session is restored.
    fn may_subscribe(&self, _client_id: &str, _user: Option<&str>, _filter: &str) -> bool {
        true
    }
}

/// Lets everybody in who connects over loopback and nobody else.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Authenticator for Anonymous {
    fn login(&self, login: &Login<'_>) -> Verdict {
        if login.address.ip().to_canonical().is_loopback() {
            Verdict::Accept { user: None }
        } else {
            Verdict::NotAllowed
        }
    }
}
