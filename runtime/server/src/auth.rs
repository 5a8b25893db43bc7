//! Who may do what: users, roles, sessions, tokens and the first-user set-up.
//!
//! Everything here is synchronous and knows nothing of HTTP; the guard in `web` asks it. What cannot be read is an error
//! at start-up, never an empty default.

pub mod password;
pub mod permission;
pub mod principal;
pub mod sessions;
pub mod setup;
pub mod table;
pub mod throttle;
pub mod tokens;
pub mod users;

use std::path::Path;

pub use permission::{Permission, rights_of};
pub use principal::{Principal, Who};
use tidewire_api::account::Role;

use sessions::Sessions;
use setup::SetupToken;
use throttle::Throttle;
use tidewire_log::private_file::PrivateFileError;
use tokens::Tokens;
use users::Users;

/// All that decides about access.
pub struct Auth {
    /// `false` with `--auth off`.
    pub enabled: bool,
    pub users: Users,
    pub sessions: Sessions,
    pub tokens: Tokens,
    pub setup: SetupToken,
    pub throttle: Throttle,
    pub hashing: password::Hashing,
}

/// Why an account operation was refused, in words for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("{text}")]
    Refused { code: &'static str, text: String },
    #[error("too many attempts; wait {seconds} s and try again")]
    TooMany { seconds: u64 },
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

impl AuthError {
    pub fn refused(code: &'static str, text: impl Into<String>) -> Self {
        AuthError::Refused { code, text: text.into() }
    }
}

/// A successful login.
pub struct LoggedIn {
    pub name: String,
    pub role: Role,
    /// The session's secret, for the cookie or the bearer header.
    pub secret: String,
    /// What the session is called in the log.
    pub session: String,
}

/// Where a login comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub address: String,
    pub agent: String,
}

impl Auth {
    /// Reads users, sessions and tokens below `data_dir`.
    ///
    /// # Errors
    /// When a file is there and cannot be used.
    pub fn open(data_dir: &Path, enabled: bool, now: i64) -> Result<Auth, PrivateFileError> {
        let dir = data_dir.join("auth");
        let users = Users::open(&dir)?;
        let setup = SetupToken::new(enabled && users.is_empty(), now);
        Ok(Auth {
            enabled,
            sessions: Sessions::open(&dir, now)?,
            tokens: Tokens::open(&dir)?,
            users,
            setup,
            throttle: Throttle::default(),
            hashing: password::Hashing::default(),
        })
    }

    /// Whether the first user has yet to be made.
    pub fn needs_setup(&self) -> bool {
        self.enabled && self.users.is_empty()
    }

    /// Checks a password and opens a session. Slow: run it where blocking is allowed.
    ///
    /// # Errors
    /// Wrong name or password (one text for both), or too many attempts.
    pub fn login(&self, name: &str, password: &str, origin: &Origin, now: i64) -> Result<LoggedIn, AuthError> {
        self.throttle.check(name, &origin.address, now).map_err(|seconds| AuthError::TooMany { seconds })?;
        let user = self.users.get(name);
        // An unknown name costs as much time as a known one, so that names cannot be found out.
        let hash = user.as_ref().map_or_else(password::decoy, |user| user.password.clone());
        let right = password::verify(password, &hash);
        let Some(user) = user.filter(|_| right) else {
            self.throttle.failed(name, &origin.address, now);
            return Err(AuthError::refused("invalid_grant", "the user name or the password is wrong; try again"));
        };
        self.throttle.succeeded(name);
        let (secret, session) = self.sessions.open_session(&user.name, origin, now)?;
        Ok(LoggedIn { name: user.name, role: user.role, secret, session })
    }

    /// Makes the first user with the set-up token and opens a session. Slow, as [`Auth::login`].
    ///
    /// # Errors
    /// When the token is wrong or over, or name or password will not do; the token then stays good.
    pub fn set_up(
        &self,
        token: &str,
        name: &str,
        password: &str,
        origin: &Origin,
        now: i64,
    ) -> Result<LoggedIn, AuthError> {
        self.throttle.check("", &origin.address, now).map_err(|seconds| AuthError::TooMany { seconds })?;
        if !self.setup.matches(token, now) {
            self.throttle.failed("", &origin.address, now);
            return Err(AuthError::refused(
                "setup_token_invalid",
                "the set-up link is wrong, used or older than 30 minutes; restart Tidewire to get a new one",
            ));
        }
        let user = self.users.add_first(name, Role::Admin, password, now)?;
        self.setup.spend();
        let (secret, session) = self.sessions.open_session(&user.name, origin, now)?;
        Ok(LoggedIn { name: user.name, role: user.role, secret, session })
    }

    /// The principal behind a session secret or an API token.
    pub fn by_secret(&self, secret: &str, now: i64) -> Option<Principal> {
        if secret.starts_with(tokens::PREFIX) {
            let token = self.tokens.find(secret, now)?;
            let scoped = token.rights();
            // A token never outgrows its owner; one made on the machine itself has no owner.
            let rights = match &token.owner {
                None => scoped,
                Some(owner) => scoped.and(rights_of(self.users.get(owner)?.role)),
            };
            return Some(Principal::token(token.id, token.owner, rights));
        }
        let (session, user) = self.sessions.find(secret, now)?;
        let user = self.users.get(&user)?;
        Some(Principal::user(user.name, user.role, session))
    }

    /// Ends everything that belongs to a user.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn revoke_user(&self, name: &str) -> Result<(), AuthError> {
        self.sessions.close_all_of(name)?;
        self.tokens.remove_all_of(name)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "auth/tests.rs"]
mod tests;
