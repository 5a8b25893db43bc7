//! API tokens: `tw_<id>_<secret>`, of which only the hash is kept.

use std::path::Path;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tidewire_api::account;

use super::AuthError;
use super::permission::{Rights, Scope};
use super::sessions::{hash_of, random_secret};
use super::table::Table;
use tidewire_log::private_file::PrivateFileError;

pub const PREFIX: &str = "tw_";
const DAY_MS: i64 = 24 * 3600 * 1000;
const DAYS: u32 = 90;
const DAYS_MAX: u32 = 3650;
const TOKENS_MAX: usize = 1_000;

/// A token as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    pub id: String,
    pub name: String,
    /// `None`: made on the machine itself.
    pub owner: Option<String>,
    pub scopes: Vec<String>,
    pub hash: String,
    pub created: i64,
    pub expires: i64,
    pub last_used: Option<i64>,
}

impl Token {
    pub(super) fn rights(&self) -> Rights {
        let scopes = self.scopes.iter().filter_map(|scope| scope.parse::<Scope>().ok());
        scopes.fold(Rights::default(), |rights, scope| rights.or(scope.rights()))
    }

    pub fn public(&self) -> account::Token {
        account::Token {
            id: self.id.clone(),
            name: self.name.clone(),
            owner: self.owner.clone().unwrap_or_else(|| "local".to_owned()),
            scopes: self.scopes.clone(),
            created: self.created,
            expires: self.expires,
            last_used: self.last_used,
        }
    }
}

pub struct Tokens(Table<Token>);

impl Tokens {
    pub(super) fn open(dir: &Path) -> Result<Self, PrivateFileError> {
        Table::open(dir, "tokens.json").map(Tokens)
    }

    pub fn list(&self) -> Vec<Token> {
        self.0.list()
    }

    /// Makes a token; the text is shown this once.
    ///
    /// # Errors
    /// When a scope is not known or the time is out of range.
    pub fn create(
        &self,
        request: &account::NewToken,
        owner: Option<String>,
        now: i64,
    ) -> Result<account::CreatedToken, AuthError> {
        let refuse = |text: String| AuthError::refused("invalid_token_request", text);
        if request.scopes.is_empty() {
            return Err(refuse("a token needs at least one scope, such as events:read".to_owned()));
        }
        for scope in &request.scopes {
            scope.parse::<Scope>().map_err(refuse)?;
        }
        let days = request.days.unwrap_or(DAYS);
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(refuse(format!("a token lives 1 to {DAYS_MAX} days, not {days}")));
        }
        let secret = random_secret();
        let id = hash_of(&random_secret()).get(..12).unwrap_or_default().to_owned();
        let token = Token {
            id: id.clone(),
            name: request.name.chars().take(100).collect(),
            owner,
            scopes: request.scopes.clone(),
            hash: hash_of(&secret),
            created: now,
            expires: now + i64::from(days) * DAY_MS,
            last_used: None,
        };
        let facts = token.public();
        self.0.change(|items| {
            items.retain(|_, token: &mut Token| token.expires > now);
            if items.len() >= TOKENS_MAX {
                return Err(refuse(format!("there are {TOKENS_MAX} tokens already; revoke some first")));
            }
            items.insert(id.clone(), token);
            Ok(())
        })?;
        Ok(account::CreatedToken { token: format!("{PREFIX}{id}_{secret}"), facts })
    }

    pub(super) fn find(&self, text: &str, now: i64) -> Option<Token> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let token = self.0.get(id)?;
        let right: bool = token.hash.as_bytes().ct_eq(hash_of(secret).as_bytes()).into();
        if !right || token.expires <= now {
            return None;
        }
        if token.last_used.is_none_or(|used| now - used > 60_000) {
            self.0.touch(id, |token| token.last_used = Some(now));
        }
        Some(token)
    }

    /// # Errors
    /// When there is no such token.
    pub fn revoke(&self, id: &str) -> Result<Token, AuthError> {
        // The whole token may be given too; people copy that.
        let id = id.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()).unwrap_or(id);
        self.0.change(|items| {
            items.remove(id).ok_or_else(|| AuthError::refused("token_not_found", format!("there is no token \"{id}\"")))
        })
    }

    pub(super) fn remove_all_of(&self, user: &str) -> Result<(), AuthError> {
        self.0.change(|items| {
            items.retain(|_, token| token.owner.as_deref() != Some(user));
            Ok(())
        })
    }
}
