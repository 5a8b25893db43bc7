//! Notifications reach each vendor in the vendor's own form, and every kind of trouble is told apart and outlived.

use serde_json::{Value as Json, json};
use tidewire_tests::notify_lab::{NTFY_TOKEN, NotifyLab, PUSHBULLET_TOKEN, Trouble};
use tidewire_tests::{Flow, Http, Server, until};

/// A notifier node for a lab, and its secret.
fn notifier(channel: &str, lab: &NotifyLab) -> (Json, &'static str) {
    let (more, token) = match channel {
        "pushbullet" => (json!({"baseUrl": lab.url}), PUSHBULLET_TOKEN),
        "ntfy" => (
            json!({"baseUrl": lab.url, "topic": "private-farm", "priority": 4, "tags": "warning, seedling"}),
            NTFY_TOKEN,
        ),
        _ => (
            json!({"url": format!("{}/hook/{{token}}?sig=CANARY", lab.url), "headers": {"X-Farm": "7"}}),
            "whsec-KnownToTheLab",
        ),
    };
    let mut node = json!({"channel": channel, "title": "Dry", "message": "Soil {{payload}} %"});
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    (node, token)
}

/// Deploys notifiers with their secrets.
async fn deploy(http: &Http, nodes: &[(String, Json, &str)]) {
    let mut flow = Flow::new();
    let mut credentials = json!({});
    for (id, node, token) in nodes {
        flow = flow.node(id, "notifier", node.clone(), json!([[], []]));
        credentials[id] = json!({ "token": token });
    }
    let body = json!({"flows": flow.json(), "credentials": credentials});
    let answer = http.clone().with("node-red-api-version", "v2").post("/flows", &body).await.expect(200).json();
    assert_eq!(answer["problems"], json!([]));
}

async fn send(http: &Http, node: &str, payload: u32) {
    http.post(&format!("/api/nodes/{node}/send"), &json!({ "payload": payload })).await.expect(202);
}

/// The first outcome of a node: kind and data.
async fn outcome(http: &Http, node: &str) -> (String, Json) {
    until(&format!("an outcome of {node}"), || async {
        let events = http.items("/api/events?category=notification&limit=1000").await;
        let ours = events.into_iter().filter(|event| event["nodeid"] == node);
        let mut outcomes = ours.filter(|event| event["type"] != "tidewire.notification.requested");
        outcomes.next().map(|event| {
            let kind = event["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
            (kind, event["data"].clone())
        })
    })
    .await
}

#[tokio::test]
async fn each_vendor_gets_its_own_form_and_no_secret_is_recorded() {
    let server = Server::with().start().await;
    let http = server.http();
    let lab = NotifyLab::start().await;
    let nodes: Vec<(String, Json, &str)> = ["pushbullet", "ntfy", "webhook"]
        .map(|channel| {
            let (node, token) = notifier(channel, &lab);
            (channel.to_owned(), node, token)
        })
        .into();
    deploy(&http, &nodes).await;
    for (node, ..) in &nodes {
        send(&http, node, 18).await;
        let (kind, data) = outcome(&http, node).await;
        assert_eq!(kind, "sent", "{node}: {data}");
    }
    let requests = lab.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    let by_path = |path: &str| requests.iter().find(|request| request.path == path).unwrap();

    let push = by_path("/v2/pushes");
    let guid = push.json()["guid"].clone();
    assert!(guid.as_str().is_some_and(|guid| !guid.is_empty()));
    assert_eq!(push.json(), json!({"type": "note", "title": "Dry", "body": "Soil 18 %", "guid": guid}));
    assert_eq!(push.header("access-token"), Some(PUSHBULLET_TOKEN));

    let ntfy = by_path("/");
    let expected = json!({"topic": "private-farm", "title": "Dry", "message": "Soil 18 %", "priority": 4, "tags": ["warning", "seedling"]});
    assert_eq!(ntfy.json(), expected);
    assert_eq!(ntfy.header("authorization"), Some(format!("Bearer {NTFY_TOKEN}").as_str()));

    let hook = by_path("/hook/whsec-KnownToTheLab?sig=CANARY");
    assert_eq!((hook.json()["title"].as_str(), hook.json()["message"].as_str()), (Some("Dry"), Some("Soil 18 %")));
    assert_eq!(hook.header("x-farm"), Some("7"));

    let recorded = http.get("/api/events?limit=1000&category=notification").await.text();
    for secret in [PUSHBULLET_TOKEN, NTFY_TOKEN, "whsec-KnownToTheLab", "CANARY"] {
        assert!(!recorded.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn every_trouble_is_told_apart_and_what_passes_is_outlived() {
    use Trouble::{AuthRevoked, GarbageJson, HalfClose, Html502, Quota, RateLimit};
    let cases = [
        ("pushbullet", Quota, "deferred", "throttled"),
        ("pushbullet", RateLimit, "deferred", "throttled"),
        ("pushbullet", AuthRevoked, "deferred", "auth"),
        ("pushbullet", HalfClose, "deferred", "transient"),
        ("pushbullet", Html502, "deferred", "transient"),
        ("pushbullet", GarbageJson, "deferred", "transient"),
        ("ntfy", Quota, "deferred", "throttled"),
        ("ntfy", RateLimit, "deferred", "throttled"),
        ("ntfy", AuthRevoked, "deferred", "auth"),
        ("ntfy", HalfClose, "deferred", "transient"),
        ("ntfy", Html502, "deferred", "transient"),
        ("ntfy", GarbageJson, "deferred", "transient"),
        ("webhook", RateLimit, "deferred", "throttled"),
        ("webhook", AuthRevoked, "deferred", "auth"),
        ("webhook", HalfClose, "deferred", "transient"),
        ("webhook", Html502, "deferred", "transient"),
    ];
    let server = Server::with().start().await;
    let http = server.http();
    let mut labs = Vec::new();
    let mut nodes = Vec::new();
    for (channel, trouble, ..) in cases {
        let lab = NotifyLab::start().await;
        lab.then([trouble]);
        let (node, token) = notifier(channel, &lab);
        nodes.push((format!("{channel}-{trouble:?}"), node, token));
        labs.push(lab);
    }
    deploy(&http, &nodes).await;
    for (node, ..) in &nodes {
        send(&http, node, 18).await;
    }
    for ((_, trouble, kind, class), (node, ..)) in cases.into_iter().zip(&nodes) {
        let (found, data) = outcome(&http, node).await;
        assert_eq!((found.as_str(), data["class"].as_str()), (kind, Some(class)), "{node}: {data}");
        assert!(data["retryAt"].as_i64().is_some() && !data["reason"].as_str().unwrap().is_empty(), "{node}: {data}");
        if trouble == Quota {
            let hours = (data["retryAt"].as_i64().unwrap() - now_ms()) / 3_600_000;
            assert!(hours < 24 * 31, "{node}: a quota ends with the day or the month, {data}");
        }
    }
    // What was only broken or asked too often is tried again, and arrives once.
    for ((_, trouble, ..), lab) in cases.into_iter().zip(&labs) {
        if !matches!(trouble, Quota | AuthRevoked) {
            assert_eq!(lab.wait_for(2).await.len(), 2, "{trouble:?}");
        }
    }
    for (number, (_, trouble, ..)) in cases.into_iter().enumerate() {
        if matches!(trouble, Quota | AuthRevoked) {
            assert_eq!(labs[number].requests().len(), 1, "{trouble:?} is not tried again at once");
        }
    }
}

#[tokio::test]
async fn a_bad_request_is_final_and_shows_the_vendors_words() {
    let server = Server::with().start().await;
    let http = server.http();
    let lab = NotifyLab::start().await;
    let node = json!({"channel": "ntfy", "topic": "not a topic", "baseUrl": lab.url, "message": "m"});
    deploy(&http, &[("ntfy".to_owned(), node, "")]).await;
    send(&http, "ntfy", 1).await;
    let (kind, data) = outcome(&http, "ntfy").await;
    assert_eq!((kind.as_str(), &data["class"]), ("failed", &json!("bad_request")));
    assert_eq!(data["reason"], "invalid request: topic invalid (HTTP 400)");
    let status = until("the vendor's words at the node", || async {
        let node = http.json("/api/nodes/ntfy").await;
        (node["status"]["fill"] == "red").then(|| node["status"]["text"].to_string())
    })
    .await;
    assert!(status.contains("topic invalid"), "{status}");
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
