//! `tidewire user` and `tidewire token`.

use std::io::{IsTerminal as _, Write as _};

use clap::Subcommand;
use serde_json::{Value, json};
use tidewire_api::account::{NewToken, Role};
use tidewire_engine::{Clock as _, SystemClock};

use super::local::{self, Place, encode};
use super::{Failure, Outcome};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Adds a user; the password comes from standard input
    Add {
        name: String,
        /// viewer, operator, editor or admin
        #[arg(long, default_value = "admin")]
        role: String,
    },
    /// Lists users
    List,
    /// Removes a user
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Creates an API token and prints it, this once
    Create {
        /// What it is for
        #[arg(long, default_value = "command line")]
        name: String,
        /// flows:read flows:write flows:deploy events:read events:append commands:send metrics:read admin:*
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<String>,
        /// Days until it expires
        #[arg(long)]
        days: Option<u32>,
    },
    /// Lists API tokens
    List,
    /// Revokes an API token
    Revoke { id: String },
}

fn role(text: &str) -> Result<Role, Failure> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|_| Failure::usage(format!("role '{text}' is not known; use viewer, operator, editor or admin")))
}

pub(super) fn user(settings: &Settings, command: UserCommand) -> Outcome {
    let now = SystemClock.now_ms();
    match command {
        UserCommand::Add { name, role: text } => {
            let (role, password) = (role(&text)?, read_password()?);
            match local::place_or_new(settings)? {
                Place::Server(server) => {
                    let body = json!({"name": name, "role": role, "password": password});
                    server.send("POST", "/api/users", Some(&body), &[])?;
                }
                Place::Folder(data, _lock) => drop(local::auth(&data)?.users.add(&name, role, &password, now)?),
            }
            println!("user {name} added");
        }
        UserCommand::List => {
            let users = match local::place(settings)? {
                Place::Server(server) => server.get("/api/users")?,
                Place::Folder(data, _lock) => {
                    let users = local::auth(&data)?.users.list();
                    json!({"items": users.iter().map(crate::auth::users::User::public).collect::<Vec<_>>()})
                }
            };
            rows(&users, &["name", "role"]);
        }
        UserCommand::Remove { name } => {
            match local::place(settings)? {
                Place::Server(server) => {
                    server.send("DELETE", &format!("/api/users/{}", encode(&name)), None, &[])?;
                }
                Place::Folder(data, _lock) => {
                    let auth = local::auth(&data)?;
                    auth.users.remove(&name)?;
                    auth.revoke_user(&name)?;
                }
            }
            println!("user {name} removed");
        }
    }
    Ok(())
}

pub(super) fn token(settings: &Settings, command: TokenCommand) -> Outcome {
    match command {
        TokenCommand::Create { name, scopes, days } => {
            let request = NewToken { name, scopes, days };
            let token = match local::place_or_new(settings)? {
                Place::Server(server) => {
                    let answer = server.send("POST", "/api/tokens", Some(&serde_json::to_value(&request)?), &[])?;
                    answer.get("token").and_then(Value::as_str).unwrap_or("").to_owned()
                }
                Place::Folder(data, _lock) => {
                    local::auth(&data)?.tokens.create(&request, None, SystemClock.now_ms())?.token
                }
            };
            println!("{token}");
        }
        TokenCommand::List => {
            let tokens = match local::place(settings)? {
                Place::Server(server) => server.get("/api/tokens")?,
                Place::Folder(data, _lock) => {
                    let tokens = local::auth(&data)?.tokens.list();
                    json!({"items": tokens.iter().map(crate::auth::tokens::Token::public).collect::<Vec<_>>()})
                }
            };
            rows(&tokens, &["id", "name", "owner", "scopes"]);
        }
        TokenCommand::Revoke { id } => {
            match local::place(settings)? {
                Place::Server(server) => {
                    server.send("DELETE", &format!("/api/tokens/{}", encode(&id)), None, &[])?;
                }
                Place::Folder(data, _lock) => drop(local::auth(&data)?.tokens.revoke(&id)?),
            }
            println!("token revoked");
        }
    }
    Ok(())
}

fn rows(list: &Value, columns: &[&str]) {
    for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        let cell = |name: &&str| match item.get(*name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        println!("{}", columns.iter().map(cell).collect::<Vec<_>>().join("\t"));
    }
}

/// One line from standard input; not shown while it is typed.
fn read_password() -> Result<String, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let before = if stdin.is_terminal() { tcgetattr(&stdin).ok() } else { None };
    if let Some(before) = &before {
        eprint!("Password (12 characters or more): ");
        std::io::stderr().flush()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &silent)?;
    }
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    if let Some(before) = &before {
        tcsetattr(&stdin, OptionalActions::Now, before)?;
        eprintln!();
    }
    read?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::usage("no password came on standard input; type one, or pipe it in"));
    }
    Ok(password.to_owned())
}
