//! Projection storage.

use bytes::Bytes;
use tidewire_log::LogError;

use super::{Log, at};

fn value(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

pub async fn state_and_checkpoint_change_together(log: Log) {
    let store = log.projections();
    assert_eq!(store.load("latest").unwrap(), None);
    store.commit("latest", "v1", vec![("a".into(), value("1")), ("b".into(), value("2"))], at(5)).unwrap();
    store.commit("latest", "v1", vec![("a".into(), None), ("c".into(), value("3"))], at(9)).unwrap();
    let info = store.load("latest").unwrap().unwrap();
    assert_eq!((info.version.as_str(), info.checkpoint), ("v1", at(9)));
    assert_eq!(store.get("latest", "a").unwrap(), None);
    assert_eq!(store.get("latest", "b").unwrap(), value("2"));
    assert_eq!(store.get("other", "b").unwrap(), None);
    store.commit("latest", "v1", vec![], at(12)).unwrap();
    assert_eq!(store.load("latest").unwrap().unwrap().checkpoint, at(12));
}

pub async fn keys_are_listed_in_order_and_in_pages(log: Log) {
    let store = log.projections();
    let long = "thing-".repeat(60);
    let keys = ["thing-1", "thing-10", "thing-2", "rule-1", "", "ümlaut", long.as_str()];
    store.commit("p", "v", keys.map(|key| (key.into(), value(key))).into(), at(1)).unwrap();
    store.commit("pp", "v", vec![("thing-1".into(), value("other"))], at(1)).unwrap();
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let names = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let found = store.scan("p", prefix, after, limit).unwrap();
        assert!(found.iter().all(|(key, content)| value(key).as_ref() == Some(content)));
        found.into_iter().map(|(key, _)| key.into()).collect()
    };
    assert_eq!(names("", None, 100), sorted);
    assert_eq!(names("thing-1", None, 100), ["thing-1", "thing-10"]);
    assert_eq!(names("", Some("rule-1"), 2), ["thing-1", "thing-10"]);
    assert_eq!(names("", Some("thing-2"), 2), [long.clone(), "ümlaut".to_owned()]);
    assert_eq!(store.list().unwrap().len(), 2);
    store.drop_projection("p").unwrap();
    assert_eq!((store.load("p").unwrap(), names("", None, 10).len()), (None, 0));
    assert_eq!(store.get("pp", "thing-1").unwrap(), value("other"));
}

pub async fn large_values_come_back_whole(log: Log) {
    let store = log.projections();
    for len in [7 * 1024, 100_000, 10, 50_000] {
        let content = Bytes::from((0..len).map(|n: u32| n.to_le_bytes()[1]).collect::<Vec<_>>());
        store.commit("large", "v", vec![("k".into(), Some(content.clone())), ("l".into(), value("x"))], at(1)).unwrap();
        assert!(store.get("large", "k").unwrap() == Some(content));
        assert_eq!(store.scan("large", "", None, 10).unwrap().len(), 2);
    }
}

pub async fn another_version_has_to_be_dropped_first(log: Log) {
    let store = log.projections();
    store.commit("p", "v1", vec![("a".into(), value("1"))], at(1)).unwrap();
    let error = store.commit("p", "v2", vec![("a".into(), value("2"))], at(2)).unwrap_err();
    assert!(matches!(error, LogError::ProjectionVersion { .. }), "{error}");
    assert_eq!(store.get("p", "a").unwrap(), value("1"));
    store.drop_projection("p").unwrap();
    store.commit("p", "v2", vec![("a".into(), value("2"))], at(2)).unwrap();
    assert_eq!(store.get("p", "a").unwrap(), value("2"));
}
