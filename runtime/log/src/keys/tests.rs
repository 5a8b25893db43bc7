//! Keys are made once, kept privately, and gone when they are erased.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bytes::Bytes;
use tidewire_model::event::{Event, EventId, Extension, ExtensionValue, Extensions, JSON, NewEvent, Place, Raw};
use tidewire_model::position::Position;

use super::*;

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn raw() -> Raw {
    Raw { topic: "home/anna".into(), retain: true, qos: 1, payload: Bytes::from_static(b"raw") }
}

#[test]
fn what_was_sealed_opens_again_after_a_restart_and_only_where_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let keys = || Keys::new(Some(folder.path().join("keys")));
    let (anna, id) = (stream("person-anna"), EventId::from("e1"));
    let ward = Extension { name: "ward".into(), value: ExtensionValue::Text("home".into()) };
    let extensions = Extensions::new(vec![ward]).unwrap();
    let new = NewEvent { raw: Some(raw()), extensions, ..NewEvent::new("seen", JSON, &b"{\"at\":\"home\"}"[..]) };
    let key = keys().current(&anna, 7).unwrap();
    let sealed = seal(&key, &anna, &id, &new).unwrap();
    assert_eq!(seal(&key, &anna, &id, &new).unwrap(), sealed, "a repeated event gives the same bytes");
    assert!(!sealed.windows(4).any(|part| part == b"home"));
    let Found::Key(again) = keys().find(&anna, &key.id) else { panic!("the key is on disk") };
    let place = Place { stream: anna.clone(), position: Position::new(1), version: 1, recorded_time: 7 };
    let whole = new.with_id(id.clone()).record(|| unreachable!(), place);
    let stripped = Event { data: Bytes::new(), raw: None, extensions: Extensions::NONE, ..whole.clone() };
    assert_eq!(open(&again, &stripped, &sealed).unwrap(), whole);
    let other = Event { id: EventId::from("e2"), ..stripped.clone() };
    assert!(open(&again, &other, &sealed).is_err(), "bound to the event");
    let other = Event { stream: stream("person-ben"), ..stripped };
    assert!(open(&again, &other, &sealed).is_err(), "and to the stream");
    let file = key_file(&folder.path().join("keys"), &anna);
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(keys().current(&anna, 8).unwrap().id, key.id);
}

#[test]
fn an_erased_key_is_gone_and_a_new_one_takes_its_place() {
    for folder in [Some(tempfile::tempdir().unwrap()), None] {
        let path = folder.as_ref().map(|folder| folder.path().join("keys"));
        let keys = Keys::new(path.clone());
        let anna = stream("person-anna");
        let first = keys.current(&anna, 7).unwrap();
        keys.erase(&first.id, &anna).unwrap();
        assert!(matches!(keys.find(&anna, &first.id), Found::Erased));
        if let Some(path) = &path {
            assert!(!key_file(path, &anna).path().exists());
        }
        let second = keys.current(&anna, 8).unwrap();
        assert_ne!(second.id, first.id);
        keys.erase(&first.id, &anna).unwrap();
        assert!(matches!(keys.find(&anna, &second.id), Found::Key(_)), "erasing once more spares the new key");
    }
}

#[test]
fn lost_keys_are_told_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let anna = stream("person-anna");
    let key = Keys::new(Some(keys.clone())).current(&anna, 7).unwrap();
    std::fs::remove_file(keys.join("node.key")).unwrap();
    let after = Keys::new(Some(keys));
    let Found::Missing(reason) = after.find(&anna, &key.id) else { panic!("it is missing") };
    assert!(reason.contains("node.key") && reason.contains("restore"), "{reason}");
    assert!(after.current(&stream("person-ben"), 7).is_err());
}

#[test]
fn a_backup_brings_keys_back_but_neither_erased_nor_after_it_expired() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, file) = (folder.path().join("keys"), folder.path().join("backup/keys.json"));
    let write = |others: &[(&str, PathBuf)]| KeyBackup::write(&keys, others, &file, (1_000, 1)).unwrap();
    assert_eq!(write(&[("secrets/key", folder.path().join("key"))]), None, "there is nothing");
    let here = Keys::new(Some(keys.clone()));
    let (anna, ben) = (stream("person-anna"), stream("person-ben"));
    let (anna_key, ben_key) = (here.current(&anna, 7).unwrap(), here.current(&ben, 7).unwrap());
    std::fs::write(folder.path().join("key"), "abc").unwrap();
    std::fs::set_permissions(folder.path().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let known = write(&[("secrets/key", folder.path().join("key"))]).unwrap();
    assert_eq!((known.keys, known.expires), (2, 86_401_000));
    assert_eq!(known_key_backups(&keys).unwrap(), [known]);
    assert!(KeyBackup::write(&keys, &[], &file, (1_000, 367)).unwrap_err().contains("366"));
    let backup = KeyBackup::read(&file).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let erased = HashSet::from([anna_key.id.clone()]);
    let error = restore_keys(&backup, &elsewhere, &erased, 86_401_000).unwrap_err();
    assert!(error.contains("expired at 1970-01-02T00:00:01"), "{error}");
    assert!(!elsewhere.exists(), "nothing is written then");
    let restored = restore_keys(&backup, &elsewhere, &erased, 86_400_999).unwrap();
    assert_eq!(restored, KeysRestored { restored: 1, known: 0, erased: 1 });
    let there = Keys::new(Some(elsewhere));
    assert!(matches!(there.find(&anna, &anna_key.id), Found::Missing(_)));
    let Found::Key(found) = there.find(&ben, &ben_key.id) else { panic!("ben's key is there again") };
    assert_eq!(*found.secret, *ben_key.secret);
    let data = folder.path().join("data");
    assert_eq!(backup.restore_others(&data).unwrap(), ["secrets/key"]);
    assert_eq!(std::fs::read(data.join("secrets/key")).unwrap(), b"abc");
    assert!(backup.restore_others(&data).unwrap().is_empty(), "what is there stays");
}

#[test]
fn expired_backups_are_destroyed_where_they_lie_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    Keys::new(Some(keys.clone())).current(&stream("person-anna"), 7).unwrap();
    let write = |name: &str, now: i64| KeyBackup::write(&keys, &[], &folder.path().join(name), (now, 1)).unwrap();
    let (old, newer) = (write("old.json", 0).unwrap(), write("newer.json", 1_000).unwrap());
    write("other.json", 0).unwrap();
    std::fs::write(folder.path().join("other.json"), "something else by now").unwrap();
    assert!(destroy_expired_key_backups(&keys, 86_399_999).unwrap().is_empty());
    assert_eq!(destroy_expired_key_backups(&keys, 86_400_000).unwrap(), std::slice::from_ref(&old.file));
    assert!(!old.file.exists() && newer.file.exists() && folder.path().join("other.json").exists());
    assert_eq!(known_key_backups(&keys).unwrap(), [newer]);
}
