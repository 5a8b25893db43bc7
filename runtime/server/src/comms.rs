//! Node-RED's socket: statuses, debug messages and notices of deploys, as its tools and the Home Assistant integration
//! expect them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value as Json, json};
use tidewire_engine::{Clock as _, Observation, SystemClock};
use tidewire_node_api::{Level, NodeFacts, Status};
use tokio::sync::broadcast::error::RecvError;

use crate::app::{App, Core};
use crate::auth::principal::{Denied, authorize};
use crate::auth::{Permission, Principal};
use crate::web::guard::Caller;
use crate::wire;

/// Time in which messages are collected into one frame.
const COLLECT: Duration = Duration::from_millis(50);
/// Messages in one frame.
const FRAME_MAX: usize = 50;
/// Messages that wait for a slow client; older ones are left out.
const WAITING_MAX: usize = 1_000;
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a client may send, each with the permission it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Auth,
    Subscribe,
}

impl Command {
    #[cfg(test)]
    pub const ALL: [Command; 2] = [Command::Auth, Command::Subscribe];

    pub const fn permission(self) -> Permission {
        match self {
            Command::Auth => Permission::Public,
            Command::Subscribe => Permission::FlowsRead,
        }
    }
}

struct Session {
    app: App,
    core: Arc<Core>,
    principal: Option<Principal>,
    caller: Caller,
    waiting: VecDeque<Json>,
}

/// Serves a client until it goes, its session ends or the server stops.
pub async fn run(mut socket: WebSocket, app: App, core: Arc<Core>, caller: Caller) {
    let mut observations = core.engine.observe();
    let mut session =
        Session { app: app.clone(), core, principal: caller.principal.clone(), caller, waiting: VecDeque::new() };
    let mut flush = tokio::time::interval(COLLECT);
    let mut beat = tokio::time::interval(HEARTBEAT);
    loop {
        let out = tokio::select! {
            () = app.shutdown.cancelled() => break,
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Text(text))) => match session.take(text.as_str()) {
                    Answer::Nothing => None,
                    Answer::Send(json) => Some(json),
                    Answer::Refuse => {
                        let _ = socket.send(Message::Text(json!({"auth": "fail"}).to_string().into())).await;
                        break;
                    }
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => None,
            },
            observed = observations.recv() => match observed {
                Err(RecvError::Closed) => break,
                observed => { session.observe(observed.ok()); None }
            },
            _ = flush.tick(), if !session.waiting.is_empty() => session.frame(),
            _ = beat.tick(), if session.principal.is_some() => {
                if !app.still_allowed(&session.caller) {
                    break;
                }
                Some(json!([{"topic": "hb", "data": SystemClock.now_ms()}]))
            }
        };
        if let Some(json) = out
            && socket.send(Message::Text(json.to_string().into())).await.is_err()
        {
            return;
        }
    }
    let _ = socket.send(Message::Close(None)).await;
}

enum Answer {
    Nothing,
    Send(Json),
    Refuse,
}

impl Session {
    fn may(&self, permission: Permission) -> bool {
        self.principal.as_ref().is_some_and(|principal| principal.may(permission))
    }

    fn take(&mut self, text: &str) -> Answer {
        let Ok(message) = serde_json::from_str::<Json>(text) else { return Answer::Nothing };
        let text = |key: &str| message.get(key).and_then(Json::as_str);
        let (command, value) = match (text("auth"), text("subscribe")) {
            (Some(secret), _) => (Command::Auth, secret),
            (None, Some(topic)) => (Command::Subscribe, topic),
            // Messages of plug-ins: nobody here listens.
            (None, None) if self.principal.is_some() => return Answer::Nothing,
            (None, None) => return Answer::Refuse,
        };
        match (authorize(self.principal.as_ref(), command.permission()), command) {
            (Err(Denied::Unauthenticated), _) => Answer::Refuse,
            (Err(Denied::Forbidden(_)), _) => Answer::Nothing,
            (Ok(()), Command::Auth) => self.sign_in(value),
            (Ok(()), Command::Subscribe) => {
                self.retained(value);
                Answer::Nothing
            }
        }
    }

    fn sign_in(&mut self, secret: &str) -> Answer {
        if self.app.auth.enabled {
            let found = self.app.auth.by_secret(secret, self.app.now_ms());
            let Some(principal) = found.filter(|found| found.may(Command::Subscribe.permission())) else {
                return Answer::Refuse;
            };
            self.caller.secret = Some(secret.to_owned());
            self.principal = Some(principal);
        }
        Answer::Send(json!({"auth": "ok"}))
    }

    /// What is remembered under a topic is sent to who subscribes to it.
    fn retained(&mut self, topic: &str) {
        let matches = |name: &str| topic.strip_suffix('#').map_or(topic == name, |start| name.starts_with(start));
        for (id, status) in self.core.engine.statuses() {
            let name = format!("status/{id}");
            if matches(&name) {
                self.waiting.push_back(status_message(&name, &status));
            }
        }
        let rev = self.core.engine.flows().rev;
        if matches("notification/runtime-deploy") && !rev.is_empty() {
            self.waiting.push_back(deployed(&rev));
        }
        if matches("notification/runtime-state") {
            let state = if self.core.engine.running() { "start" } else { "stop" };
            let data = json!({"state": state, "deploy": false});
            self.waiting.push_back(json!({"topic": "notification/runtime-state", "data": data}));
        }
    }

    fn observe(&mut self, observed: Option<Observation>) {
        if !self.may(Permission::FlowsRead) {
            return;
        }
        let contents = self.may(Permission::MessagesRead);
        let message = match observed {
            Some(Observation::Status { facts, status }) => status_message(&format!("status/{}", facts.id), &status),
            Some(Observation::Debug { facts, entry }) if contents => {
                let (format, msg) = wire::debug_encode(&entry.value);
                let mut data = source(&facts);
                data.extend([
                    ("topic".to_owned(), wire::preview(&entry.topic, 1_000)),
                    ("property".to_owned(), entry.property.into()),
                    ("format".to_owned(), format.into()),
                    ("msg".to_owned(), msg),
                    ("_msgid".to_owned(), wire::preview(&entry.msgid, 64)),
                ]);
                json!({"topic": "debug", "data": data})
            }
            Some(Observation::Log { facts, level, text }) if contents && level <= Level::Warn => {
                problem(&facts, level, &text)
            }
            Some(Observation::Error { facts, error, handled: false }) if contents => {
                problem(&facts, Level::Error, &error.text)
            }
            Some(Observation::Deployed { rev, .. }) => deployed(&rev),
            _ => return,
        };
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(message);
    }

    fn frame(&mut self) -> Option<Json> {
        let count = self.waiting.len().min(FRAME_MAX);
        (count > 0).then(|| Json::Array(self.waiting.drain(..count).collect()))
    }
}

fn source(facts: &NodeFacts) -> serde_json::Map<String, Json> {
    let pairs =
        [("id", facts.id.as_str()), ("z", facts.flow.as_str()), ("path", facts.flow.as_str()), ("name", &facts.name)];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn problem(facts: &NodeFacts, level: Level, text: &str) -> Json {
    let mut data = source(facts);
    data.extend([
        ("level".to_owned(), (level as u8).into()),
        ("type".to_owned(), facts.type_name.as_str().into()),
        ("format".to_owned(), "string".into()),
        ("msg".to_owned(), text.into()),
        ("timestamp".to_owned(), SystemClock.now_ms().into()),
    ]);
    json!({"topic": "debug", "data": data})
}

fn status_message(topic: &str, status: &Status) -> Json {
    let empty = *status == Status::default();
    let data = if empty { json!({}) } else { serde_json::to_value(status).unwrap_or(Json::Null) };
    json!({"topic": topic, "data": data})
}

fn deployed(rev: &str) -> Json {
    json!({"topic": "notification/runtime-deploy", "data": {"revision": rev}})
}
