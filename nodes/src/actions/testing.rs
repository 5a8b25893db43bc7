//! What the tests of action nodes share: a log in memory and an HTTP handle with prepared answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tidewire_node_api::selection::{Selected, Selection, SelectionError};

use serde_json::Value as Json;
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::event::{Event, EventId, NewEvent, Place};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Page, Query, Start};
use tidewire_node_api::bench::Bench;
use tidewire_node_api::handles::{
    At, BoxFuture, Changed, Entry, HandleError, Http, HttpRequest, HttpResponse, Log, ProjectionGuard, ProjectionSpec,
    Projections, Subscription,
};
use tidewire_node_api::{Services, Signal};

use super::wire::{Heard, Listener, Post, Posted, Wire};

/// A log in memory whose appends can be made to fail.
#[derive(Default)]
pub(crate) struct TestLog {
    events: Mutex<Vec<Arc<Event>>>,
    checkpoints: Mutex<HashMap<String, Position>>,
    pub(crate) full: Mutex<bool>,
}

/// An HTTP handle that answers from a list and remembers what it was asked.
#[derive(Default)]
pub(crate) struct TestHttp {
    pub(crate) answers: Mutex<VecDeque<Result<HttpResponse, HandleError>>>,
    pub(crate) requests: Mutex<Vec<HttpRequest>>,
}

/// Both, as services of a bench.
pub(crate) fn services(log: &Arc<TestLog>, http: &Arc<TestHttp>) -> Services {
    Services { log: log.clone(), projections: Arc::new(NoProjections), http: http.clone(), broker: None }
}

impl TestLog {
    /// Type (without `tidewire.`) and data of all events.
    pub(crate) fn seen(&self) -> Vec<(String, Json)> {
        let name = |event: &Event| event.event_type.trim_start_matches("tidewire.").to_owned();
        self.events.lock().unwrap().iter().map(|event| (name(event), event.data_json().unwrap())).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.seen().into_iter().map(|(kind, _)| kind.rsplit('.').next().unwrap().to_owned()).collect()
    }

    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        self.events.lock().unwrap().clone()
    }

    /// Appends as another would.
    pub(crate) fn put(&self, request: AppendRequest) {
        self.store(request).unwrap();
    }

    fn store(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        if *self.full.lock().unwrap() {
            return Err(AppendError::DiskFull);
        }
        let mut events = self.events.lock().unwrap();
        let first = Position::new(events.len() as u64 + 1);
        let known =
            |events: &[Arc<Event>], new: &NewEvent| events.iter().find(|old| Some(&old.id) == new.id.as_ref()).cloned();
        if let Some(old) = request.events.first().and_then(|new| known(&events, new)) {
            return match old.says_the_same(&request.stream, &request.events[0]) {
                true => Ok(Appended {
                    first_position: old.position,
                    last_position: old.position,
                    version: old.version,
                    deduplicated: true,
                }),
                false => Err(AppendError::DuplicateId { id: old.id.clone(), position: old.position }),
            };
        }
        for new in request.events {
            let position = Position::new(events.len() as u64 + 1);
            let version = events.iter().filter(|event| event.stream == request.stream).count() as u64 + 1;
            let recorded_time = new.time.unwrap_or(0);
            let place = Place { stream: request.stream.clone(), position, version, recorded_time };
            events.push(Arc::new(new.record(|| EventId::Bits(u128::from(position.get())), place)));
        }
        let last = Position::new(events.len() as u64);
        Ok(Appended { first_position: first, last_position: last, version: 0, deduplicated: false })
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<T> {
    Box::pin(std::future::ready(value))
}

impl Log for TestLog {
    fn append(&self, requests: Vec<AppendRequest>) -> BoxFuture<Vec<Result<Appended, AppendError>>> {
        ready(requests.into_iter().map(|request| self.store(request)).collect())
    }

    fn read(&self, query: Query) -> BoxFuture<Result<Page, HandleError>> {
        assert_eq!(query.direction, Direction::Forwards);
        let events = self.events.lock().unwrap();
        let found = events.iter().filter(|event| event.position >= query.from && query.filter.matches(event));
        let page = Page { events: found.cloned().collect(), next: None, head: Position::new(events.len() as u64) };
        ready(Ok(page))
    }

    fn subscribe(&self, _filter: Filter, _start: Start) -> Box<dyn Subscription> {
        Box::new(Silence)
    }

    fn save_checkpoint(&self, name: &str, position: Position) -> BoxFuture<Result<(), HandleError>> {
        self.checkpoints.lock().unwrap().insert(name.to_owned(), position);
        ready(Ok(()))
    }

    fn checkpoint(&self, name: &str) -> BoxFuture<Result<Option<Position>, HandleError>> {
        ready(Ok(self.checkpoints.lock().unwrap().get(name).copied()))
    }

    fn head(&self) -> Position {
        Position::new(self.events.lock().unwrap().len() as u64)
    }
}

struct Silence;

impl Subscription for Silence {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Vec<Arc<Event>>, HandleError>> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

impl TestHttp {
    pub(crate) fn answer(&self, status: u16, body: &str) {
        let response =
            HttpResponse { status, headers: Vec::new(), body: bytes::Bytes::copy_from_slice(body.as_bytes()) };
        self.answers.lock().unwrap().push_back(Ok(response));
    }

    /// Bodies of the requests so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .collect()
    }
}

impl Http for TestHttp {
    fn send(&self, request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>> {
        self.requests.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        ready(answer.unwrap_or_else(|| Err(HandleError::retryable("nobody answers"))))
    }
}

struct NoProjections;

impl Projections for NoProjections {
    fn keep(&self, _spec: ProjectionSpec, _changed: Changed) -> Result<Box<dyn ProjectionGuard>, HandleError> {
        Err(HandleError::new("no read models here"))
    }

    fn get(&self, _name: &str, _key: &str) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        ready(Ok(None))
    }

    fn select(
        &self,
        _name: &str,
        _selection: Selection,
        _at: Option<At>,
    ) -> BoxFuture<Result<Selected, SelectionError>> {
        Box::pin(std::future::ready(Ok(Selected::default())))
    }

    fn get_at(&self, _name: &str, _key: &str, _at: At) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        ready(Ok(None))
    }
}

/// A broker that remembers what was published and says what the test wants.
#[derive(Default)]
pub(crate) struct TestWire {
    pub(crate) connected: AtomicBool,
    pub(crate) posts: Mutex<Vec<Post>>,
    listeners: Arc<Mutex<Vec<(String, Listener)>>>,
}

impl TestWire {
    pub(crate) fn up() -> Arc<TestWire> {
        let wire = TestWire::default();
        wire.connected.store(true, Ordering::Relaxed);
        Arc::new(wire)
    }

    /// What was published since the last look: topic and text.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        let posts = std::mem::take(&mut *self.posts.lock().unwrap());
        posts.into_iter().map(|post| (post.topic, String::from_utf8_lossy(&post.payload).into_owned())).collect()
    }

    /// Says what became of the oldest message that waits to hear of it.
    pub(crate) fn finish(&self, outcome: Posted) {
        let done = self.posts.lock().unwrap().iter_mut().find_map(|post| post.done.take());
        done.expect("a message waits")(outcome);
    }

    /// A message comes in.
    pub(crate) fn say(&self, topic: &str, payload: &str) {
        self.say_as(Heard { topic: topic.into(), payload: payload.to_owned().into(), retain: false, command: None });
    }

    pub(crate) fn say_as(&self, heard: Heard) {
        for (filter, listener) in self.listeners.lock().unwrap().iter() {
            if *filter == heard.topic {
                listener(heard.clone());
            }
        }
    }

    pub(crate) fn filters(&self) -> Vec<String> {
        self.listeners.lock().unwrap().iter().map(|(filter, _)| filter.clone()).collect()
    }
}

impl Wire for TestWire {
    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    fn post(&self, post: Post) {
        self.posts.lock().unwrap().push(post);
    }

    fn listen(&self, filter: &str, listener: Listener) -> Box<dyn Any + Send> {
        self.listeners.lock().unwrap().push((filter.to_owned(), listener));
        Box::new(Unlisten(self.listeners.clone(), filter.to_owned()))
    }
}

struct Unlisten(Arc<Mutex<Vec<(String, Listener)>>>, String);

impl Drop for Unlisten {
    fn drop(&mut self) {
        let mut listeners = self.0.lock().unwrap();
        if let Some(at) = listeners.iter().position(|(filter, _)| *filter == self.1) {
            let _ = listeners.remove(at);
        }
    }
}

/// Nudges a node so that it takes the signals that came from outside.
pub(crate) fn nudge(bench: Bench) -> Bench {
    bench.signal(Signal::Timer(u64::MAX))
}
