//! Personal data on disk: nothing in clear, nothing left after an erasure, wherever one looks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "shared/plain.rs"]
mod plain;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memchr::memmem;
use tidewire_log::{CompactOrder, EventLog, JournalLog, JournalOptions, erase, set_personal};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Body, NewEvent, StreamName, TEXT};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

const SECRET: &str = "annas-secret-whereabouts";
/// What is not encrypted, so that it is known to be found wherever it is.
const IN_CLEAR: &str = "temperatures-of-the-greenhouse";

async fn open(data: &Path) -> JournalLog {
    let options = JournalOptions {
        segment_bytes: 64 * 1024,
        keep_events: 0,
        keys: Some(data.join("keys")),
        personal: vec!["patient-*".into()],
        ..JournalOptions::default()
    };
    let log = JournalLog::open_with(data.join("log"), options).unwrap();
    log.ready().await.unwrap();
    log
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

async fn append(log: &JournalLog, name: &str, text: String) {
    let event = NewEvent::new("seen", TEXT, text);
    log.append(vec![AppendRequest::one(stream(name), event)]).await.unwrap();
}

/// Some of everything: small, large, in several segments, and a neighbour.
async fn fill(log: &JournalLog) {
    set_personal(log, vec!["person-*".into()], "ops").await.unwrap();
    for n in 0..40 {
        append(log, "person-anna", format!("{n} {SECRET} ").repeat(n * 20 + 1)).await;
        append(log, "person-ben", format!("ben {n}")).await;
        append(log, "patient-1", format!("patient {n}")).await;
        append(log, "thing-1", format!("{n} {IN_CLEAR} {n} {n} {n} {n} {n} {n} {n}")).await;
    }
    append(log, "thing-1", IN_CLEAR.repeat(500)).await;
    log.compact(CompactOrder { close_segment: true, ..CompactOrder::default() }).await.unwrap();
    append(log, "thing-1", IN_CLEAR.to_owned()).await;
}

/// Files under a folder that hold a text, as it is or compressed.
fn holders(folder: &Path, text: &[u8]) -> Vec<PathBuf> {
    let holds = |bytes: &Vec<u8>| memmem::find(bytes, text).is_some();
    let mut all = plain::files(folder);
    all.retain(|path| plain::texts(path).iter().any(holds));
    all
}

async fn bodies(log: &JournalLog, name: &str) -> Vec<Body> {
    let page = log.read(Query::forwards(Filter::stream(name), Position::FIRST, 1000)).await.unwrap();
    page.events.iter().map(|event| event.body.clone()).collect()
}

fn key_file(data: &Path, name: &str) -> PathBuf {
    let stream = format!("\"{name}\"");
    plain::files(&data.join("keys/data"))
        .into_iter()
        .find(|path| fs::read_to_string(path).unwrap().contains(&stream))
        .unwrap()
}

#[tokio::test]
async fn after_an_erasure_no_file_holds_the_data_or_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let log = open(data).await;
    fill(&log).await;
    let read_models = log.projections();
    let entry = |text: &str| vec![("entry".into(), Some(Bytes::copy_from_slice(text.as_bytes())))];
    read_models.commit("of-anna", "1", entry(SECRET), Position::new(9)).unwrap();
    read_models.commit("of-ben", "1", entry("ben is here"), Position::new(9)).unwrap();
    let wrapped: serde_json::Value = serde_json::from_slice(&fs::read(key_file(data, "person-anna")).unwrap()).unwrap();
    let wrapped = wrapped["key"].as_str().unwrap().to_owned();
    log.close().await;
    let found = holders(&data.join("log"), IN_CLEAR.as_bytes());
    for part in [".journal", ".archive", "content/", "sled/"] {
        assert!(found.iter().any(|path| path.to_str().unwrap().contains(part)), "control: none in {part}: {found:?}");
    }
    let clear = holders(data, SECRET.as_bytes());
    assert!(clear.iter().all(|path| path.starts_with(data.join("log/projections"))), "{clear:?}");

    let log = open(data).await;
    assert!(bodies(&log, "person-anna").await.iter().all(|body| *body == Body::Whole));
    erase(&log, &stream("person-anna"), "ops").await.unwrap();
    // As a damaged read model is put aside.
    fs::create_dir(data.join("log/projections/quarantine-1")).unwrap();
    fs::write(data.join("log/projections/quarantine-1/db"), SECRET).unwrap();
    // What the keeper of read models does.
    log.projections().drop_projection("of-anna").unwrap();
    log.projections().renew().unwrap();
    assert_eq!(holders(data, SECRET.as_bytes()), [] as [PathBuf; 0]);
    assert_eq!(holders(data, wrapped.as_bytes()), [] as [PathBuf; 0]);
    same_for_readers(&log).await;
    assert!(log.projections().get("of-ben", "entry").unwrap().unwrap().starts_with(b"ben"));
    log.close().await;
    fs::remove_dir_all(data.join("log/sled")).unwrap();
    let log = open(data).await;
    same_for_readers(&log).await;
    append(&log, "person-carl", SECRET.to_owned()).await;
    log.close().await;
    assert_eq!(holders(data, SECRET.as_bytes()), [] as [PathBuf; 0], "which streams are personal is remembered");
}

async fn same_for_readers(log: &JournalLog) {
    assert!(bodies(log, "person-anna").await.iter().all(|body| *body == Body::Erased));
    for other in ["person-ben", "patient-1"] {
        let found = bodies(log, other).await;
        assert!(found.len() == 40 && found.iter().all(|body| *body == Body::Whole), "{other}");
    }
}

#[tokio::test]
async fn a_key_that_turns_up_again_is_destroyed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let log = open(data).await;
    fill(&log).await;
    let path = key_file(data, "person-anna");
    let key = fs::read(&path).unwrap();
    erase(&log, &stream("person-anna"), "ops").await.unwrap();
    assert!(!path.exists());
    log.close().await;
    // As a crash between the commit and the key leaves it, or a copy that is put back.
    fs::write(&path, key).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let log = open(data).await;
    assert!(!path.exists());
    assert!(bodies(&log, "person-anna").await.iter().all(|body| *body == Body::Erased));
    log.close().await;
}

#[tokio::test]
async fn a_lost_key_is_told_and_is_not_an_erasure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let log = open(data).await;
    fill(&log).await;
    log.close().await;
    fs::remove_file(key_file(data, "person-anna")).unwrap();
    let log = open(data).await;
    for body in bodies(&log, "person-anna").await {
        let Body::Unreadable(reason) = body else { panic!("{body:?}") };
        assert!(reason.contains("backup of the keys"), "{reason}");
    }
    log.close().await;
}
