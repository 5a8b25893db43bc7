//! Retention with everything around it: read models of deployed flows, on a log whose clock the test sets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidewire_engine::schemas::Schemas;
use tidewire_log::{JournalLog, JournalOptions, set_policies};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::query::{Filter, Query};
use tidewire_model::retention::RetentionPolicy;
use tidewire_model::value::to_json_value;

use super::*;
use crate::app::{Author, CoreParts, Deployment};
use crate::files::DataDir;
use crate::secrets::Secrets;

const DAY: i64 = 86_400_000;
/// Where the clock stands first.
const FIRST_DAY: i64 = 20_000;

struct Place {
    folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), now: Arc::new(AtomicI64::new(FIRST_DAY * DAY)) }
    }

    fn log(&self) -> std::path::PathBuf {
        DataDir::new(self.folder.path()).log().to_path_buf()
    }

    fn set_day(&self, day: i64) {
        self.now.store((FIRST_DAY + day) * DAY, Ordering::SeqCst);
    }

    async fn start(&self) -> Arc<Core> {
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || now.load(Ordering::SeqCst));
        let options = JournalOptions { segment_bytes: 64 * 1024, clock, ..JournalOptions::default() };
        let log: Arc<dyn tidewire_log::EventLog> = Arc::new(JournalLog::open_with(self.log(), options).unwrap());
        let schemas = Schemas::open(Arc::clone(&log)).await.unwrap();
        let parts = CoreParts {
            secrets: Arc::new(Secrets::open(self.folder.path()).unwrap()),
            broker: None,
            graph: tokio::runtime::Handle::current(),
            safe: false,
            // By the machine's clock all of it is old.
            history: crate::history::Keeping { seconds: 0, minutes: 0, hours: 0, days: 0 },
        };
        let core = Arc::new(Core::build(log, schemas, parts).unwrap());
        core.log.ready().await.unwrap();
        core.load(None, None).await.unwrap();
        core
    }
}

/// Projectors over all things: name, reducer, property.
fn flows(projectors: &[(&str, &str, &str)]) -> Json {
    let mut nodes = vec![json!({"id": "tab", "type": "tab", "label": "test"})];
    nodes.extend(projectors.iter().map(|(name, reducer, property)| {
        json!({"id": name, "type": "projector", "z": "tab", "name": "", "projection": name, "reducer": reducer,
            "category": "thing", "property": property, "count": 5, "x": 100, "y": 100, "wires": [[]]})
    }));
    json!(nodes)
}

const ALL: [(&str, &str, &str); 3] =
    [("sums", "sum", "data.n"), ("counts", "count", ""), ("lasts", "last-n", "data.n")];

async fn deploy(core: &Core, flows: Json) {
    core.deploy(Deployment::of(flows), Author { name: "test", sets_secrets: true }).await.unwrap();
}

async fn append(core: &Core, stream: &str, event_type: &str, data: impl Iterator<Item = Json>) {
    let stream = StreamName::new(stream).unwrap();
    let requests = data.map(|data| AppendRequest::one(stream.clone(), NewEvent::json(event_type, &data)));
    core.log.append(requests.collect()).await.unwrap();
}

async fn readings(core: &Core, count: u64) {
    for thing in ["thing-a", "thing-b"] {
        append(core, thing, "reading-reported", (0..count).map(|n| json!({"n": n, "fill": "x".repeat(40)}))).await;
    }
}

/// What readers see of every read model, once it has got to the end of the log.
async fn models(core: &Core, names: &[&str]) -> BTreeMap<String, Json> {
    let mut found = BTreeMap::new();
    for name in names {
        let waits = core.projections.wait_for(name, core.log.head());
        tokio::time::timeout(Duration::from_secs(30), waits).await.expect("in time").unwrap();
        for entry in core.projections.page(name, "", None, 1_000).unwrap() {
            found.insert(format!("{name}/{}", entry.key), to_json_value(&entry.value));
        }
    }
    found
}

const NAMES: [&str; 5] = ["sums", "counts", "lasts", "$things", "$history"];

fn policy(category: &str) -> RetentionPolicy {
    let (id, category) = (format!("old {category}"), Some(category.to_owned()));
    RetentionPolicy { id, category, max_age_seconds: Some(10 * 86_400), ..RetentionPolicy::default() }
}

async fn compact(core: &Core) -> tidewire_log::Compacted {
    core.log.compact(order(core, "user:test", false)).await.unwrap()
}

fn lose_store(log: &Path) {
    for part in ["sled", "projections"] {
        std::fs::remove_dir_all(log.join(part)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_of_flows_keep_what_dropped_events_made_of_them_without_the_store() {
    let place = Place::new();
    let core = place.start().await;
    deploy(&core, flows(&ALL)).await;
    readings(&core, 200).await;
    models(&core, &NAMES).await;
    set_policies(&*core.log, &[policy("thing")]).await.unwrap();
    place.set_day(20);
    readings(&core, 10).await;
    let dropped = compact(&core).await;
    assert_eq!(dropped.events(), 400, "{dropped:?}");
    let left = core.log.read(Query::forwards(Filter::category("thing"), Position::FIRST, 1_000)).await.unwrap();
    assert_eq!(left.events.len(), 20);
    let before = models(&core, &NAMES).await;
    assert_eq!((&before["sums/thing-a"], &before["counts/thing-b"]), (&json!(19_945), &json!(210)));
    core.stop(Duration::ZERO).await;

    lose_store(&place.log());
    let core = place.start().await;
    assert_eq!(models(&core, &NAMES).await, before);
    for name in NAMES {
        let details = core.projections.details(name).await.unwrap();
        assert!(details.gap.is_none() && details.begun_from > Position::ZERO, "{name}: {details:?}");
    }
    // Another definition says what it lacks.
    deploy(&core, flows(&[("sums", "max", "data.n"), ALL[1], ALL[2]])).await;
    models(&core, &NAMES).await;
    let gap = core.projections.details("sums").await.unwrap().gap.unwrap();
    assert!(gap.reason.contains("its definition is not the one"), "{gap:?}");
    let told = Filter::types([tidewire_engine::projections::INCOMPLETE]);
    let told = core.log.read(Query::forwards(told, Position::FIRST, 10)).await.unwrap().events;
    assert_eq!(told[0].data_json().unwrap()["projection"], "sums");
    // The former one is there again.
    deploy(&core, flows(&ALL)).await;
    let again = models(&core, &NAMES).await;
    assert_eq!(again, before);
    core.stop(Duration::ZERO).await;
}

fn command(id: &str, kind: &str, data: &Json) -> AppendRequest {
    let stream = StreamName::new(format!("command-{id}")).unwrap();
    AppendRequest::one(stream, NewEvent::json(format!("tidewire.command.{kind}").as_str(), data))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_without_an_outcome_are_kept_and_a_dry_run_says_what_a_real_one_does() {
    let place = Place::new();
    let core = place.start().await;
    let lives: [(&str, &[(&str, Json)]); 5] = [
        ("open", &[("requested", json!({"value": 1}))]),
        ("sent", &[("requested", json!({"value": 2})), ("sent", json!({}))]),
        ("underway", &[("requested", json!({"value": 3})), ("delivered", json!({}))]),
        ("done", &[("requested", json!({"value": 4})), ("delivered", json!({"final": true}))]),
        ("expired", &[("requested", json!({"value": 5})), ("expired", json!({}))]),
    ];
    for (id, life) in &lives {
        core.log.append(life.iter().map(|(kind, data)| command(id, kind, data)).collect()).await.unwrap();
    }
    readings(&core, 5).await;
    place.set_day(20);
    // What the index has only in memory stays in any case.
    readings(&core, 40).await;
    set_policies(&*core.log, &[policy("command"), policy("thing")]).await.unwrap();
    models(&core, &["$things", "$history"]).await;
    // Nothing is an archive yet.
    let expected = core.log.compact(order(&core, "user:test", true)).await.unwrap();
    assert_eq!((expected.events(), expected.policies.len()), (14, 2));
    let by: Vec<&str> = expected.held_by.iter().map(|hold| hold.by.as_str()).collect();
    assert_eq!(by, ["open command command-open", "open command command-sent", "open command command-underway"]);
    let done = compact(&core).await;
    assert_eq!((done.policies, done.held_by), (expected.policies, expected.held_by));
    let left = core.log.read(Query::forwards(Filter::category("command"), Position::FIRST, 100)).await.unwrap();
    let streams: Vec<&str> = left.events.iter().map(|event| event.stream.as_str()).collect();
    assert_eq!(streams, ["command-open", "command-sent", "command-sent", "command-underway", "command-underway"]);
    // Once it has an outcome, it goes by its age like all others.
    core.log.append(vec![command("open", "failed", &json!({}))]).await.unwrap();
    readings(&core, 40).await;
    models(&core, &["$things", "$history"]).await;
    assert_eq!(compact(&core).await.events(), 1);
    core.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_drops_goes_soon_after_its_segment_was_archived() {
    let place = Place::new();
    let core = place.start().await;
    let few = RetentionPolicy { id: "few".to_owned(), max_count: Some(5), ..RetentionPolicy::default() };
    set_policies(&*core.log, &[few]).await.unwrap();
    let long = Duration::from_secs(3_600);
    let pace = Pace { first: long, every: long, every_when_short: long, after_archive: Duration::from_millis(1) };
    let keeping = tokio::spawn(keep(Arc::downgrade(&core), pace, CancellationToken::new()));
    let append = async |day: i64| {
        place.set_day(day);
        for n in 0..200_u64 {
            let event = NewEvent::json("read", &json!({"n": n, "fill": "x".repeat(400)}));
            core.log.append(vec![AppendRequest::one(StreamName::new("thing-a").unwrap(), event)]).await.unwrap();
        }
    };
    append(1).await;
    // Fills the segment, and those of the day before may go once it is an archive.
    append(5).await;
    let compacted = Filter::types([tidewire_log::COMPACTED]);
    let mut told = core.log.subscribe(compacted, tidewire_model::query::Start::Beginning).await.unwrap();
    let first = async { while told.next_batch(1).await.unwrap().events.is_empty() {} };
    tokio::time::timeout(Duration::from_secs(60), first).await.expect("nothing was dropped");
    keeping.abort();
    core.stop(Duration::ZERO).await;
}
