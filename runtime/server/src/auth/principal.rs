//! Who is behind a request.

use tidewire_api::account::Role;

use super::permission::{Permission, Rights, rights_of};

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A person with a session; `session` is its name in the log, not its secret.
    User { name: String, role: Role, session: String },
    /// A program with an API token.
    Token { id: String, owner: Option<String> },
    /// The same operating-system user, over the socket in the data folder.
    Local,
    /// Anybody, with `--auth off`.
    Anybody,
}

/// An authenticated caller and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub who: Who,
    rights: Rights,
}

impl Principal {
    pub fn user(name: String, role: Role, session: String) -> Self {
        Principal { who: Who::User { name, role, session }, rights: rights_of(role) }
    }

    pub fn token(id: String, owner: Option<String>, rights: Rights) -> Self {
        Principal { who: Who::Token { id, owner }, rights }
    }

    pub fn local() -> Self {
        Principal { who: Who::Local, rights: Rights::all() }
    }

    pub fn anybody() -> Self {
        Principal { who: Who::Anybody, rights: Rights::all() }
    }

    pub fn may(&self, permission: Permission) -> bool {
        self.rights.has(permission)
    }

    /// The name that stands as `actor` in events.
    pub fn actor(&self) -> String {
        match &self.who {
            Who::User { name, .. } => format!("user:{name}"),
            Who::Token { id, .. } => format!("token:{id}"),
            Who::Local => "local".to_owned(),
            Who::Anybody => "anybody".to_owned(),
        }
    }
}

/// The one decision about access, for routes and socket commands alike.
///
/// # Errors
/// Nobody is signed in, or who is signed in may not.
pub fn authorize(principal: Option<&Principal>, permission: Permission) -> Result<(), Denied> {
    match (permission, principal) {
        (Permission::Public, _) => Ok(()),
        (_, None) => Err(Denied::Unauthenticated),
        (_, Some(principal)) if principal.may(permission) => Ok(()),
        (_, Some(_)) => Err(Denied::Forbidden(permission)),
    }
}

/// Why access was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    Unauthenticated,
    Forbidden(Permission),
}
