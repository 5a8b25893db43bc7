//! What was there before a stop or a crash is there after it.

use serde_json::json;
use tidewire_tests::{Flow, Http, Server, flow, until};

fn document() -> Flow {
    Flow::new().node("start", "junction", json!({}), json!(["store"])).append("store", "thing-kept").node(
        "count",
        "projector",
        json!({"projection": "kept", "reducer": "count", "category": "thing-"}),
        json!([]),
    )
}

async fn send(http: &Http, n: u64) {
    http.post("/api/nodes/start/send", &json!({"payload": {"n": n}})).await.expect(202);
}

async fn counted(http: &Http, expected: u64) {
    until(&format!("the read model to count {expected}"), || async {
        let entry = http.get("/api/projections/kept/thing-kept").await;
        (entry.status == 200 && entry.json()["value"] == json!(expected)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn flows_events_users_and_read_models_stay() {
    let mut server = Server::with().auth().start().await;
    let link = server.open_line().unwrap();
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let form = json!({"token": token, "username": "anna", "password": "correct horse battery"});
    let cookie = server.http().post("/api/setup", &form).await.expect(200).cookies();
    let http = server.http().cookie(&cookie);
    let rev = flow::deploy(&http, &document().json()).await;
    for n in 1..=5 {
        send(&http, n).await;
    }
    counted(&http, 5).await;
    let events = http.items("/api/events?category=thing-").await;

    assert!(server.terminate().success(), "SIGTERM ends well");
    server.start_again().await;
    assert!(!server.open_line().unwrap().contains("token="), "there is a user, so no set-up link");
    let login = json!({"username": "anna", "password": "correct horse battery"});
    let cookie = server.http().post("/api/login", &login).await.expect(200).cookies();
    let http = server.http().cookie(&cookie);
    let v2 = http.clone().with("node-red-api-version", "v2").json("/flows").await;
    assert_eq!((&v2["flows"], v2["rev"].as_str()), (&document().json(), Some(rev.as_str())));
    assert_eq!(http.items("/api/events?category=thing-").await, events);
    counted(&http, 5).await;

    send(&http, 6).await;
    counted(&http, 6).await;
    server.kill9();
    server.start_again().await;
    counted(&http, 6).await;
    assert_eq!(http.items("/api/events?category=thing-").await.len(), 6);
}

#[tokio::test]
async fn the_log_is_rebuilt_when_its_indexed_copy_is_gone() {
    let mut server = Server::with().start().await;
    flow::deploy(&server.http(), &document().json()).await;
    for n in 1..=50 {
        send(&server.http(), n).await;
    }
    counted(&server.http(), 50).await;
    let events = server.http().items("/api/events").await;
    server.kill9();
    let rebuilt = server.command(&["log", "rebuild"]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    server.start_again().await;
    until("the same events", || async { (server.http().items("/api/events").await == events).then_some(()) }).await;
    counted(&server.http(), 50).await;
}

#[tokio::test]
async fn an_index_that_is_damaged_is_put_aside_and_made_anew_and_that_is_told() {
    let mut server = Server::with().start().await;
    let before = server.http().json("/api/log/health").await;
    assert_eq!(
        (&before["index"]["state"], &before["notices"], &before["room"]),
        (&json!("ready"), &json!([]), &json!("normal"))
    );
    flow::deploy(&server.http(), &document().json()).await;
    for n in 1..=50 {
        send(&server.http(), n).await;
    }
    counted(&server.http(), 50).await;
    let head = server.http().json("/api/log/health").await["head"].as_u64().unwrap();
    assert!(server.terminate().success());
    std::fs::write(server.data().join("log/sled/conf"), b"no settings of a database").unwrap();
    server.start_again().await;
    counted(&server.http(), 50).await;
    let health = server.http().json("/api/log/health").await;
    assert!(health["head"].as_u64().unwrap() >= head);
    let notices = health["notices"].as_array().unwrap();
    assert!(notices.iter().any(|notice| notice.as_str().unwrap().contains("put aside as")), "{notices:?}");
}
