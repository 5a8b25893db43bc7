//! A message that a node fails on and nobody catches is kept: it can be looked at, and sent again once the flow is mended.

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, flow, until};

/// Numbers above 9 are stored; what is no number is an error.
const STRICT: &str = "abs(payload.n) > 9";
/// Texts are numbers too.
const LENIENT: &str = "abs(parse_int(\"\" + payload.n)) > 9";

fn document(expression: &str) -> Flow {
    let rule = |stream: &str| json!({"expression": expression, "key": format!("{stream}{{{{payload.n}}}}")});
    Flow::new()
        .node("judge", "rule", rule("a"), json!([["store"], []]))
        .node("other", "rule", rule("b"), json!([["store"], []]))
        .append("store", "thing-judged")
}

async fn send(http: &Http, node: &str, n: Json) {
    http.post(&format!("/api/nodes/{node}/send"), &json!({"topic": "t", "payload": {"n": n}})).await.expect(202);
}

async fn letters(http: &Http, query: &str, count: usize) -> Vec<Json> {
    until(&format!("{count} dead letters"), || async {
        let letters = http.items(&format!("/api/dead-letters{query}")).await;
        (letters.len() >= count).then_some(letters)
    })
    .await
}

async fn stored(http: &Http) -> Vec<Json> {
    let events = http.items("/api/events?stream=thing-judged").await;
    events.iter().map(|event| event["data"]["n"].clone()).collect()
}

#[tokio::test]
async fn a_failed_message_is_kept_and_sent_again_when_the_flow_is_mended() {
    let mut server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document(STRICT).json()).await;
    send(&http, "judge", json!("12")).await;
    send(&http, "other", json!("34")).await;
    send(&http, "judge", json!(10)).await;
    letters(&http, "", 2).await;
    // Durable, as everything in the log is.
    server.kill9();
    server.start_again().await;
    let http = server.http();

    let of_judge = letters(&http, "?node=judge", 1).await;
    let [letter] = of_judge.as_slice() else { panic!("{of_judge:?}") };
    assert_eq!((&letter["node"]["type"], &letter["node"]["flow"]), (&json!("rule"), &json!("tab")));
    assert!(letter["error"].as_str().unwrap().contains("abs"), "{letter}");
    assert_eq!((&letter["reason"], &letter["revision"], &letter["kept"]), (&json!("failed"), &json!(1), &json!(true)));
    assert_eq!((&letter["message"]["payload"], &letter["message"]["topic"]), (&json!({"n": "12"}), &json!("t")));

    flow::deploy_changes(&http, &document(LENIENT).json()).await;
    let retry = format!("/api/dead-letters/{}/retry", letter["id"].as_str().unwrap());
    http.post(&retry, &json!({})).await.expect(202);
    until("the message to be judged again", || async { stored(&http).await.contains(&json!("12")).then_some(()) })
        .await;
    assert_eq!(http.post(&retry, &json!({})).await.problem(409), "already_retried");
    let retried = http.items("/api/events?type=tidewire.message.retried").await;
    assert_eq!((retried.len(), &retried[0]["causationid"]), (1, &letter["id"]));
    assert!(letters(&http, "?node=judge", 1).await[0]["retried"].is_i64());
    assert!(letters(&http, "?node=other", 1).await[0].get("retried").is_none());
    assert_eq!(http.post("/api/dead-letters/nothing/retry", &json!({})).await.problem(404), "not_found");
}

#[tokio::test]
async fn all_messages_of_a_node_are_sent_again_in_order() {
    let server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document(STRICT).json()).await;
    for n in 20..28 {
        send(&http, "judge", json!(n.to_string())).await;
    }
    send(&http, "other", json!("99")).await;
    letters(&http, "", 9).await;
    assert_eq!(http.items("/api/dead-letters?node=judge&limit=3").await.len(), 8, "page by page");

    // It would fail again: each of them makes a letter of its own, and is not taken up twice by one request.
    let all = json!({"node": "judge"});
    let answer = http.post("/api/dead-letters/retry", &all).await.expect(202).json();
    assert_eq!(answer, json!({"retried": 8, "not_kept": 0, "more": false}));
    flow::deploy_changes(&http, &document(LENIENT).json()).await;
    let kept = until("what failed again", || async {
        let letters = http.items("/api/dead-letters?node=judge").await;
        let suppressed: u64 = letters.iter().map(|letter| letter["suppressed"].as_u64().unwrap()).sum();
        (letters.len() as u64 + suppressed >= 10).then_some(letters.len() as u64 - 8)
    })
    .await;
    let answer = http.post("/api/dead-letters/retry", &all).await.expect(202).json();
    assert!(answer["retried"].as_u64().unwrap() >= kept, "{answer}, {kept} were kept");
    let judged = until("all of them", || async {
        let judged = stored(&http).await;
        (judged.len() as u64 >= kept).then_some(judged)
    })
    .await;
    let judged: Vec<&str> = judged.iter().map(|n| n.as_str().unwrap()).collect();
    assert!(judged.is_sorted() && judged[0] == "20", "in the order they came in: {judged:?}");
}

#[tokio::test]
async fn a_node_that_is_gone_says_so_and_what_it_left_is_kept() {
    let server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document(STRICT).json()).await;
    send(&http, "judge", json!("12")).await;
    let letter = letters(&http, "", 1).await.remove(0);
    let retry = format!("/api/dead-letters/{}/retry", letter["id"].as_str().unwrap());
    flow::deploy_changes(&http, &Flow::new().append("store", "thing-judged").json()).await;
    let refused = http.post(&retry, &json!({})).await;
    assert_eq!(refused.problem(409), "node_gone");
    assert!(refused.text().contains("judge"), "{}", refused.text());
    assert_eq!(http.post("/api/dead-letters/retry", &json!({"node": "judge"})).await.problem(409), "node_gone");
}

#[tokio::test]
async fn what_a_catch_node_takes_is_no_dead_letter() {
    let server = Server::with().start().await;
    let http = server.http();
    let document =
        document(STRICT).node("catch", "catch", json!({"scope": ["judge"], "uncaught": false}), json!(["caught"]));
    flow::deploy(&http, &document.append("caught", "thing-caught").json()).await;
    send(&http, "judge", json!("12")).await;
    send(&http, "other", json!("34")).await;
    let letters = letters(&http, "", 1).await;
    assert_eq!((letters.len(), &letters[0]["node"]["id"]), (1, &json!("other")));
    until("the caught message", || async {
        (http.items("/api/events?stream=thing-caught").await.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_fails_all_the_time_is_counted_rather_than_kept() {
    let server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document(STRICT).json()).await;
    let mut sent = 0;
    let letters = loop {
        for _ in 0..20 {
            send(&http, "judge", json!("x")).await;
            sent += 1;
        }
        let letters = http.items("/api/dead-letters?limit=200").await;
        if letters.iter().any(|letter| letter["suppressed"] != 0) {
            break letters;
        }
        assert!(sent < 20_000, "{} letters and none counts others", letters.len());
    };
    let suppressed: u64 = letters.iter().map(|letter| letter["suppressed"].as_u64().unwrap()).sum();
    assert!(
        (letters.len() as u64 + suppressed) <= sent && (letters.len() as u64) < sent,
        "{sent} sent, {} kept, {suppressed} counted",
        letters.len()
    );
    send(&http, "other", json!("x")).await;
    assert_eq!(self::letters(&http, "?node=other", 1).await.len(), 1, "another node has an allowance of its own");
}
