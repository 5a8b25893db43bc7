//! Who may connect, publish and subscribe: the hook, its default, and the bridge to the protocol library.

use mqtt5::{
    broker::auth::{AuthProvider, AuthResult},
    error::Result as MqttResult,
    packet::connect::ConnectPacket,
    types::ReasonCode,
};
use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};

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

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks our hook in the protocol library's words.
pub(crate) struct Gate(pub(crate) Arc<dyn Authenticator>);

impl AuthProvider for Gate {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        client_addr: SocketAddr,
    ) -> Answer<'a, MqttResult<AuthResult>> {
        let login = Login {
            client_id: &connect.client_id,
            username: connect.username.as_deref(),
            password: connect.password.as_deref(),
            address: client_addr,
        };
        if login.username.is_none() && login.password.is_none() {
            let answer = translate(self.0.login(&login));
            return Box::pin(async move { Ok(answer) });
        }
        let authenticator = Arc::clone(&self.0);
        let (client_id, username, password) =
            (connect.client_id.clone(), connect.username.clone(), connect.password.clone());
        Box::pin(async move {
            let judged = tokio::task::spawn_blocking(move || {
                authenticator.login(&Login {
                    client_id: &client_id,
                    username: username.as_deref(),
                    password: password.as_deref(),
                    address: client_addr,
                })
            })
            .await;
            Ok(translate(judged.unwrap_or(Verdict::NotAllowed)))
        })
    }

    fn authorize_publish<'a>(&'a self, client_id: &str, user_id: Option<&'a str>, topic: &'a str) -> Answer<'a, bool> {
        Box::pin(std::future::ready(self.0.may_publish(client_id, user_id, topic)))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        client_id: &str,
        user_id: Option<&'a str>,
        topic_filter: &'a str,
    ) -> Answer<'a, bool> {
        Box::pin(std::future::ready(self.0.may_subscribe(client_id, user_id, topic_filter)))
    }
}

fn translate(verdict: Verdict) -> AuthResult {
    match verdict {
        Verdict::Accept { user: Some(user) } => AuthResult::success_with_user(user),
        Verdict::Accept { user: None } => AuthResult::success(),
        Verdict::BadCredentials => AuthResult::fail(ReasonCode::BadUsernameOrPassword),
        Verdict::NotAllowed => AuthResult::fail(ReasonCode::NotAuthorized),
    }
}
