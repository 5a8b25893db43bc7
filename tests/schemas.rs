//! Schemas: data that does not fit is refused with its path, and history is read in the latest form.

use serde_json::{Value as Json, json};
use tidewire_tests::server::text;
use tidewire_tests::{Answer, Http, Server};

const TYPE: &str = "reading-reported";

async fn append(http: &Http, data: Json) -> Answer {
    let event = json!({"type": TYPE, "subject": "thing-a", "data": data});
    http.clone().with("content-type", "application/cloudevents+json").post("/api/events", &event).await
}

#[tokio::test]
async fn a_new_version_of_a_type_changes_what_is_read_and_nothing_that_is_stored() {
    let mut server = Server::with().arg("--append-rate").arg("1000").start().await;
    let http = server.http();
    let position = append(&http, json!({"f": 212})).await.expect(201).json()["position"].clone();
    let script = "fn upcast(data, event) { #{ celsius: (data.f - 32) * 5 / 9 } }";
    let version = json!({
        "schema": {"type": "object", "required": ["celsius"], "properties": {"celsius": {"type": "number"}}},
        "upcast": script,
    });
    let path = format!("/api/schemas/{TYPE}/2");
    let broken = json!({"upcast": "fn upcast(data) {"});
    assert_eq!(http.put(&path, &broken).await.problem(422), "invalid_schema");
    http.put(&path, &version).await.expect(200);
    http.put(&format!("/api/schemas/{TYPE}"), &json!({"mode": "refuse"})).await.expect(200);

    let refused = append(&http, json!({"celsius": "warm"})).await;
    assert!(refused.json()["problems"][0].as_str().unwrap().starts_with("/celsius: "), "{}", refused.text());
    assert_eq!(refused.problem(422), "schema_mismatch");
    append(&http, json!({"celsius": 21.5})).await.expect(201);

    for restarted in [false, true] {
        if restarted {
            server.terminate();
            server.start_again().await;
        }
        let http = server.http();
        let events = http.items("/api/events?stream=thing-a").await;
        let found: Vec<_> = events.iter().map(|event| event["data"]["celsius"].clone()).collect();
        assert_eq!(found, [json!(100), json!(21.5)]);
        assert!(events.iter().all(|event| event["dataschema"] == format!("{TYPE}/2")), "{events:?}");
        let stored = http.json(&format!("/api/events/{position}?raw=1")).await;
        assert_eq!((&stored["data"], stored.get("dataschema")), (&json!({"f": 212}), None));
        assert_eq!(http.items("/api/events?stream=thing-a&raw=1").await[0]["data"], json!({"f": 212}));
        let shown = http.json(&format!("/api/schemas/{TYPE}")).await;
        assert_eq!((&shown["mode"], &shown["versions"]["2"]["upcast"]), (&json!("refuse"), &json!(script)));
    }
    let http = server.http();
    http.delete(&path).await.expect(204);
    assert_eq!(http.get(&path).await.problem(404), "not_found");
    append(&http, json!("anything")).await.expect(201);
}

#[tokio::test]
async fn who_sends_more_than_the_rate_is_told_when_to_come_again() {
    let server = Server::with().arg("--append-rate").arg("2").start().await;
    let http = server.http();
    for n in 0..20 {
        append(&http, json!({ "n": n })).await.expect(201);
    }
    let answer = append(&http, json!({"n": 20})).await;
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(answer.problem(429), "too_many_events");
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["schema"].into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn schemas_are_registered_and_tried_from_the_command_line() {
    let mut server = Server::with().start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let schema = file("schema.json", r#"{"type": "object", "required": ["celsius"]}"#);
    let upcast = file("upcast.rhai", "fn upcast(data, event) { #{ celsius: (data.f - 32) * 5 / 9 } }");
    let broken = file("broken.rhai", "fn upcast(data, event) { #{ celsius: data.f.nothing() } }");
    let line = |data: &str| format!(r#"{{"type": "{TYPE}", "subject": "thing-a", "data": {data}}}"#);
    let events = file("events.ndjson", &format!("{}\n\n{}\n", line(r#"{"f": 212}"#), line(r#"{"celsius": 1}"#)));
    let array = file("events.json", &format!("[{}]", line(r#"{"f": 212}"#)));
    let version = format!("{TYPE}/2");
    // Nothing is registered yet: what would be is tried first.
    let tried = with(&["check", &events, "--with", &version, "--schema", &schema, "--upcast", &upcast]);
    let checked = server.command(&tried);
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked));
    let told = text(&checked);
    assert!(told.contains(&format!("event 1 {version}: ")) && told.contains("1 events follow their schema, 1 do not"));
    let read = server.command(&with(&["upcast", &array, "--with", &version, "--upcast", &upcast]));
    assert_eq!((text(&read).trim(), read.status.success()), (r#"{"celsius":100}"#, true));
    let fails = server.command(&with(&["upcast", &array, "--with", &version, "--upcast", &broken]));
    assert!(
        fails.status.code() == Some(1) && text(&fails).contains("event 1: from version 1 to 2"),
        "{}",
        text(&fails)
    );
    let unsaid = server.command(&with(&["check", &events, "--schema", &schema]));
    assert!(unsaid.status.code() == Some(2) && text(&unsaid).contains("--with"), "{}", text(&unsaid));
    assert!(
        server.http().items("/api/schemas").await.is_empty() && text(&server.command(&["schema", "list"])).is_empty()
    );

    // Beside a server and on its folder alike.
    for running in [true, false] {
        if !running {
            server.terminate();
        }
        let run = |more: &[&str]| server.run(&with(more), 0);
        run(&["register", TYPE, "2", "--schema", &schema, "--upcast", &upcast]);
        run(&["mode", TYPE, "refuse"]);
        assert!(run(&["list"]).contains("refuse") && run(&["versions", TYPE]).contains("    2  schema  upcast"));
        assert!(
            run(&["show", TYPE, "2"]).contains("fn upcast") && run(&["show", TYPE]).contains("\"mode\": \"refuse\"")
        );
        assert!(run(&["upcast", &array]).contains(r#"{"celsius":100}"#), "with what is registered");
        run(&["remove", TYPE, "2"]);
        let gone = server.command(&with(&["show", TYPE]));
        assert!(gone.status.code() == Some(2) && text(&gone).contains("there is no schema"), "{}", text(&gone));
        let wrong = server.command(&with(&["mode", TYPE, "maybe"]));
        assert!(wrong.status.code() == Some(2) && text(&wrong).contains("use off, warn or refuse"), "{}", text(&wrong));
    }
}
