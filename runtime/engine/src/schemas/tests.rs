//! Data is checked on its way in, and read in the latest form, whatever form it was stored in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::atomic::AtomicUsize;

use tidewire_log::MemoryLog;
use tidewire_model::event::{Event, Upcast};

use super::*;

const TYPE: &str = "reading-reported";

async fn open() -> (Arc<dyn EventLog>, Schemas) {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let schemas = Schemas::open(Arc::clone(&log)).await.unwrap();
    (log, schemas)
}

fn version(schema: Json, upcast: Option<&str>) -> Registration {
    Registration { schema: Some(schema), upcast: upcast.map(str::to_owned) }
}

fn v1() -> Registration {
    version(json!({"type": "object", "required": ["f"], "properties": {"f": {"type": "number"}}}), None)
}

/// Celsius in place of Fahrenheit.
fn v2() -> Registration {
    let schema = json!({"type": "object", "required": ["c"], "properties": {"c": {"type": "number", "minimum": -273}}});
    version(schema, Some("fn upcast(data, event) { #{ c: (data.f - 32.0) / 1.8, from: event.stream } }"))
}

async fn append(log: &Arc<dyn EventLog>, data: Json, schema: Option<&str>) -> Result<Arc<Event>, AppendError> {
    let event = NewEvent { data_schema: schema.map(Into::into), ..NewEvent::json(TYPE, &data) };
    let appended = log.append(vec![AppendRequest::one(StreamName::new("thing-a").unwrap(), event)]).await?;
    Ok(log.event_at(appended[0].first_position).await.unwrap().unwrap())
}

#[tokio::test]
async fn data_is_refused_or_counted_and_named_by_its_schema() {
    let (log, schemas) = open().await;
    schemas.register(TYPE, 1, v1(), "anna").await.unwrap();
    let stored = append(&log, json!({"f": "hot"}), None).await.unwrap();
    assert_eq!(stored.data_schema, None, "stored, and not said to follow it");
    assert_eq!(schemas.figures(TYPE).warned, 1);
    schemas.set_mode(TYPE, Mode::Refuse, "anna").await.unwrap();
    let error = append(&log, json!({"f": "hot"}), None).await.unwrap_err().to_string();
    assert!(error.contains("reading-reported/1: /f: ") && error.contains("number"), "{error}");
    assert_eq!(append(&log, json!({"f": 70}), None).await.unwrap().data_schema.as_deref(), Some("reading-reported/1"));
    schemas.register(TYPE, 2, v2(), "anna").await.unwrap();
    append(&log, json!({"f": 70}), None).await.unwrap_err();
    append(&log, json!({"f": 70}), Some("reading-reported/1")).await.expect("the version that it names counts");
    let text = NewEvent::new(TYPE, "text/plain", "70");
    let error = log.append(vec![AppendRequest::one(StreamName::new("thing-a").unwrap(), text)]).await.unwrap_err();
    assert!(error.to_string().contains("not JSON"), "{error}");
    schemas.set_mode(TYPE, Mode::Off, "anna").await.unwrap();
    append(&log, json!("anything"), None).await.unwrap();
    let figures = schemas.figures(TYPE);
    assert_eq!((figures.refused, figures.warned), (3, 1));
}

#[tokio::test]
async fn older_events_are_read_in_the_latest_form_and_stay_as_they_are() {
    let (log, schemas) = open().await;
    let old = append(&log, json!({"f": 212}), None).await.unwrap();
    schemas.register(TYPE, 1, v1(), "anna").await.unwrap();
    schemas.register(TYPE, 2, v2(), "anna").await.unwrap();
    let again = "fn upcast(data, event) { data.unit = \"C\"; data }";
    schemas.register(TYPE, 3, Registration { schema: None, upcast: Some(again.to_owned()) }, "anna").await.unwrap();
    let read = log.event_at(old.position).await.unwrap().unwrap();
    assert_eq!(read.data_json().unwrap(), json!({"c": 100, "from": "thing-a", "unit": "C"}));
    assert_eq!(read.data_schema.as_deref(), Some("reading-reported/3"));
    assert_eq!(*read.as_stored(), *old, "what is stored can be read as well");
    let newer = append(&log, json!({"c": 20.5}), Some("reading-reported/2")).await.unwrap();
    assert_eq!(newer.data_json().unwrap(), json!({"c": 20.5, "unit": "C"}), "only what is missing is done");
    let latest = append(&log, json!({"c": 1}), None).await.unwrap();
    assert_eq!((latest.data_json().unwrap(), &latest.upcast), (json!({"c": 1}), &None));
    let page = log.read(Query::forwards(Filter { text: Some("from".into()), ..Filter::default() }, Position::FIRST, 9));
    let found = page.await.unwrap().events;
    assert!(found.iter().any(|event| event.position == old.position), "filters see what readers see");
    schemas.remove(TYPE, None, "anna").await.unwrap();
    assert_eq!(log.event_at(old.position).await.unwrap().unwrap(), old);
}

#[tokio::test]
async fn a_failing_upcaster_loses_nothing() {
    let (log, schemas) = open().await;
    let old = append(&log, json!({"g": 1}), None).await.unwrap();
    schemas.register(TYPE, 2, v2(), "anna").await.unwrap();
    let read = log.event_at(old.position).await.unwrap().unwrap();
    assert_eq!((&read.data, &read.data_schema), (&old.data, &None));
    assert!(matches!(&read.upcast, Some(Upcast::Failed(reason)) if reason.contains("from version 1 to 2")), "{read:?}");
    let shown = serde_json::to_value(&*read).unwrap();
    assert_eq!(shown["data"], json!({"g": 1}));
    assert!(shown["upcastproblem"].as_str().unwrap().contains("version 1"));
    let figures = schemas.figures(TYPE);
    assert!(figures.upcast_failed > 0 && figures.last_failure.unwrap().contains(&old.id.to_string()));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_the_registry_is_its_own_history() {
    let (log, schemas) = open().await;
    for (number, registration, path) in [
        (0, v1(), "/version"),
        (1, version(json!({"type": 7}), None), "/schema"),
        (1, version(json!("text"), None), "/schema"),
        (1, v2(), "/upcast"),
        (2, version(json!({}), Some("fn up(data) { data }")), "/upcast"),
        (2, version(json!({}), Some("fn upcast(data, event) {")), "/upcast"),
    ] {
        let Err(SchemaError::Invalid(problems)) = schemas.register(TYPE, number, registration, "anna").await else {
            panic!("{number} {path}")
        };
        assert_eq!(problems[0].path, path, "{problems:?}");
    }
    assert!(matches!(schemas.set_mode(TYPE, Mode::Off, "anna").await, Err(SchemaError::Unknown(_))));
    assert!(matches!(schemas.remove(TYPE, Some(3), "anna").await, Err(SchemaError::Unknown(_))));
    let told = Arc::new(AtomicUsize::new(0));
    schemas.on_change({
        let told = Arc::clone(&told);
        move |event_type| {
            assert_eq!(event_type, TYPE);
            told.fetch_add(1, Ordering::Relaxed);
        }
    });
    schemas.register(TYPE, 1, v1(), "anna").await.unwrap();
    schemas.register(TYPE, 2, v2(), "anna").await.unwrap();
    schemas.register("other", 1, v1(), "anna").await.unwrap();
    schemas.set_mode(TYPE, Mode::Refuse, "anna").await.unwrap();
    schemas.remove("other", Some(1), "anna").await.unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1, "only another form is told");
    let form = schemas.form_of(&Filter::default());
    assert_eq!(schemas.form_of(&Filter::types(["reading-*"])), form);
    assert_eq!(schemas.form_of(&Filter::types(["moved"])), "");
    let again = Schemas::open(Arc::clone(&log)).await.unwrap();
    let of = again.of(TYPE).unwrap();
    assert_eq!((of.mode, of.versions.len(), again.of("other").is_none()), (Mode::Refuse, 2, true));
    assert_eq!(again.form_of(&Filter::default()), form);
    let history = log.read(Query::forwards(Filter::stream(STREAM), Position::FIRST, 99)).await.unwrap().events;
    assert_eq!(history.len(), 5);
    assert!(history.iter().all(|event| event.actor.as_deref() == Some("anna")));
}
