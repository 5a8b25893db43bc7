//! Permissions, what roles and scopes grant, and the one place that decides.

use std::fmt;
use std::str::FromStr;

use tidewire_api::account::Role;

/// What a route or a socket command needs. Each names exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Permission {
    /// Nothing: sign-in itself, health, the editor's files.
    Public,
    /// Any principal: its own session.
    SignedIn,
    FlowsRead,
    FlowsWrite,
    /// What travels on wires: debug, taps, last values.
    MessagesRead,
    /// Press buttons, send messages, switch debug nodes.
    Operate,
    /// Read models, things, notifications.
    ModelsRead,
    EventsRead,
    EventsAppend,
    CommandsSend,
    /// Which secrets are set; never their values.
    SecretsRead,
    SecretsWrite,
    MetricsRead,
    UsersManage,
    /// What the event log drops.
    LogManage,
    /// Routes that exist with `--test-api` only.
    TestControl,
}

impl Permission {
    pub const ALL: [Permission; 16] = [
        Permission::Public,
        Permission::SignedIn,
        Permission::FlowsRead,
        Permission::FlowsWrite,
        Permission::MessagesRead,
        Permission::Operate,
        Permission::ModelsRead,
        Permission::EventsRead,
        Permission::EventsAppend,
        Permission::CommandsSend,
        Permission::SecretsRead,
        Permission::SecretsWrite,
        Permission::MetricsRead,
        Permission::UsersManage,
        Permission::LogManage,
        Permission::TestControl,
    ];

    /// The permission in words, as in "may not *change flows*".
    pub const fn phrase(self) -> &'static str {
        match self {
            Permission::Public => "look at public pages",
            Permission::SignedIn => "use the API",
            Permission::FlowsRead => "see flows",
            Permission::FlowsWrite => "change flows",
            Permission::MessagesRead => "see messages",
            Permission::Operate => "press buttons and send messages",
            Permission::ModelsRead => "see read models and things",
            Permission::EventsRead => "read events",
            Permission::EventsAppend => "append events",
            Permission::CommandsSend => "send commands",
            Permission::SecretsRead => "see which secrets are set",
            Permission::SecretsWrite => "set secrets",
            Permission::MetricsRead => "read metrics",
            Permission::UsersManage => "manage users and tokens",
            Permission::LogManage => "manage the event log",
            Permission::TestControl => "use the test routes",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phrase())
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u32);

impl Rights {
    pub const fn of(list: &[Permission]) -> Rights {
        let mut bits = 0;
        let mut rest = list;
        while let [first, tail @ ..] = rest {
            bits |= 1 << (*first as u8);
            rest = tail;
        }
        Rights(bits)
    }

    pub const fn all() -> Rights {
        Rights::of(&Permission::ALL)
    }

    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << (permission as u8)) != 0
    }

    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    #[must_use]
    pub const fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

const VIEWER: Rights = Rights::of(&[
    Permission::Public,
    Permission::SignedIn,
    Permission::FlowsRead,
    Permission::ModelsRead,
    Permission::MetricsRead,
]);
const OPERATOR: Rights = VIEWER.or(Rights::of(&[
    Permission::MessagesRead,
    Permission::EventsRead,
    Permission::Operate,
    Permission::CommandsSend,
]));
const EDITOR: Rights =
    OPERATOR.or(Rights::of(&[Permission::FlowsWrite, Permission::EventsAppend, Permission::SecretsRead]));

/// What a role grants.
pub const fn rights_of(role: Role) -> Rights {
    match role {
        Role::Viewer => VIEWER,
        Role::Operator => OPERATOR,
        Role::Editor => EDITOR,
        Role::Admin => Rights::all(),
    }
}

/// What an API token may be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    FlowsRead,
    FlowsWrite,
    FlowsDeploy,
    EventsRead,
    EventsAppend,
    CommandsSend,
    MetricsRead,
    Admin,
}

const SCOPES: [(&str, Scope); 8] = [
    ("flows:read", Scope::FlowsRead),
    ("flows:write", Scope::FlowsWrite),
    ("flows:deploy", Scope::FlowsDeploy),
    ("events:read", Scope::EventsRead),
    ("events:append", Scope::EventsAppend),
    ("commands:send", Scope::CommandsSend),
    ("metrics:read", Scope::MetricsRead),
    ("admin:*", Scope::Admin),
];

impl Scope {
    /// What the scope grants.
    pub const fn rights(self) -> Rights {
        const BASE: Rights = Rights::of(&[Permission::Public, Permission::SignedIn]);
        BASE.or(match self {
            Scope::FlowsRead => Rights::of(&[Permission::FlowsRead]),
            Scope::FlowsWrite | Scope::FlowsDeploy => Rights::of(&[Permission::FlowsRead, Permission::FlowsWrite]),
            Scope::EventsRead => {
                Rights::of(&[Permission::EventsRead, Permission::MessagesRead, Permission::ModelsRead])
            }
            Scope::EventsAppend => Rights::of(&[Permission::EventsAppend]),
            Scope::CommandsSend => Rights::of(&[Permission::CommandsSend, Permission::Operate]),
            Scope::MetricsRead => Rights::of(&[Permission::MetricsRead]),
            Scope::Admin => Rights::all(),
        })
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        SCOPES.iter().find(|(name, _)| *name == text).map(|(_, scope)| *scope).ok_or_else(|| {
            let known: Vec<&str> = SCOPES.iter().map(|(name, _)| *name).collect();
            format!("scope '{text}' is not known; use one of {}", known.join(", "))
        })
    }
}
