//! Personal data and its erasure.

use tidewire_log::{PersonalError, erase, erased_keys, finish_erasure, set_personal, unfinished_erasures};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Body, Extension, ExtensionValue, Extensions, NewEvent, Raw};
use tidewire_model::query::{Filter, Query};

use super::content::large;
use super::{Log, at, event, one, positions, stream};

fn secret(n: u64) -> NewEvent {
    let raw = Raw { topic: "door/anna".into(), retain: false, qos: 1, payload: bytes::Bytes::from_static(b"badge 7") };
    let data = serde_json::json!({ "whereabouts": format!("needle-{n}") });
    let ward = Extension { name: "ward".into(), value: ExtensionValue::Text("needle".into()) };
    let extensions = Extensions::new(vec![ward]).unwrap();
    NewEvent { raw: Some(raw), extensions, ..NewEvent::json("seen", &data) }
}

pub async fn erased_events_keep_their_envelope_and_nothing_else(log: Log) {
    let (anna, ben) = (stream("person-anna"), stream("person-ben"));
    log.append(vec![AppendRequest::one(anna.clone(), event("registered", 1))]).await.unwrap();
    set_personal(&*log, vec!["person-*".into()], "ops").await.unwrap();
    for name in [&anna, &ben] {
        log.append(vec![AppendRequest::one(name.clone(), secret(1).with_id(format!("{name}/1")))]).await.unwrap();
        log.append(vec![AppendRequest::one(name.clone(), large(2, 60_000))]).await.unwrap();
    }
    log.append(vec![one("thing-1", "read", 1)]).await.unwrap();
    let of = |name: &str| Query::forwards(Filter::stream(name), at(0), 100);
    let before = log.read(of("person-anna")).await.unwrap().events;
    assert_eq!((before[1].data.clone(), before[1].raw.clone()), (secret(1).data, secret(1).raw));
    assert_eq!(before[1].extensions, secret(1).extensions);
    assert_eq!((before[2].data.clone(), before[2].raw.clone()), (large(2, 60_000).data, large(2, 60_000).raw));
    assert!(before[1].key_id.is_some() && before[1].body == Body::Whole);
    let filter = Filter { text: Some("needle-1".into()), ..Filter::default() };
    let found = log.read(Query::forwards(filter.clone(), at(0), 9)).await.unwrap().events;
    assert_eq!(found.len(), 2, "what is encrypted is found as well");
    let again = log.append(vec![AppendRequest::one(anna.clone(), secret(1).with_id("person-anna/1"))]).await.unwrap();
    assert!(again[0].deduplicated, "a repeated event is recognised");

    let erasure = erase(&*log, &anna, "ops").await.unwrap();
    assert_eq!((erasure.in_clear, Some(&erasure.key_id)), (1, before[1].key_id.as_ref()));
    let after = log.read(of("person-anna")).await.unwrap().events;
    assert_eq!(after[0], before[0], "what was stored before the stream was personal is not encrypted");
    for (before, after) in before.iter().zip(&after).skip(1) {
        assert_eq!((after.body.clone(), after.data.len(), after.raw.clone()), (Body::Erased, 0, None));
        assert!(after.extensions.is_empty(), "a source says of its own what it likes there");
        assert_eq!((&after.id, &after.event_type, after.version), (&before.id, &before.event_type, before.version));
        assert_eq!(log.event_at(after.position).await.unwrap().unwrap(), *after);
    }
    let found = log.read(Query::forwards(filter, at(0), 9)).await.unwrap().events;
    assert_eq!(found.iter().map(|event| event.stream.as_str()).collect::<Vec<_>>(), ["person-ben"]);
    let told = log.read(Query::forwards(Filter::types(["tidewire.subject.erased"]), at(0), 9)).await.unwrap().events;
    assert_eq!((told.len(), told[0].stream.as_str(), told[0].actor.as_deref()), (1, "$log", Some("ops")));
    assert_eq!(positions(&told), [erasure.position.get()]);
    let again = erase(&*log, &anna, "ops").await.unwrap();
    assert_eq!((again.key_id, again.position), (erasure.key_id.clone(), at(0)), "once more changes nothing");

    assert_eq!(unfinished_erasures(&*log).await.unwrap(), [(erasure.key_id.clone(), anna.clone())]);
    finish_erasure(&*log, &erasure.key_id).await.unwrap();
    assert_eq!(unfinished_erasures(&*log).await.unwrap(), []);
    assert!(erased_keys(&*log).await.unwrap().contains(&erasure.key_id));
    let repeated =
        log.append(vec![AppendRequest::one(anna.clone(), secret(1).with_id("person-anna/1"))]).await.unwrap();
    assert!(repeated[0].deduplicated, "an erased event is not stored again under its id");
    log.append(vec![AppendRequest::one(anna, secret(9))]).await.unwrap();
    let last = log.read(Query::backwards(Filter::stream("person-anna"), 1)).await.unwrap().events;
    assert_eq!(last[0].data, secret(9).data, "what comes later has a key of its own");
}

pub async fn what_belongs_to_a_stream_is_erased_with_it(log: Log) {
    log.bodies().set_belonging(vec!["letters-".into()]);
    set_personal(&*log, vec!["person-*".into()], "ops").await.unwrap();
    let names = ["person-anna", "letters-person-anna", "letters-person-ben", "letters-thing-1", "letters"];
    for name in names {
        log.append(vec![AppendRequest::one(stream(name), secret(1))]).await.unwrap();
    }
    log.append(vec![AppendRequest::one(stream("letters-person-anna"), large(2, 60_000))]).await.unwrap();
    let read = async || log.read(Query::forwards(Filter::types(["seen", "read"]), at(0), 9)).await.unwrap().events;
    let before = read().await;
    assert!(before.iter().all(|event| event.body == Body::Whole));
    assert!(before[0].key_id.is_some() && before[0].key_id == before[1].key_id, "one key for both");
    assert!(before[2].key_id.is_some() && before[2].key_id != before[1].key_id);
    assert!(before[3].key_id.is_none() && before[4].key_id.is_none());
    // Also what comes when the stream itself is not encrypted any more.
    set_personal(&*log, Vec::new(), "ops").await.unwrap();
    log.append(vec![AppendRequest::one(stream("letters-person-anna"), secret(3))]).await.unwrap();
    erase(&*log, &stream("person-anna"), "ops").await.unwrap();
    let after = read().await;
    let erased = after.iter().filter(|event| event.is_erased()).map(|event| event.stream.as_str());
    assert!(erased.eq(after.iter().map(|event| event.stream.as_str()).filter(|name| name.ends_with("person-anna"))));
    assert_eq!(after[2], before[2]);
}

pub async fn only_what_is_encrypted_can_be_erased(log: Log) {
    log.append(vec![one("thing-1", "read", 1)]).await.unwrap();
    let error = erase(&*log, &stream("thing-1"), "ops").await.unwrap_err();
    assert!(matches!(error, PersonalError::NotPersonal(_)) && error.to_string().contains("mark it"), "{error}");
    for patterns in [vec![""], vec!["a\u{1}"]] {
        let patterns = patterns.into_iter().map(Into::into).collect();
        assert!(matches!(set_personal(&*log, patterns, "ops").await.unwrap_err(), PersonalError::Pattern(_)));
    }
    assert_eq!(log.head(), at(1));
}
