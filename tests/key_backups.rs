//! Keys of personal streams are backed up apart from data, and such a backup expires: an erasure can be undone until
//! then, and never after.

use std::path::Path;

use serde_json::{Value as Json, json};
use tidewire_tests::server::text;
use tidewire_tests::{Server, until};

/// The last event of each of two streams.
async fn both(server: &Server) -> (Json, Json) {
    let last = async |stream: &str| {
        server.http().json(&format!("/api/events?stream={stream}&order=desc&limit=1")).await["items"][0].clone()
    };
    (last("person-anna").await, last("person-ben").await)
}

async fn restored(folder: &Path) -> (Json, Json) {
    let mut server = Server::with().data(folder).start().await;
    let found = both(&server).await;
    server.terminate();
    found
}

/// Lets a file with keys have been made long ago.
fn age(path: &Path) {
    let aged = |one: &mut Json| one["expires"] = json!(1_000);
    let mut stored: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    match stored.as_array_mut() {
        Some(list) => list.iter_mut().for_each(aged),
        None => aged(&mut stored),
    }
    std::fs::write(path, stored.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_can_be_undone_from_a_backup_of_keys_until_that_expires() {
    let mut server = Server::with().arg("--personal").arg("person-*").start().await;
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| server.run(arguments, 0);
    for name in ["anna", "ben"] {
        let event = json!({"type": "seen", "subject": format!("person-{name}"), "data": {"at": "home"}});
        let http = server.http().with("content-type", "application/cloudevents+json");
        http.post("/api/events", &event).await.expect(201);
    }
    let inside = server.command(&["log", "backup", &path("data"), "--keys", &path("data/keys.json")]);
    assert!(inside.status.code() == Some(2) && text(&inside).contains("apart"), "{}", text(&inside));
    let made = run(&["log", "backup", &path("data"), "--keys", &path("keys.json"), "--keys-days", "7"]);
    assert!(made.contains("2 keys of streams in") && made.contains("expires at 20"), "{made}");
    assert!(run(&["log", "verify", &path("data")]).contains("not in it: keys/: "));
    let known = server.http().json("/api/log/personal").await["keyBackups"][0].clone();
    let week = known["expires"].as_i64().unwrap() - known["created"].as_i64().unwrap();
    assert_eq!((week, &known["file"], &known["keys"]), (7 * 86_400_000, &json!(path("keys.json")), &json!(2)));

    let erase = json!({"confirm": "person-anna"});
    let erased = server.http().post("/api/log/subjects/person-anna/erase", &erase).await.expect(200).json();
    assert_eq!(erased["restorableUntil"], known["expires"], "whoever erases is told");
    run(&["log", "backup", &path("later")]);

    // Data and keys of before: the erasure never was. That is what backups are, until they expire.
    run(&["log", "restore", &path("data"), "--to", &path("before"), "--keys", &path("keys.json")]);
    let (anna, ben) = restored(Path::new(&path("before"))).await;
    assert_eq!((&anna["data"], &ben["data"]), (&json!({"at": "home"}), &json!({"at": "home"})));
    // Data that knows of it.
    let told = run(&["log", "restore", &path("later"), "--to", &path("after"), "--keys", &path("keys.json")]);
    assert!(told.contains("1 keys of streams restored") && told.contains("1 left out"), "{told}");
    let (anna, ben) = restored(Path::new(&path("after"))).await;
    assert_eq!((&anna["erased"], anna.get("data"), &ben["data"]), (&json!(true), None, &json!({"at": "home"})));
    // Without keys nobody can read either, and the keys can still be put back.
    run(&["log", "restore", &path("data"), "--to", &path("locked")]);
    let (anna, _) = restored(Path::new(&path("locked"))).await;
    assert!(anna["dataproblem"].as_str().is_some_and(|text| text.contains("restore it from a backup")), "{anna}");
    let back =
        tidewire_tests::server::command(&["log", "keys", "restore", &path("keys.json"), "--data-dir", &path("locked")]);
    assert!(back.status.success() && text(&back).contains("2 keys of streams restored"), "{}", text(&back));
    assert_eq!(restored(Path::new(&path("locked"))).await.0["data"], json!({"at": "home"}));

    // After it expired.
    std::fs::copy(path("keys.json"), path("copy.json")).unwrap();
    age(Path::new(&path("copy.json")));
    let refused = server.command(&["log", "restore", &path("data"), "--to", &path("no"), "--keys", &path("copy.json")]);
    let why = text(&refused);
    assert!(
        refused.status.code() == Some(2) && why.contains("expired at 1970-01-01") && why.contains("newer"),
        "{why}"
    );
    assert!(!Path::new(&path("no")).exists(), "nothing is restored then");
    assert_eq!(server.command(&["log", "keys", "show", &path("copy.json")]).status.code(), Some(1));
    // The server destroys it where it lies.
    server.terminate();
    age(Path::new(&path("keys.json")));
    age(&server.data().join("keys/backups.json"));
    server.start_again().await;
    until("the expired file is gone", async || (!Path::new(&path("keys.json")).exists()).then_some(())).await;
    let none = async || server.http().json("/api/log/personal").await["keyBackups"].as_array().unwrap().is_empty();
    until("it is not listed any more", async || none().await.then_some(())).await;
    let (anna, ben) = both(&server).await;
    assert_eq!((&anna["erased"], &ben["data"]), (&json!(true), &json!({"at": "home"})));
}

#[tokio::test]
async fn keys_are_saved_and_damage_is_told_also_where_no_server_runs() {
    let mut server = Server::with().arg("--personal").arg("person-*").start().await;
    let http = server.http().with("content-type", "application/cloudevents+json");
    for (stream, data) in [("person-anna", json!({"at": "home"})), ("thing-camera", json!("x".repeat(5_000)))] {
        let event = json!({"type": "seen", "subject": stream, "data": data});
        http.post("/api/events", &event).await.expect(201);
    }
    let content = server.data().join("log/content");
    let folders = std::fs::read_dir(&content).unwrap().map(|entry| entry.unwrap().path());
    let file = folders.filter(|path| path.is_dir()).flat_map(|path| std::fs::read_dir(path).unwrap()).next();
    let file = file.unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let damaged = format!("{} is damaged", file.display());
    let back_up = |server: &Server, folder: &str, keys: &str| {
        let told = server.run(&["log", "backup", &path(folder), "--keys", &path(keys)], 1);
        assert!(told.contains(&damaged) && told.contains("1 keys of streams in"), "{told}");
        assert!(Path::new(&path(keys)).exists());
    };
    back_up(&server, "beside", "beside.json");
    server.terminate();
    back_up(&server, "stopped", "stopped.json");
}

#[tokio::test]
async fn keys_are_backed_up_over_http_as_well() {
    let server = Server::with().arg("--personal").arg("person-*").start().await;
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let http = server.http();
    let begin = async |body: Json| http.post("/api/log/backups", &body).await;
    for (keys, days) in [("keys.json".to_owned(), 1), (path("data/keys.json"), 1), (path("keys.json"), 400)] {
        let refused = begin(json!({"folder": path("data"), "keys": keys, "keysDays": days})).await;
        assert_eq!(refused.problem(400), "invalid_keys", "{keys} {days}");
    }
    let begun = begin(json!({"folder": path("data"), "keys": path("keys.json")})).await.expect(202).json();
    let job = format!("/api/log/backups/{}", begun["id"].as_str().unwrap());
    let done = async || Some(http.json(&job).await).filter(|job| job["state"] != "running");
    let job = until("the backup is done", done).await;
    assert_eq!((&job["state"], &job["keys"]["file"]), (&json!("done"), &json!(path("keys.json"))), "{job}");
    assert!(Path::new(&path("keys.json")).exists());
}
