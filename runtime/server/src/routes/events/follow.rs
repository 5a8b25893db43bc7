//! Following events: server-sent events and a WebSocket.
//!
//! Nothing is buffered for a slow client: it is read for when there is room, from history if it is far behind.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tidewire_api::log::EventsQuery;
use tidewire_log::{Delivery, EventLog as _, Subscription};
use tidewire_model::event::Event;
use tidewire_model::event::time::parse_point;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Start};

use super::query::{self, Window};
use crate::app::{App, Core};
use crate::auth::principal::Denied;
use crate::auth::{Permission, Principal};
use crate::error::ApiResult;
use crate::followers::Following;
use crate::web::extract::{Query, Running};
use crate::web::guard::Caller;

/// Events read at a time for a follower.
const BATCH: usize = 256;
/// How often a follower's session is looked at, and its lag told.
const LOOK: Duration = Duration::from_secs(3);
/// A client that takes nothing for so long is let go of.
const STALL: Duration = Duration::from_secs(300);
/// Largest frame that a client may send, in bytes.
const FRAME_MAX: usize = 4 * 1024;

/// The name under which a client's checkpoint is kept: apart from those of nodes, which no client may move.
fn client_checkpoint(name: &str) -> String {
    format!("client/{name}")
}

/// Where to begin: after the last event that the client had, or where it says.
fn start(query: &EventsQuery, last: Option<Position>, from_time: Option<i64>) -> ApiResult<Start> {
    if let Some(last) = last {
        return Ok(Start::Position(last.next()));
    }
    let durable = query.durable.as_deref().map(client_checkpoint);
    match query.start.as_deref().map(str::trim) {
        None | Some("") => Ok(match (durable, query.after, from_time) {
            (Some(name), _, _) => Start::Checkpoint(name.into()),
            (None, Some(after), _) => Start::Position(Position::new(after).next()),
            (None, None, Some(time)) => Start::Time(time),
            (None, None, None) => Start::Now,
        }),
        Some(text) => parse_start(text),
    }
}

/// Where to begin, as a text.
///
/// # Errors
/// It is none of the words, no position and no time.
pub fn parse_start(text: &str) -> ApiResult<Start> {
    match text.trim() {
        "now" => Ok(Start::Now),
        "beginning" => Ok(Start::Beginning),
        text => {
            if let Some(name) = text.strip_prefix("checkpoint:") {
                return Ok(Start::Checkpoint(name.into()));
            }
            let mend = "use now, beginning, checkpoint:NAME, a position, or a time such as 2026-03-14T15:09:26Z";
            parse_point(text).map(Start::from).ok_or_else(|| query::bad("start", text, mend))
        }
    }
}

/// What a reader had last. One that cannot be understood is not taken for none: events would be missed unnoticed.
fn last_event_id(headers: &HeaderMap) -> ApiResult<Option<Position>> {
    let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else { return Ok(None) };
    let text = id.to_str().unwrap_or_default();
    let wrong = |_| query::bad("Last-Event-ID", text, "use the id of the last event, which is its position");
    text.parse().map(Some).map_err(wrong)
}

struct Follow {
    subscription: Subscription,
    following: Following,
    /// The client knows that it has all of history.
    told_caught_up: bool,
}

impl Follow {
    async fn open(
        core: &Core,
        app: &App,
        kind: &'static str,
        principal: &Principal,
        (filter, start): (Filter, Start),
    ) -> ApiResult<Follow> {
        let subscription = core.log.subscribe(filter.clone(), start).await?;
        let position = subscription.next_position().previous();
        let following = core.followers.enter(kind, principal.actor(), filter, app.now_ms(), position);
        Ok(Follow { subscription, following, told_caught_up: false })
    }

    /// What to tell of a delivery beside its events: that all of history was sent, or how far a long way without events led.
    fn mark(&mut self, delivery: &Delivery) -> Option<&'static str> {
        if delivery.caught_up && !std::mem::replace(&mut self.told_caught_up, true) {
            return Some("caught-up");
        }
        delivery.events.is_empty().then_some("checkpoint")
    }

    /// The next delivery; `None` when there will be none any more.
    async fn next(&mut self, max: usize) -> Option<Delivery> {
        match self.subscription.next_batch(max).await {
            Ok(delivery) => {
                self.following.follower.reached(delivery.through);
                Some(delivery)
            }
            Err(error) => {
                tracing::debug!(error = %error, "follower of events ended");
                None
            }
        }
    }
}

pub(super) async fn sse(
    State(app): State<App>,
    core: Running,
    principal: Principal,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> ApiResult<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    let filter = Window::of(&query)?.filter;
    let start = start(&query, last_event_id(&headers)?, filter.from_time)?;
    let follow = Follow::open(&core, &app, "sse", &principal, (filter, start)).await?;
    let events = stream::unfold(follow, next_sse).flat_map(stream::iter).map(Ok);
    let events = events.take_until(app.shutdown.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

async fn next_sse(mut follow: Follow) -> Option<(Vec<SseEvent>, Follow)> {
    let delivery = follow.next(BATCH).await?;
    let event = |event: &Arc<Event>| {
        let data = serde_json::to_string(&**event).ok()?;
        // Data is one line: the JSON writer breaks none.
        Some(SseEvent::default().id(event.position.to_string()).data(data))
    };
    let mut events: Vec<SseEvent> = delivery.events.iter().filter_map(event).collect();
    if let Some(name) = follow.mark(&delivery) {
        // A named event, which moves `Last-Event-ID` on and bothers nobody who does not listen for it.
        let through = delivery.through.to_string();
        events.push(SseEvent::default().event(name).id(&through).data(through));
    }
    Some((events, follow))
}

pub(super) async fn socket(
    State(app): State<App>,
    core: Running,
    principal: Principal,
    caller: Caller,
    Query(query): Query<EventsQuery>,
    upgrade: WebSocketUpgrade,
) -> ApiResult<Response> {
    let filter = Window::of(&query)?.filter;
    let start = start(&query, None, filter.from_time)?;
    let durable = query.durable.as_deref().filter(|name| !name.is_empty());
    if durable.is_some() && !principal.may(Permission::EventsAppend) {
        return Err(Denied::Forbidden(Permission::EventsAppend).into());
    }
    let acks = Acks {
        window: query.window,
        durable: durable.map(client_checkpoint),
        waiting: VecDeque::new(),
        saved: Position::ZERO,
    };
    let follow = Follow::open(&core, &app, "socket", &principal, (filter, start)).await?;
    let upgrade = upgrade.max_message_size(FRAME_MAX);
    Ok(upgrade.on_upgrade(move |socket| Session { socket, app, core: core.0, caller, follow, acks }.run()))
}

/// What a client has acknowledged of what was sent.
struct Acks {
    /// How many events may be under way; `None` when the client does not acknowledge.
    window: Option<usize>,
    durable: Option<String>,
    waiting: VecDeque<Position>,
    saved: Position,
}

impl Acks {
    fn room(&self) -> usize {
        self.window.map_or(BATCH, |window| window.max(1).saturating_sub(self.waiting.len()).min(BATCH))
    }

    fn note(&mut self, event: &Event) {
        if self.window.is_some() {
            self.waiting.push_back(event.position);
        }
    }

    fn acknowledge(&mut self, position: Position) {
        while self.waiting.front().is_some_and(|first| *first <= position) {
            self.waiting.pop_front();
        }
    }
}

/// The position in `{"ack":POSITION}`: everything up to there is dealt with.
fn acknowledged(text: &str) -> Option<Position> {
    let frame: Value = serde_json::from_str(text).ok()?;
    match frame.get("ack")? {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64().map(Position::new),
    }
}

struct Session {
    socket: WebSocket,
    app: App,
    core: Arc<Core>,
    caller: Caller,
    follow: Follow,
    acks: Acks,
}

impl Session {
    async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK);
        let shutdown = self.app.shutdown.clone();
        loop {
            let room = self.acks.room();
            let goes_on = tokio::select! {
                () = shutdown.cancelled() => false,
                _ = looks.tick() => self.app.still_allowed(&self.caller) && self.tell_lag().await,
                delivery = self.follow.next(room), if room > 0 => match delivery {
                    Some(delivery) => self.deliver(delivery).await,
                    None => false,
                },
                incoming = self.socket.recv() => match incoming {
                    Some(Ok(Message::Text(text))) => self.asked(text.as_str()).await,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => true,
                },
            };
            if !goes_on {
                break;
            }
        }
        // Whoever does not read does not see it either.
        let _ = tokio::time::timeout(LOOK, self.socket.send(Message::Close(None))).await;
    }

    /// Sends a frame; false when the client is gone, takes nothing, or the server stops.
    async fn send(&mut self, frame: Value) -> bool {
        let sending = self.socket.send(Message::Text(frame.to_string().into()));
        tokio::select! {
            () = self.app.shutdown.cancelled() => false,
            sent = tokio::time::timeout(STALL, sending) => matches!(sent, Ok(Ok(()))),
        }
    }

    async fn deliver(&mut self, delivery: Delivery) -> bool {
        for event in &delivery.events {
            self.acks.note(event);
            if !self.send(json!({ "event": super::to_json(event) })).await {
                return false;
            }
        }
        self.follow.following.follower.set_waiting(self.acks.waiting.len());
        match self.follow.mark(&delivery) {
            Some(mark) => self.send(json!({ mark: delivery.through.to_string() })).await,
            None => true,
        }
    }

    async fn tell_lag(&mut self) -> bool {
        let position = self.follow.following.follower.position();
        let lag = self.core.log.head().get().saturating_sub(position.get());
        lag == 0 || self.send(json!({ "lag": lag, "position": position.to_string() })).await
    }

    async fn asked(&mut self, text: &str) -> bool {
        let Some(ack) = acknowledged(text) else {
            let detail = "send {\"ack\":\"POSITION\"}, or nothing";
            return self.send(json!({ "error": { "code": "invalid_frame", "detail": detail } })).await;
        };
        self.acks.acknowledge(ack);
        self.follow.following.follower.set_waiting(self.acks.waiting.len());
        let Some(name) = self.acks.durable.clone().filter(|_| ack > self.acks.saved) else { return true };
        match self.core.log.set_checkpoint(name.into(), ack).await {
            Ok(()) => {
                self.acks.saved = ack;
                true
            }
            Err(error) => {
                self.send(json!({ "error": { "code": "checkpoint", "detail": error.to_string() } })).await;
                false
            }
        }
    }
}
