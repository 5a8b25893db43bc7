//! One client of the live channel.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value as Json, json};
use tidewire_api::live::{Frame, Watch};
use tidewire_engine::Clock as _;
use tidewire_engine::{Observation, SystemClock};
use tidewire_log::EventLog as _;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::{Level, NodeFacts};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Picture;
use crate::app::{App, Core};
use crate::auth::{Permission, Principal};
use crate::web::guard::Caller;
use crate::wire;

/// Debug lines in one frame; older ones are left out.
const DEBUG_MAX: usize = 250;
/// Events in one frame; older ones are left out.
const EVENTS_MAX: usize = 100;

/// What a client may ask for, each with the permission it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Watch,
    Debug,
    Tail,
}

impl Command {
    #[cfg(test)]
    pub const ALL: [Command; 3] = [Command::Watch, Command::Debug, Command::Tail];

    pub const fn permission(self) -> Permission {
        match self {
            Command::Watch => Permission::FlowsRead,
            Command::Debug => Permission::MessagesRead,
            Command::Tail => Permission::EventsRead,
        }
    }
}

struct Session {
    core: Arc<Core>,
    principal: Principal,
    watch: Watch,
    /// The client has said what it wants.
    asked: bool,
    wanted: Option<HashSet<String>>,
    sent: Arc<Picture>,
    debug: VecDeque<Json>,
    left_out: u64,
    tail_from: Position,
}

/// Serves a client until it goes, its session ends or the server stops.
pub async fn run(mut socket: WebSocket, app: App, core: Arc<Core>, principal: Principal, caller: Caller) {
    let mut seat = core.live.join();
    let mut observations = core.engine.observe();
    let mut session = Session {
        tail_from: core.log.head().next(),
        core,
        principal,
        // Until the client has said what it wants, debug lines are collected: its wish may be on its way.
        watch: Watch { watch: Some(Vec::new()), debug: true, tail: false },
        asked: false,
        wanted: Some(HashSet::new()),
        sent: Arc::default(),
        debug: VecDeque::new(),
        left_out: 0,
    };
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => break,
            incoming = socket.recv() => match incoming {
                Some(Ok(Message::Text(text))) => session.wants(text.as_str()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            observed = observations.recv() => if !session.observe(observed) { break },
            changed = seat.pictures.changed() => {
                if changed.is_err() || !app.still_allowed(&caller) {
                    break;
                }
                let picture = seat.pictures.borrow_and_update().clone();
                let Some(frame) = session.frame(picture).await else { continue };
                let Ok(text) = serde_json::to_string(&frame) else { continue };
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
        }
    }
    let _ = socket.send(Message::Close(None)).await;
}

impl Session {
    fn may(&self, command: Command) -> bool {
        self.principal.may(command.permission())
    }

    /// Replaces what the client wants; what is not understood changes nothing.
    fn wants(&mut self, text: &str) {
        let Ok(watch) = serde_json::from_str::<Watch>(text) else { return };
        if self.asked && watch.tail && !self.watch.tail {
            self.tail_from = self.core.log.head().next();
        }
        self.asked = true;
        if !watch.debug {
            self.debug.clear();
        }
        self.wanted = watch.watch.clone().map(|ids| ids.into_iter().collect());
        // Newly watched nodes are sent whole: the difference to nothing.
        self.sent = Arc::new(Picture { rev: self.sent.rev.clone(), ..Picture::default() });
        self.watch = watch;
    }

    /// `false` at the end.
    fn observe(&mut self, observed: Result<Observation, broadcast::error::RecvError>) -> bool {
        let wanted = self.watch.debug && self.may(Command::Debug);
        match observed {
            Ok(Observation::Debug { facts, entry }) if wanted => {
                let (format, msg) = wire::debug_encode(&entry.value);
                let line = line(
                    &facts,
                    json!({
                        "topic": wire::preview(&entry.topic, 200), "property": entry.property, "msg": msg, "format": format,
                        "_msgid": wire::preview(&entry.msgid, 64),
                    }),
                );
                self.push(line);
            }
            Ok(Observation::Log { facts, level, text }) if wanted && level <= Level::Warn => {
                self.push(line(&facts, json!({"msg": text, "format": "string", "level": level as u8})));
            }
            Ok(Observation::Error { facts, error, handled: false }) if wanted => {
                self.push(line(&facts, json!({"msg": error.text, "format": "error", "level": Level::Error as u8})));
            }
            Ok(_) => {}
            Err(RecvError::Lagged(missed)) => self.left_out += missed,
            Err(RecvError::Closed) => return false,
        }
        true
    }

    fn push(&mut self, line: Json) {
        if self.debug.len() >= DEBUG_MAX {
            self.debug.pop_front();
            self.left_out += 1;
        }
        self.debug.push_back(line);
    }

    /// What to send now; `None` when nothing changed.
    async fn frame(&mut self, picture: Arc<Picture>) -> Option<Frame> {
        if !self.asked || !self.may(Command::Watch) {
            return None;
        }
        let wanted = |id: &str| self.wanted.as_ref().is_none_or(|ids| ids.contains(id));
        let mut frame = picture.since(&self.sent, wanted, self.principal.may(Permission::MessagesRead));
        self.sent = picture;
        frame.debug = self.debug.drain(..).collect();
        if self.left_out > 0 && !frame.debug.is_empty() {
            let text = format!("{} debug messages came too fast and were left out", self.left_out);
            frame.debug.push(json!({"msg": text, "format": "string", "level": 30, "time": frame.time, "id": ""}));
            self.left_out = 0;
        }
        if self.watch.tail && self.may(Command::Tail) {
            frame.events = self.tail().await;
        }
        let empty = frame.position.is_none()
            && frame.rev.is_none()
            && frame.events_per_second.is_none()
            && frame.nodes.is_empty()
            && frame.wires.is_empty()
            && frame.status.is_empty()
            && frame.problems.is_empty()
            && frame.debug.is_empty()
            && frame.events.is_empty();
        (!empty).then_some(frame)
    }

    async fn tail(&mut self) -> Vec<Json> {
        let head = self.core.log.head();
        if self.tail_from > head {
            return Vec::new();
        }
        let oldest = Position::new(head.get().saturating_sub(EVENTS_MAX as u64 - 1));
        let query = Query::forwards(Filter::default(), self.tail_from.max(oldest), EVENTS_MAX);
        let Ok(page) = self.core.log.read(query).await else { return Vec::new() };
        self.tail_from = page.events.last().map_or(head, |event| event.position).next();
        page.events.iter().filter_map(|event| serde_json::to_value(&**event).ok()).collect()
    }
}

fn line(facts: &NodeFacts, mut more: Json) -> Json {
    if let Some(map) = more.as_object_mut() {
        map.insert("id".into(), facts.id.as_str().into());
        map.insert("name".into(), facts.name.as_str().into());
        map.insert("z".into(), facts.flow.as_str().into());
        map.insert("time".into(), SystemClock.now_ms().into());
    }
    more
}
