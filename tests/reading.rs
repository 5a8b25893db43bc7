//! Reading the log over HTTP: conditions, exports, sockets, who is how far.

use std::sync::Mutex;

use serde_json::{Value as Json, json};
use tidewire_tests::http::encode;
use tidewire_tests::{Http, Server, Socket, wait};

fn event(stream: &str, celsius: f64) -> Json {
    json!({"specversion": "1.0", "source": "/test", "type": "read", "subject": stream, "data": {"celsius": celsius}})
}

async fn append_all(http: &Http, events: &[Json]) -> Json {
    let http = http.clone().with("content-type", "application/cloudevents-batch+json");
    http.post("/api/events", &json!(events)).await.expect(201).json()
}

async fn filled(server: &Server) -> Http {
    let http = server.http();
    let events: Vec<Json> =
        (0..10).map(|n| event(if n % 2 == 0 { "thing-a" } else { "thing-b" }, 15.0 + f64::from(n))).collect();
    append_all(&http, &events).await;
    http
}

fn celsius(events: &[Json]) -> Vec<f64> {
    events.iter().map(|event| event["data"]["celsius"].as_f64().unwrap()).collect()
}

#[tokio::test]
async fn a_condition_picks_events_and_a_bad_one_is_told_with_its_place() {
    let server = Server::with().start().await;
    let http = filled(&server).await;
    let ask = |filter: &str| format!("/api/events?category=thing&filter={}", encode(filter));
    let warm = http.items(&ask("data.celsius > 20 && subject == \"thing-a\"")).await;
    assert_eq!(celsius(&warm), [21.0, 23.0]);
    let newest = http.items(&(ask("data.celsius <= 20") + "&order=desc&limit=2")).await;
    assert_eq!(celsius(&newest), [20.0, 19.0, 18.0, 17.0, 16.0, 15.0]);
    let failing = http.json(&ask("data.celsius.len() > 2")).await;
    assert_eq!(
        (failing["items"].as_array().unwrap().len(), failing["filter_failures"]["count"].as_u64()),
        (0, Some(10))
    );
    let answer = http.get(&ask("data.celsius >")).await;
    let problem = answer.json();
    assert_eq!((problem["code"].as_str(), problem["line"].as_u64()), (Some("invalid_filter"), Some(1)), "{problem}");
    assert_eq!(answer.problem(400), "invalid_filter");
    let lines = server.command(&["log", "read", "--filter", "data.celsius > 22"]);
    let shown = String::from_utf8_lossy(&lines.stdout).lines().count();
    assert_eq!(shown, 2, "{}", String::from_utf8_lossy(&lines.stderr));
}

#[tokio::test]
async fn what_is_read_can_be_had_as_lines_and_as_a_table() {
    let server = Server::with().start().await;
    let http = filled(&server).await;
    let lines = http.clone().with("accept", "application/x-ndjson").get("/api/events?category=thing").await.expect(200);
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let events: Vec<Json> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, http.items("/api/events?category=thing").await);
    append_all(&http, &[event("thing-=1+1", 1.0)]).await;
    let table = http.get("/api/events?category=thing&format=csv&columns=subject,data.celsius&order=desc&limit=2").await;
    assert!(table.header("content-type").unwrap().starts_with("text/csv"));
    assert_eq!(table.text(), "subject,data.celsius\r\nthing-=1+1,1\r\nthing-b,24\r\n");
    assert_eq!(http.get("/api/events?format=csv&columns=nothing").await.problem(400), "invalid_query");
    let file = server.data().join("events.csv");
    let path = file.to_str().unwrap();
    let arguments =
        ["log", "read", "--category", "thing", "--format", "csv", "--columns", "data.celsius", "--out", path];
    let done = server.command(&arguments);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 12);
}

#[tokio::test]
async fn a_socket_follows_from_anywhere_and_keeps_its_place() {
    let mut server = Server::with().start().await;
    let http = filled(&server).await;
    let path = "/api/events/socket?category=thing&start=beginning&durable=mine&window=3";
    let mut socket = Socket::open(&server, path).await;
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(socket.find("an event", |frame| frame.get("event").cloned()).await);
    }
    // Only three may be under way; the rest comes once they are acknowledged.
    let follower = wait::until("the follower to be listed", || async {
        let items = http.items("/api/subscriptions").await;
        items.into_iter().find(|item| item["kind"] == "socket" && item["under_way"] == 3)
    })
    .await;
    assert!(follower["lag"].as_u64().unwrap() >= 7, "{follower}");
    socket.send(&json!({"ack": got[2]["position"]})).await;
    let next = socket.find("the next event", |frame| frame.get("event").cloned()).await;
    assert_eq!(celsius(&[next]), [18.0]);
    drop(socket);
    let kept = format!("/api/checkpoints/{}", encode("client/mine"));
    assert_eq!(http.json(&kept).await["position"].to_string(), got[2]["position"].as_str().unwrap());
    server.kill9();
    server.start_again().await;
    let mut socket = Socket::open(&server, "/api/events/socket?category=thing&durable=mine").await;
    let mut rest = Vec::new();
    while rest.len() < 7 {
        rest.push(socket.find("what was not acknowledged", |frame| frame.get("event").cloned()).await);
    }
    assert_eq!(celsius(&rest), (3..10).map(|n| 15.0 + f64::from(n)).collect::<Vec<_>>());
    socket.find("the end of history", |frame| frame.get("caught-up").cloned()).await;
    let http = server.http();
    http.put("/api/checkpoints/mine", &json!({"position": 4})).await.expect(200);
    let listed = server.command(&["log", "checkpoints"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("mine\t4\t"), "{listed:?}");
    http.delete("/api/checkpoints/mine").await.expect(204);
    assert_eq!(http.get("/api/checkpoints/mine").await.problem(404), "not_found");
}

fn resident_mib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn clients_that_never_read_take_no_memory() {
    const CLIENTS: usize = 8;
    let server = Server::with().start().await;
    let http = server.http();
    let large = json!({"specversion": "1.0", "type": "read", "subject": "thing-large", "data": "x".repeat(3_000)});
    let batch = vec![large; 1_000];
    for _ in 0..8 {
        append_all(&http, &batch).await;
    }
    http.get("/api/events?format=ndjson").await.expect(200);
    let before = resident_mib(&server);
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        clients.push(Socket::open(&server, &format!("/api/events/socket?start=beginning&n={n}")).await);
    }
    append_all(&http, &batch).await;
    // Each has got as much as the sockets between hold, and waits.
    let last = Mutex::new(Vec::new());
    wait::until("all to stand still", || async {
        let items = http.items("/api/subscriptions").await;
        let now: Vec<u64> = items.iter().filter_map(|item| item["position"].as_u64()).collect();
        let before = std::mem::replace(&mut *last.lock().unwrap(), now.clone());
        (now.len() == CLIENTS && now == before && now.iter().all(|position| *position > 0)).then_some(())
    })
    .await;
    let grown = resident_mib(&server).saturating_sub(before);
    assert!(grown < 100, "{CLIENTS} clients that do not read take {grown} MiB; the events have 27 MiB each");
    let behind = http.items("/api/subscriptions").await;
    assert!(behind.iter().all(|item| item["lag"].as_u64().unwrap() > 1_000), "{behind:?}");
    let metrics = http.get("/metrics").await.text();
    assert!(metrics.contains("tidewire_followers{kind=\"socket\"} 8"), "{metrics}");
}

#[tokio::test]
async fn streams_are_searched_and_sorted_page_by_page() {
    let server = Server::with().start().await;
    let http = server.http();
    let events: Vec<Json> = (0..30).map(|n| event(&format!("thing-{:02}", n % 12), f64::from(n))).collect();
    append_all(&http, &events).await;
    let names = async |query: &str| {
        let items = http.items(&format!("/api/streams?limit=5&{query}")).await;
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("pattern=thing-0*").await, (0..10).map(|n| format!("thing-{n:02}")).collect::<Vec<_>>());
    assert_eq!(names("pattern=*1").await, ["thing-01", "thing-11"]);
    let newest = names("pattern=thing-*&sort=-time").await;
    assert_eq!((newest.len(), newest[0].as_str(), newest[11].as_str()), (12, "thing-05", "thing-06"));
    let longest = names("pattern=thing-*&sort=-version").await;
    assert_eq!(longest[..6], (0..6).map(|n| format!("thing-{n:02}")).collect::<Vec<_>>());
    assert_eq!(http.get("/api/streams?sort=colour").await.problem(400), "invalid_query");
}

#[tokio::test]
async fn appends_are_repeated_safely_and_refused_clearly() {
    let server = Server::with().arg("--append-rate=5").start().await;
    let http = server.http();
    let cloud = http.clone().with("content-type", "application/cloudevents+json").with("idempotency-key", "order-1");
    let first = cloud.post("/api/events", &event("thing-a", 1.0)).await.expect(201).json();
    let again = cloud.post("/api/events", &event("thing-a", 1.0)).await.expect(201).json();
    assert_eq!((&again["position"], again["items"][0]["deduplicated"].as_bool()), (&first["position"], Some(true)));
    let mut unknown = event("thing-a", 1.0);
    unknown["trace_parent"] = json!("00-1-2-03");
    let answer = cloud.post("/api/events", &unknown).await;
    assert!(answer.text().contains("trace_parent"), "{}", answer.text());
    assert_eq!(answer.problem(400), "invalid_event");
    // Two streams, of which one does not meet the expectation: nothing, unless each is on its own.
    let mut wrong = event("thing-b", 1.0);
    wrong["expectedversion"] = json!("exists");
    let both = json!([event("thing-c", 1.0), wrong]);
    let batch = http.clone().with("content-type", "application/cloudevents-batch+json");
    assert_eq!(batch.post("/api/events", &both).await.problem(409), "version_conflict");
    assert!(http.items("/api/events?stream=thing-c").await.is_empty());
    let answer = batch.post("/api/events?atomic=false", &both).await.expect(201).json();
    assert_eq!(answer["items"][1]["error"]["code"], "version_conflict", "{answer}");
    assert_eq!(http.items("/api/events?stream=thing-c").await.len(), 1);
    // Ten seconds' worth at once, then again: the second time there is nothing left.
    let many = json!(vec![event("thing-d", 1.0); 50]);
    let mut refused = batch.post("/api/events", &many).await;
    if refused.status.is_success() {
        refused = batch.post("/api/events", &many).await;
    }
    assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok_and(|after| after > 0)));
    assert_eq!(refused.problem(429), "too_many_events");
    let body = vec![b' '; 9 * 1024 * 1024];
    assert_eq!(batch.send_bytes(reqwest::Method::POST, "/api/events", body).await.problem(413), "body_too_large");
}

#[tokio::test]
async fn one_event_goes_out_in_either_mode_of_cloudevents() {
    let server = Server::with().start().await;
    let http = server.http();
    let mut sent = event("thing-ä", 1.5);
    sent["id"] = json!("e 1");
    append_all(&http, &[sent.clone()]).await;
    let path = format!("/api/events/{}", encode("e 1"));
    let structured = http.clone().with("accept", "application/cloudevents+json").get(&path).await.expect(200);
    assert_eq!(structured.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(structured.json()["data"], sent["data"]);
    let binary = http.get(&format!("{path}?mode=binary")).await.expect(200);
    assert_eq!((binary.header("ce-id"), binary.header("ce-subject")), (Some("e%201"), Some("thing-%C3%A4")));
    assert_eq!(binary.header("content-type"), Some("application/json"));
    assert_eq!(binary.json(), sent["data"]);
    assert_eq!(http.get(&format!("{path}?mode=carrier-pigeon")).await.problem(400), "invalid_query");
}

#[tokio::test]
async fn what_cannot_be_meant_is_told_and_not_guessed() {
    let mut server = Server::with().start().await;
    let http = filled(&server).await;
    let json = http.clone().with("content-type", "application/json");
    assert_eq!(json.put("/api/schemas/read/first", &json!({})).await.problem(400), "invalid_path");
    assert_eq!(json.post("/api/projections/none/swap", &json!({})).await.problem(404), "not_found");
    assert_eq!(http.delete("/api/projections/none/rebuild").await.problem(404), "not_found");
    let follow = http.clone().with("last-event-id", "seven").get("/api/events/stream").await;
    assert_eq!(follow.problem(400), "invalid_query", "a reader would miss events unnoticed");
    assert_eq!(json.put("/api/checkpoints/mine", &json!({"position": 99})).await.problem(400), "invalid_position");
    json.put("/api/checkpoints/mine", &json!({"position": 10})).await.expect(200);
    let cloud = http.clone().with("content-type", "application/cloudevents+json");
    for (name, value) in [("type", json!(5)), ("expectedversion", json!(-1)), ("rawqos", json!(1))] {
        let mut wrong = event("thing-a", 1.0);
        wrong[name] = value;
        let answer = cloud.post("/api/events", &wrong).await;
        assert!(answer.text().contains(&format!("'{name}'")), "{}", answer.text());
        assert_eq!(answer.problem(400), "invalid_event");
    }
    let batch = http.clone().with("content-type", "application/cloudevents-batch+json");
    assert_eq!(batch.post("/api/events", &json!([])).await.expect(200).json()["items"], json!([]));
    server.terminate();
    for arguments in [["log", "checkpoints", "set", "mine", "99"].as_slice(), &["log", "checkpoints", "delete", "none"]]
    {
        assert_eq!(server.command(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let rebuilt = server.command(&["log", "rebuild"]);
    assert!(String::from_utf8_lossy(&rebuilt.stdout).contains("index rebuilt: 10 events"), "{rebuilt:?}");
}
