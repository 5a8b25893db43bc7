//! The log is backed up while the server runs, and a restored one starts with everything that was acknowledged.

use serde_json::json;
use tidewire_tests::server::text;
use tidewire_tests::{Http, Server, until};

async fn append(http: &Http, from: u64, count: u64) {
    for n in from..from + count {
        let data = json!({"n": n});
        let event =
            json!({"specversion": "1.0", "source": "/t", "type": "counted", "subject": "thing-backup", "data": data});
        http.post("/api/events", &event).await.expect(201);
    }
}

async fn numbers(http: &Http) -> Vec<u64> {
    let events = http.items("/api/events?stream=thing-backup&limit=1000").await;
    events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_server_is_restored_and_goes_on() {
    let mut server = Server::with().start().await;
    let place = tempfile::tempdir().unwrap();
    let (backup, restored) = (place.path().join("backup"), place.path().join("restored"));
    let (backup_name, restored_name) = (backup.to_str().unwrap(), restored.to_str().unwrap());
    append(&server.http(), 0, 30).await;
    let first = server.command(&["log", "backup", backup_name]);
    assert!(first.status.success(), "{}", text(&first));
    append(&server.http(), 30, 20).await;
    let jobs = server.http().items("/api/log/backups").await;
    assert_eq!((jobs.len(), jobs[0]["state"].as_str()), (1, Some("done")));

    let again = server.command(&["log", "backup", backup_name]);
    assert!(again.status.success() && text(&again).contains(" of them new"), "{}", text(&again));
    let checked = server.command(&["log", "verify", backup_name]);
    assert!(checked.status.success() && text(&checked).contains("backup of"), "{}", text(&checked));

    let refused = server.command(&["log", "restore", backup_name, "--to", backup_name]);
    assert!(!refused.status.success() && text(&refused).contains("not empty"), "{}", text(&refused));
    let done = server.command(&["log", "restore", backup_name, "--to", restored_name]);
    assert!(done.status.success(), "{}", text(&done));
    let before = numbers(&server.http()).await;
    server.terminate();

    let second = Server::with().data(&restored).start().await;
    assert_eq!(numbers(&second.http()).await, before);
    append(&second.http(), 50, 1).await;
    assert_eq!(numbers(&second.http()).await.len(), 51);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_backed_up_and_restored_as_of_a_position() {
    let mut server = Server::with().start().await;
    append(&server.http(), 0, 10).await;
    let events = server.http().items("/api/events?stream=thing-backup&limit=100").await;
    let fifth = events[4]["position"].as_str().unwrap().to_owned();
    server.terminate();
    let place = tempfile::tempdir().unwrap();
    let (backup, restored) = (place.path().join("backup"), place.path().join("restored"));
    let (backup_name, restored_name) = (backup.to_str().unwrap(), restored.to_str().unwrap());
    let made = server.command(&["log", "backup", backup_name]);
    assert!(made.status.success(), "{}", text(&made));
    let done = server.command(&["log", "restore", backup_name, "--to", restored_name, "--at", &fifth]);
    assert!(done.status.success(), "{}", text(&done));
    let second = Server::with().data(&restored).start().await;
    assert_eq!(numbers(&second.http()).await, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_installation_is_restored_into_an_empty_folder() {
    let mut server = Server::with().auth().arg("--node-setting=greeting=hello").arg("--log-max=512").start().await;
    let token = server.open_line().unwrap().split("token=").nth(1).unwrap().to_owned();
    let form = json!({"token": token, "username": "admin", "password": "correct horse battery"});
    let cookies = server.http().post("/api/setup", &form).await.expect(200).cookies();
    let admin = server.http().cookie(&cookies);
    let flows = json!([
        {"id": "flow", "type": "tab", "label": "Home"},
        {"id": "notify", "type": "notifier", "z": "flow", "channel": "webhook", "wires": [[], []]},
    ]);
    let deploy = json!({"flows": flows, "credentials": {"notify": {"token": "a-secret"}}});
    admin.clone().with("node-red-api-version", "v2").post("/flows", &deploy).await.expect(200);
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let made = server.command(&["log", "backup", &path("backup"), "--keys", &path("keys.json")]);
    assert!(made.status.success() && text(&made).contains("not in it: keys/, secrets/key"), "{}", text(&made));
    let checked = text(&server.command(&["log", "verify", &path("backup")]));
    assert!(checked.contains("files/: ") && checked.contains("auth/sessions.json: people sign in again"), "{checked}");
    server.terminate();

    for (name, with_keys) in [("whole", true), ("without-keys", false)] {
        let folder = place.path().join(name);
        let (to, keys) = (path(name), path("keys.json"));
        let mut arguments = vec!["log", "restore"];
        let backup = path("backup");
        arguments.extend([backup.as_str(), "--to", &to]);
        if with_keys {
            arguments.extend(["--keys", &keys]);
        }
        let done = tidewire_tests::server::command(&arguments);
        let told = text(&done);
        assert!(done.status.success() && told.contains(&format!("--config {to}/settings.toml")), "{told}");
        assert_eq!(told.contains("their key is not"), !with_keys, "{told}");
        let config = folder.join("settings.toml").to_str().unwrap().to_owned();
        let second = Server::with().auth().data(&folder).arg(format!("--config={config}")).start().await;
        let login = json!({"username": "admin", "password": "correct horse battery"});
        let cookies = second.http().post("/api/login", &login).await.expect(200).cookies();
        let admin = second.http().cookie(&cookies);
        let found = admin.json("/flows").await;
        assert!(found.as_array().unwrap().iter().any(|node| node["id"] == "notify"), "{found}");
        let secrets = admin.json("/credentials/notifier/notify").await;
        assert_eq!(secrets["has_token"] == true, with_keys, "{secrets}");
        let settings = std::fs::read_to_string(&config).unwrap();
        assert!(settings.contains("greeting=") && settings.contains("log-max = \"512\""), "{settings}");
        let other = server.data().display().to_string();
        assert!(!settings.contains(&other), "nothing leads back: {settings}");
    }
}

#[tokio::test]
async fn a_backup_is_restored_as_of_a_time_in_milliseconds() {
    let server = Server::with().start().await;
    append(&server.http(), 0, 2).await;
    let last = server.http().json("/api/events?order=desc&limit=1").await["items"][0].clone();
    let time = last["recordedtime"].as_str().unwrap().to_owned();
    let ms = server.http().json("/api/streams/thing-backup").await["time"].to_string();
    let later = until("the clock has moved on", async || {
        append(&server.http(), 2, 1).await;
        let now = server.http().json("/api/events?order=desc&limit=1").await["items"][0].clone();
        (now["recordedtime"].as_str().unwrap() > time.as_str()).then_some(now)
    });
    let later = later.await["position"].as_str().unwrap().to_owned();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    assert!(server.command(&["log", "backup", &path("backup")]).status.success());
    let mut ends = Vec::new();
    for (name, at) in [("by-text", time.as_str()), ("by-number", ms.as_str())] {
        let done = server.command(&["log", "restore", &path("backup"), "--to", &path(name), "--at", at]);
        assert!(done.status.success(), "{at}: {}", text(&done));
        ends.push(text(&done).lines().next().unwrap().to_owned());
    }
    assert_eq!(ends[0], ends[1]);
    assert!(!ends[0].starts_with(&format!("restored to position {later}:")), "{ends:?}");
    let wrong = server.command(&["log", "restore", &path("backup"), "--to", &path("no"), "--at", "yesterday"]);
    assert!(
        wrong.status.code() == Some(2) && text(&wrong).contains("neither a position nor a time"),
        "{}",
        text(&wrong)
    );
}
