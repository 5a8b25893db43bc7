//! What a user of read models relies on, over a log in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tidewire_log::MemoryLog;
use tidewire_model::Value;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Event, NewEvent, StreamName};
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::handles::{Keys, Reducer};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::*;

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) type Log = Arc<dyn EventLog>;

/// Adds up `n` by stream; refuses texts, panics at -1, forgets the stream at null.
struct Sum {
    factor: i64,
}

impl Reducer for Sum {
    fn key(&self, event: &Event) -> Option<String> {
        (event.event_type != "noise").then(|| event.stream.to_string())
    }

    fn apply(&self, state: Option<&Value>, event: &Event) -> Result<Value, String> {
        let data = event.data_json().map_err(|error| error.to_string())?;
        let n = data.get("n").ok_or("no n")?;
        if n.is_null() {
            return Ok(Value::Undefined);
        }
        let n = n.as_i64().ok_or_else(|| format!("{n} is not a number"))?;
        assert!(n != -1, "minus one");
        Ok(Value::Int(state.and_then(Value::as_i64).unwrap_or(0) + n * self.factor))
    }

    fn present(&self, state: &Value) -> Value {
        Value::string(format!("sum {}", state.to_text()))
    }

    fn keys_of(&self, stream: &StreamName) -> Option<Keys> {
        (self.factor == 1).then(|| Keys::One(stream.to_string()))
    }

    fn narrow(&self, key: &str) -> Option<Filter> {
        Some(Filter::stream(key))
    }
}

pub(super) fn spec(definition: &str, factor: i64) -> ProjectionSpec {
    let reducer = Arc::new(Sum { factor });
    ProjectionSpec { name: "sums".into(), filter: Filter::default(), definition: definition.into(), reducer }
}

pub(super) fn event(stream: &str, n: impl Into<serde_json::Value>) -> AppendRequest {
    let event = NewEvent::json("reading-reported", &json!({ "n": n.into() }));
    AppendRequest::one(StreamName::new(stream).unwrap(), event)
}

pub(super) async fn append(log: &Log, requests: Vec<AppendRequest>) -> Position {
    log.append(requests).await.unwrap().last().unwrap().last_position
}

pub(super) fn memory() -> Log {
    Arc::new(MemoryLog::new())
}

pub(super) fn nobody() -> Changed {
    Box::new(|_| {})
}

/// Collects what is told.
pub(super) fn listener() -> (Changed, Arc<Mutex<Vec<Entry>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let inner = Arc::clone(&told);
    (Box::new(move |entries| inner.lock().unwrap().extend_from_slice(entries)), told)
}

pub(super) async fn caught_up(service: &ProjectionService, log: &Log) {
    timeout(PATIENCE, service.wait_for("sums", log.head())).await.expect("in time").unwrap();
}

async fn value(service: &ProjectionService, key: &str) -> Option<String> {
    let entry = service.get("sums", key).await.unwrap()?;
    Some(entry.value.to_text().into_owned())
}

/// The entries as a plain loop over the whole log gives them.
pub(super) async fn recount(log: &Log, until: Position) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let mut from = Position::FIRST;
    loop {
        let page = log.read(Query::forwards(Filter::default(), from, 1_000)).await.unwrap();
        for event in page.events.iter().filter(|event| event.position <= until && event.event_type != "noise") {
            match event.data_json().unwrap()["n"] {
                serde_json::Value::Null => drop(sums.remove(event.stream.as_str())),
                ref n => {
                    if let Some(n) = n.as_i64().filter(|n| *n != -1) {
                        *sums.entry(event.stream.to_string()).or_default() += n;
                    }
                }
            }
        }
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    sums.into_iter().map(|(key, sum)| (key, format!("sum {sum}"))).collect()
}

pub(super) async fn listed(service: &ProjectionService) -> BTreeMap<String, String> {
    let entries = service.page("sums", "", None, usize::MAX).unwrap();
    entries.into_iter().map(|entry| (entry.key, entry.value.to_text().into_owned())).collect()
}

#[tokio::test]
async fn a_read_model_follows_the_log_and_tells_of_changes_after_history() {
    let log = memory();
    append(&log, vec![event("thing-a", 1), event("thing-b", 2)]).await;
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let (changed, told) = listener();
    let guard = service.keep(spec("1", 1), changed).unwrap();
    caught_up(&service, &log).await;
    assert!(told.lock().unwrap().is_empty(), "history is not told");
    append(&log, vec![event("thing-a", 4), event("thing-a", 0), event("thing-c", 7), event("thing-c", json!(null))])
        .await;
    caught_up(&service, &log).await;
    let told: Vec<(String, String)> =
        told.lock().unwrap().iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
    let expected = [("thing-a", r#""sum 5""#), ("thing-c", r#""sum 7""#), ("thing-c", "null")];
    assert_eq!(told, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let entry = service.get("sums", "thing-a").await.unwrap().unwrap();
    assert_eq!((entry.value.to_text().as_ref(), entry.position), ("sum 5", Position::new(4)));
    assert_eq!(value(&service, "thing-c").await, None, "undefined removes the key");
    let progress = guard.progress().unwrap();
    assert_eq!((progress.keys, progress.lag, progress.parked, progress.building), (2, 0, 0, None));
    assert!(service.keep(spec("1", 1), nobody()).is_err(), "one keeper at a time");
}

#[tokio::test]
async fn contents_stay_readable_without_a_node_and_after_a_restart() {
    let log = memory();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let guard = service.keep(spec("1", 1), nobody()).unwrap();
    append(&log, vec![event("thing-a", 1)]).await;
    caught_up(&service, &log).await;
    drop(guard);
    assert_eq!(value(&service, "thing-a").await.as_deref(), Some("sum 1"));
    service.close().await;
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    assert_eq!(value(&service, "thing-a").await.as_deref(), Some("sum 1"));
    assert_eq!(service.names().unwrap(), ["sums"]);
    let status = service.status("sums").unwrap().unwrap();
    assert_eq!((status.kept, status.keys, status.position), (false, 1, Position::FIRST));
    assert!(service.wait_for("sums", Position::FIRST).await.is_ok());
    assert!(service.rebuild("sums").is_err());
    assert_eq!(service.status("others").unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_disk_a_read_model_goes_on_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0_i64..3 {
        let log: Log = Arc::new(tidewire_log::JournalLog::open(folder.path()).unwrap());
        let service = ProjectionService::new(Arc::clone(&log), Handle::current());
        let (changed, told) = listener();
        let guard = service.keep(spec("1", 1), changed).unwrap();
        append(&log, vec![event("thing-a", round), event("thing-b", 1)]).await;
        caught_up(&service, &log).await;
        assert_eq!(listed(&service).await, recount(&log, log.head()).await);
        assert!(told.lock().unwrap().iter().all(|entry| entry.position.get() > round as u64 * 2), "told once");
        let entry = service.get_at("sums", "thing-b", At::Position(Position::new(2))).await.unwrap().unwrap();
        assert_eq!(entry.value.to_text(), "sum 1");
        drop(guard);
        service.close().await;
        log.close().await;
    }
}

/// Each round ends like a crash: the runtime goes away with the service in the middle of its work.
#[test]
fn each_event_takes_effect_once_however_often_the_process_dies() {
    let log = memory();
    let outer = Builder::new_current_thread().enable_all().build().unwrap();
    for round in 0_i64..30 {
        let runtime: Runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = ProjectionService::new(Arc::clone(&log), runtime.handle().clone());
        let guard = service.keep(spec("1", 1), nobody()).unwrap();
        outer.block_on(async {
            let target = log.head();
            for _ in 0..20 {
                append(&log, (0..100).map(|n| event(&format!("thing-{}", n % 7), n + round)).collect()).await;
            }
            // Sometimes let it get to work first, sometimes not.
            if round % 3 != 0 {
                timeout(PATIENCE, service.wait_for("sums", target.next())).await.unwrap().unwrap();
            }
        });
        // Tasks end wherever they are; only a write that the disk is busy with is carried out.
        drop(runtime);
        drop(guard);
    }
    outer.block_on(async {
        let service = ProjectionService::new(Arc::clone(&log), Handle::current());
        let _guard = service.keep(spec("1", 1), nobody()).unwrap();
        caught_up(&service, &log).await;
        assert_eq!(listed(&service).await, recount(&log, log.head()).await);
    });
}

/// A reducer that waits at a gate, so that a build can be looked at while it is under way.
struct Gated {
    inner: Sum,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Reducer for Gated {
    fn key(&self, event: &Event) -> Option<String> {
        self.inner.key(event)
    }

    fn apply(&self, state: Option<&Value>, event: &Event) -> Result<Value, String> {
        let (open, opened) = &*self.gate;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        self.inner.apply(state, event)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_definition_is_built_beside_the_old_one() {
    let log = memory();
    append(&log, (0..5_000).map(|n| event("thing-a", n % 3)).collect()).await;
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let guard = service.keep(spec("1", 1), nobody()).unwrap();
    caught_up(&service, &log).await;
    assert_eq!(value(&service, "thing-a").await.as_deref(), Some("sum 4999"));
    drop(guard);

    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let gated = Gated { inner: Sum { factor: 2 }, gate: Arc::clone(&gate) };
    let (changed, told) = listener();
    let _guard = service.keep(ProjectionSpec { reducer: Arc::new(gated), ..spec("2", 2) }, changed).unwrap();
    let building = async |expected: bool| {
        while service.status("sums").unwrap().unwrap().building.is_some() != expected {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, building(true)).await.unwrap();
    assert_eq!(value(&service, "thing-a").await.as_deref(), Some("sum 4999"), "the old one serves meanwhile");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    append(&log, vec![event("thing-a", 10)]).await;
    caught_up(&service, &log).await;
    assert_eq!(value(&service, "thing-a").await.as_deref(), Some("10018"), "the new one is swapped in");
    timeout(PATIENCE, building(false)).await.unwrap();
    assert_eq!(told.lock().unwrap().len(), 1, "only what came after the deploy is told");
    // The old build and its entries are gone from the store.
    let builds = log.projections().list().unwrap();
    assert_eq!(builds.iter().filter(|info| info.name.starts_with("sums@")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_gives_the_same_and_tells_every_change_once() {
    let log = memory();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let (changed, told) = listener();
    let _guard = service.keep(spec("1", 1), changed).unwrap();
    for round in 0_i64..20 {
        append(&log, vec![event("thing-a", 1), event("thing-b", round + 1)]).await;
        if round % 5 == 2 {
            service.rebuild("sums").unwrap();
        }
    }
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await, recount(&log, log.head()).await);
    let positions: Vec<u64> = told.lock().unwrap().iter().map(|entry| entry.position.get()).collect();
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_is_parked_and_the_rest_goes_on() {
    let log = memory();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let _guard = service.keep(spec("1", 1), nobody()).unwrap();
    append(&log, vec![event("thing-a", 1), event("thing-a", "many"), event("thing-a", -1), event("thing-a", 2)]).await;
    caught_up(&service, &log).await;
    assert_eq!(value(&service, "thing-a").await.as_deref(), Some("sum 3"));
    let parked = service.parked("sums", 10).unwrap();
    let reasons: Vec<(u64, &str)> =
        parked.iter().map(|parked| (parked.position.get(), parked.reason.as_str())).collect();
    assert_eq!(reasons, [(2, "\"many\" is not a number"), (3, "panicked: minus one")]);
    assert_eq!(service.status("sums").unwrap().unwrap().parked, 2);
}

#[tokio::test]
async fn waiting_for_a_position_counts_events_that_do_not_concern_the_read_model() {
    let log = memory();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let filter = Filter::stream("thing-a");
    let _guard = service.keep(ProjectionSpec { filter, ..spec("1", 1) }, nobody()).unwrap();
    append(&log, vec![event("thing-a", 1), event("thing-b", 1)]).await;
    caught_up(&service, &log).await;
    append(&log, vec![event("thing-b", 1)]).await;
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await.len(), 1);
}

#[derive(Debug, Clone)]
enum Action {
    Append(Vec<(u8, Option<i64>)>),
    Restart,
    Rebuild,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let number = prop_oneof![8 => (-1_i64..50).prop_map(Some), 1 => Just(None)];
    let batch = prop::collection::vec((0_u8..6, number), 1..40);
    let action =
        prop_oneof![6 => batch.prop_map(Action::Append), 2 => Just(Action::Restart), 1 => Just(Action::Rebuild)];
    prop::collection::vec(action, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, a read model equals a recount, now and at any moment before.
    #[test]
    fn a_read_model_equals_a_recount(actions in actions(), moment in 0.0_f64..1.0) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let log = memory();
            let mut service = ProjectionService::new(Arc::clone(&log), Handle::current());
            let mut guard = service.keep(spec("1", 1), nobody()).unwrap();
            for action in actions {
                match action {
                    Action::Append(numbers) => {
                        let requests = numbers.iter().map(|(stream, n)| event(&format!("thing-{stream}"), json!(n)));
                        append(&log, requests.collect()).await;
                    }
                    Action::Restart => {
                        drop(guard);
                        service.close().await;
                        service = ProjectionService::new(Arc::clone(&log), Handle::current());
                        guard = service.keep(spec("1", 1), nobody()).unwrap();
                    }
                    Action::Rebuild => service.rebuild("sums").unwrap(),
                }
            }
            caught_up(&service, &log).await;
            assert_eq!(listed(&service).await, recount(&log, log.head()).await);
            assert_eq!(guard.progress().unwrap().keys, listed(&service).await.len() as u64);
            let until = Position::new((log.head().get() as f64 * moment) as u64);
            let expected = recount(&log, until).await;
            for stream in 0..6 {
                let key = format!("thing-{stream}");
                let entry = service.get_at("sums", &key, At::Position(until)).await.unwrap();
                let found = entry.map(|entry| entry.value.to_text().into_owned());
                assert_eq!(found.as_ref(), expected.get(&key));
            }
        });
    }
}

#[tokio::test]
async fn a_time_in_the_past_shows_what_was_recorded_by_then() {
    let now = Arc::new(std::sync::atomic::AtomicI64::new(1_000));
    let clock = Arc::clone(&now);
    let log: Log = Arc::new(MemoryLog::with_clock(move || clock.load(std::sync::atomic::Ordering::SeqCst)));
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let _guard = service.keep(spec("1", 1), nobody()).unwrap();
    for (time, n) in [(1_000, 1), (2_000, 10), (3_000, 100)] {
        now.store(time, std::sync::atomic::Ordering::SeqCst);
        append(&log, vec![event("thing-a", n)]).await;
    }
    caught_up(&service, &log).await;
    for (time, expected) in [(999, None), (1_000, Some("sum 1")), (2_500, Some("sum 11")), (9_000, Some("sum 111"))] {
        let entry = service.get_at("sums", "thing-a", At::Time(time)).await.unwrap();
        assert_eq!(entry.map(|entry| entry.value.to_text().into_owned()).as_deref(), expected, "{time}");
    }
}
