//! Users: name, role, password hash.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tidewire_api::account::{self, Role};

use super::AuthError;
use super::password;
use super::table::Table;
use tidewire_log::private_file::PrivateFileError;

/// A user as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// PHC string.
    pub password: String,
    pub created: i64,
}

impl User {
    pub fn public(&self) -> account::User {
        account::User { name: self.name.clone(), role: self.role, created: self.created }
    }
}

/// Most users there can be: the file is read and written whole.
const USERS_MAX: usize = 1_000;

pub struct Users(Table<User>);

impl Users {
    pub(super) fn open(dir: &Path) -> Result<Self, PrivateFileError> {
        Table::open(dir, "users.json").map(Users)
    }

    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub fn get(&self, name: &str) -> Option<User> {
        self.0.get(name)
    }

    pub fn list(&self) -> Vec<User> {
        self.0.list()
    }

    /// Adds a user. Slow: hashes the password.
    ///
    /// # Errors
    /// When name or password will not do, or the name is taken.
    pub fn add(&self, name: &str, role: Role, password: &str, now: i64) -> Result<User, AuthError> {
        self.insert(name, role, password, now, false)
    }

    /// Adds the first user.
    ///
    /// # Errors
    /// As [`Users::add`], or when there is a user already.
    pub fn add_first(&self, name: &str, role: Role, password: &str, now: i64) -> Result<User, AuthError> {
        self.insert(name, role, password, now, true)
    }

    fn insert(&self, name: &str, role: Role, password: &str, now: i64, first: bool) -> Result<User, AuthError> {
        check_name(name)?;
        password::check(password, name)?;
        let user = User { name: name.to_owned(), role, password: password::hash(password)?, created: now };
        self.0.change(|items| {
            if first && !items.is_empty() {
                return Err(AuthError::refused("setup_done", "the first user exists already; sign in instead"));
            }
            if items.len() >= USERS_MAX {
                return Err(AuthError::refused("too_many_users", format!("there are {USERS_MAX} users already")));
            }
            if items.contains_key(name) {
                let text = format!("there is a user \"{name}\" already; choose another name");
                return Err(AuthError::refused("user_exists", text));
            }
            items.insert(user.name.clone(), user.clone());
            Ok(user)
        })
    }

    /// Changes role or password. Slow when a password is given.
    ///
    /// # Errors
    /// When there is no such user, the password will not do, or no administrator would be left.
    pub fn update(&self, name: &str, role: Option<Role>, new_password: Option<&str>) -> Result<User, AuthError> {
        let hash = match new_password {
            None => None,
            Some(text) => {
                password::check(text, name)?;
                Some(password::hash(text)?)
            }
        };
        self.0.change(|items| {
            let user = items.get_mut(name).ok_or_else(|| unknown(name))?;
            user.role = role.unwrap_or(user.role);
            if let Some(hash) = hash {
                user.password = hash;
            }
            let user = user.clone();
            keep_an_admin(items.values())?;
            Ok(user)
        })
    }

    /// # Errors
    /// When there is no such user, or no administrator would be left.
    pub fn remove(&self, name: &str) -> Result<(), AuthError> {
        self.0.change(|items| {
            items.remove(name).ok_or_else(|| unknown(name))?;
            keep_an_admin(items.values())
        })
    }
}

fn unknown(name: &str) -> AuthError {
    AuthError::refused("user_not_found", format!("there is no user \"{name}\""))
}

fn keep_an_admin<'a>(mut users: impl Iterator<Item = &'a User>) -> Result<(), AuthError> {
    if users.any(|user| user.role == Role::Admin) {
        return Ok(());
    }
    Err(AuthError::refused("last_admin", "this is the last administrator; make another one first"))
}

fn check_name(name: &str) -> Result<(), AuthError> {
    let valid = (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+'));
    if valid {
        return Ok(());
    }
    Err(AuthError::refused(
        "invalid_name",
        "a user name has 1 to 64 letters, digits, dots, dashes, underscores or @; choose another one",
    ))
}
