//! Set-up, sign-in, users and tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees flows, read models and metrics.
    Viewer,
    /// Sees messages, presses buttons and sends commands too.
    Operator,
    /// Changes and deploys flows too.
    Editor,
    /// Everything, users and secrets included.
    Admin,
}

/// Whether access control is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthState {
    On,
    Off,
}

/// Who is asking.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub auth: AuthState,
    /// The first user has yet to be made, with the link that the server printed.
    pub setup: bool,
    pub user: Option<SessionUser>,
}

/// The user of a session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionUser {
    pub name: String,
    pub role: Role,
}

/// Makes the first user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// From the link that the server printed.
    pub token: String,
    pub username: String,
    /// 12 to 256 characters.
    pub password: String,
}

/// Signs in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// A user, without password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// Milliseconds since 1970.
    pub created: i64,
}

/// A user to be made.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub name: String,
    pub role: Role,
    /// 12 to 256 characters.
    pub password: String,
}

/// What of a user changes.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    pub role: Option<Role>,
    pub password: Option<String>,
}

/// An API token, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub owner: String,
    pub scopes: Vec<String>,
    /// Milliseconds since 1970.
    pub created: i64,
    pub expires: i64,
    pub last_used: Option<i64>,
}

/// An API token to be made.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    /// `flows:read flows:write flows:deploy events:read events:append commands:send metrics:read admin:*`
    pub scopes: Vec<String>,
    /// Days until it expires; 90 when absent, 3650 at most.
    pub days: Option<u32>,
}

/// A new token: the only time its secret is shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreatedToken {
    /// `tw_<id>_<secret>`; send it as `Authorization: Bearer`.
    pub token: String,
    #[serde(flatten)]
    pub facts: Token,
}

/// Node-RED's password grant.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TokenGrant {
    #[serde(default)]
    pub grant_type: String,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub password: String,
}

/// What Node-RED's password grant answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GrantedToken {
    pub access_token: String,
    /// Seconds.
    pub expires_in: i64,
    pub token_type: String,
}

/// A token to be given up.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeToken {
    pub token: String,
}
