//! Read models and the history of numbers, over HTTP and on the command line.

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, until};

/// Some day, not so long ago that anything of it is thrown away.
fn start() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    now / 3_600_000 * 3_600_000 - 7_200_000
}

/// A time in milliseconds as text, in UTC.
fn format_rfc3339(ms: i64) -> String {
    let (days, second) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1_000);
    // Days from 0000-03-01 to a date, by eras of 400 years.
    let day = days + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

/// Appends readings with these times and data; gives the position of the last.
async fn append(http: &Http, readings: impl IntoIterator<Item = (i64, Json)>) -> u64 {
    let events: Vec<Json> = readings
        .into_iter()
        .map(|(time, data)| {
            json!({"specversion": "1.0", "source": "/test", "type": "reading-reported", "subject": "thing-boiler",
                "time": format_rfc3339(time), "data": data})
        })
        .collect();
    let http = http.clone().with("content-type", "application/cloudevents-batch+json");
    let answer = http.post("/api/events", &json!(events)).await.expect(201).json();
    answer["items"].as_array().unwrap().last().unwrap()["position"].as_u64().unwrap()
}

#[tokio::test]
async fn a_month_of_readings_charts_in_one_request() {
    let server = Server::with().start().await;
    let http = server.http();
    let begin = start();
    append(&http, (0..600).map(|n| (begin + n * 10_000, json!({"water": {"celsius": n % 60}})))).await;
    let (from, to) = (begin - 28 * 86_400_000, begin + 6_000_000);
    let path = format!("/api/things/boiler/history?property=water.celsius&from={from}&to={to}");
    let chart = until("the history to hold all readings", || async {
        let answer = http.get(&path).await;
        let total = |chart: &Json| -> u64 {
            chart["items"].as_array().unwrap().iter().map(|item| item["count"].as_u64().unwrap()).sum()
        };
        (answer.status == 200).then(|| answer.json()).filter(|chart| total(chart) == 600)
    })
    .await;
    assert_eq!((&chart["resolution"], &chart["properties"]), (&json!(3_600), &json!(["water.celsius"])));
    let fine = format!("/api/things/boiler/history?property=water.celsius&from={begin}&to={to}&step=600");
    let items = http.items(&fine).await;
    assert_eq!(items.len(), 10);
    assert_eq!(items[0], json!({"time": begin, "count": 60, "min": 0.0, "max": 59.0, "mean": 29.5, "last": 59.0}));
    let table = http.get(&format!("{fine}&format=csv")).await.expect(200);
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    let line = format!("{},60,0,59,29.5,59", format_rfc3339(begin));
    assert_eq!(table.text().lines().nth(1), Some(line.as_str()));
    http.get("/api/things/boiler/history?property=x").await.problem(404);
    http.get("/api/things/boiler/history?from=5&to=2").await.problem(400);
}

#[tokio::test]
async fn a_read_model_is_looked_after_over_http_and_on_the_command_line() {
    let flows = Flow::new().node(
        "sum",
        "projector",
        json!({"projection": "sums", "reducer": "sum", "property": "n", "category": "thing", "key": "{{data.room}}"}),
        json!([]),
    );
    let server = Server::start(&flows.json()).await;
    let http = server.http();
    let reading = |n: Json, room: u64| (start(), json!({"n": n, "room": format!("room {room}")}));
    let early = append(&http, (0..20).map(|n| reading(json!(n), n % 5))).await;
    let last = append(&http, [reading(json!("many"), 1), reading(json!(100), 3)]).await;
    let path = format!("/api/projections/sums?min_position={last}&sort=-value&filter=value%3E20%20and%20key=room*");
    let keys = |items: Vec<Json>| items.iter().map(|item| item["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(http.items(&path).await), ["room 3", "room 4", "room 2", "room 1", "room 0"]);
    let past = http.items(&format!("/api/projections/sums?at={early}&sort=-value&limit=1")).await;
    assert_eq!((&past[0]["key"], &past[0]["value"]), (&json!("room 4"), &json!(46)));

    // A key may have any name.
    let odd = |room: &str| (start(), json!({"n": 1, "room": room}));
    let last = append(&http, ["status", "parked", "keeping", "a/b"].map(odd)).await;
    for key in ["status", "parked", "keeping", "a%2Fb"] {
        let entry = http.json(&format!("/api/projections/sums/{key}?min_position={last}")).await;
        assert_eq!((&entry["value"], &entry["position"].is_u64()), (&json!(1), &true), "{key}");
    }
    let parked = http.items("/api/projections/sums/keeping/parked").await;
    assert!(parked[0]["reason"].as_str().unwrap().contains("no number"), "{parked:?}");
    let position = parked[0]["position"].as_u64().unwrap();
    let at = format!("/api/projections/sums/parked/{position}");
    http.post(&format!("{at}/retry"), &json!({})).await.problem(409);
    http.post(&format!("{at}/skip"), &json!({"reason": ""})).await.problem(400);
    http.post(&format!("{at}/skip"), &json!({"reason": "a slip of the pen"})).await.expect(204);
    let parked = http.items("/api/projections/sums/keeping/parked").await;
    assert_eq!(parked[0]["skipped"]["reason"], "a slip of the pen");
    assert_eq!(http.items("/api/events?stream=projection-sums").await[0]["type"], "tidewire.projection.skipped");

    http.post("/api/projections/sums/rebuild?swap=manual", &json!({})).await.expect(202);
    until("the new build to be ready", || async {
        (http.json("/api/projections/sums/keeping/status").await["ready"] == json!(true)).then_some(())
    })
    .await;
    assert_eq!(http.json("/api/projections/sums/keeping/status").await["comparison"]["different"], 0);
    http.post("/api/projections/sums/swap", &json!({})).await.expect(202);
    http.delete("/api/projections/sums/rebuild").await.problem(409);

    let said = |arguments: &[&str]| {
        let output = server.command(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = said(&["projection", "list"]);
    assert!(listed.contains("sums") && listed.contains("9 keys"), "{listed}");
    let rebuilt = said(&["projection", "rebuild", "sums"]);
    assert!(rebuilt.starts_with("0 of 9 keys changed"), "{rebuilt}");
    let shown: Json = serde_json::from_str(&said(&["projection", "show", "sums", "room 4"])).unwrap();
    assert_eq!(shown["value"], 46);
}
