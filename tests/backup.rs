//! The log is backed up while the server runs, and a restored one starts with everything that was acknowledged.

use serde_json::json;
use tidewire_tests::{Http, Server};

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

fn text(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
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
