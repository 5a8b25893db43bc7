//! What went wrong is taken back in the browser: a deploy that broke a node, then the message that the node failed on.

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, browser, flow, until};

/// Texts are numbers too.
const WORKS: &str = "abs(parse_int(\"\" + payload.n)) > 9";
/// What is no number is an error.
const BROKEN: &str = "abs(payload.n) > 9";

fn document(expression: &str) -> Json {
    let rule = json!({"name": "Judge", "expression": expression, "key": "{{payload.n}}"});
    Flow::new().node("judge", "rule", rule, json!([["store"], []])).append("store", "thing-judged").json()
}

async fn stored(http: &Http) -> Vec<Json> {
    let events = http.items("/api/events?stream=thing-judged").await;
    events.iter().map(|event| event["data"]["n"].clone()).collect()
}

#[tokio::test]
async fn a_deploy_is_restored_and_a_failed_message_sent_again_in_the_browser() {
    let server = Server::with().start().await;
    let http = server.http();
    let works = flow::deploy(&http, &document(WORKS)).await;
    flow::deploy_changes(&http, &document(BROKEN)).await;
    http.post("/api/nodes/judge/send", &json!({"topic": "t", "payload": {"n": "12"}})).await.expect(202);
    until("the failed message", || async { (!http.items("/api/dead-letters").await.is_empty()).then_some(()) }).await;

    println!("{}", browser::run("take_back", &[http.base(), "Judge", "1"]).await);

    let deploys = http.items("/api/deploys").await;
    assert_eq!((deploys.len(), &deploys[0]["restored"]), (3, &json!(works)), "restored as a new deploy");
    until("the message to be judged", || async { (stored(&http).await == [json!("12")]).then_some(()) }).await;
    assert!(http.items("/api/dead-letters").await[0]["retried"].is_i64(), "and it is known that it was sent again");
}
