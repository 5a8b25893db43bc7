//! One command on a fresh machine: a link is printed, one form makes the administrator, and the demo is alive.

use std::time::Duration;

use serde_json::json;
use tidewire_tests::{Http, Server, until_within};

/// The promises are for a release build on a quiet machine; these tests run a debug build beside others.
const SLACK: u32 = 3;

async fn count(http: &Http, event_type: &str) -> usize {
    http.json(&format!("/api/events?type={event_type}&limit=100")).await["items"].as_array().unwrap().len()
}

async fn within(seconds: u64, what: &str, http: &Http, event_type: &str) {
    let limit = Duration::from_secs(seconds) * SLACK;
    until_within(limit, what, || async { (count(http, event_type).await > 0).then_some(()) }).await;
}

#[tokio::test]
async fn the_printed_link_makes_the_administrator_in_one_form() {
    let server = Server::with().auth().start().await;
    let link = server.open_line().unwrap();
    let (address, token) = link.split_once("/setup?token=").unwrap_or_else(|| panic!("no set-up link in {link}"));
    assert_eq!(address, format!("http://127.0.0.1:{}", server.http_port));

    let anyone = server.http();
    assert_eq!(anyone.get(&format!("/setup?token={token}")).await.status, 200, "the page behind the link");
    let session = anyone.json("/api/session").await;
    assert_eq!((session["auth"].as_str(), session["setup"].as_bool()), (Some("on"), Some(true)), "{session}");

    let form = json!({"token": token, "username": "anna", "password": "correct horse battery"});
    let answer = anyone.post("/api/setup", &form).await.expect(200);
    let anna = server.http().cookie(&answer.cookies());
    let session = anna.json("/api/session").await;
    assert_eq!(session["user"], json!({"name": "anna", "role": "admin"}), "{session}");
    assert_eq!(session["setup"], false, "{session}");

    let again = json!({"token": token, "username": "mallory", "password": "correct horse battery"});
    assert!(anyone.post("/api/setup", &again).await.status.is_client_error(), "the token works once only");
    let login = json!({"username": "anna", "password": "correct horse battery"});
    assert!(!anyone.post("/api/login", &login).await.expect(200).cookies().is_empty());
}

#[tokio::test]
async fn the_demo_is_alive_at_once() {
    let server = Server::with().demo().start().await;
    let http = server.http();
    within(5, "readings", &http, "reading-reported").await;
    let models = http.items("/api/projections").await;
    assert!(!models.is_empty(), "the demo keeps read models");

    within(30, "a command to the valve", &http, "tidewire.command.requested").await;
    within(10, "its confirmation by the device", &http, "tidewire.command.confirmed").await;
    within(10, "a notification", &http, "tidewire.notification.requested").await;
    within(10, "word that its channel wants a token", &http, "tidewire.notification.deferred").await;

    let things = http.items("/api/things").await;
    assert!(things.iter().any(|thing| thing["events"].as_u64() > Some(0)), "{things:?}");
}

#[tokio::test]
async fn the_page_and_its_files_are_served() {
    let server = Server::with().start().await;
    let page = server.http().get("/").await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));

    let text = page.text();
    let script = text.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let script = server.http().get(script).await.expect(200);
    assert!(script.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(server.http().get("/assets/no-such-file.js").await.status, 404);
    assert!(!server.http().get("/api/no-such-thing").await.problem(404).is_empty());
}
