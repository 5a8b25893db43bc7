//! Every deploy is in the history with who did it and what changed; any of them can be restored; of deploys that start
//! from one revision exactly one wins.

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, flow, http::encode, until};

fn first() -> Flow {
    Flow::new().node("start", "junction", json!({}), json!(["left"])).append("left", "thing-left")
}

fn second() -> Flow {
    first().rewired("start", json!([["right"]])).append("right", "thing-right")
}

fn v2(server: &Server) -> Http {
    server.http().with("node-red-api-version", "v2")
}

async fn stored(http: &Http, stream: &str, count: usize) {
    until(&format!("{count} events in {stream}"), || async {
        (http.items(&format!("/api/events?stream={stream}")).await.len() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_history_tells_who_changed_what() {
    let server = Server::with().start().await;
    let http = server.http();
    let one = flow::deploy(&http, &first().json()).await;
    let two = flow::deploy_changes(&http, &second().json()).await;

    let deploys = http.items("/api/deploys?limit=1").await;
    let [latest, earlier] = deploys.as_slice() else { panic!("{deploys:?}") };
    assert_eq!((&latest["rev"], &latest["number"], &latest["kind"]), (&json!(two), &json!(2), &json!("nodes")));
    assert_eq!((&earlier["rev"], &earlier["number"], &earlier["kind"]), (&json!(one), &json!(1), &json!("full")));
    assert_eq!(latest["changes"], json!({"added": 1, "removed": 0, "changed": 0, "rewired": 1, "moved": 0}));
    assert!(latest["author"].as_str().is_some_and(|author| !author.is_empty()) && latest["time"].is_i64());
    assert!(latest.get("flows").is_none() && latest.get("diff").is_none(), "the list is short: {latest}");

    let whole = http.json(&format!("/api/deploys/{}", encode(&two))).await;
    assert_eq!((&whole["flows"], &whole["diff"]["added"]), (&second().json(), &json!(["right"])));
    let event = http.json(&format!("/api/events/{}", whole["position"])).await;
    assert_eq!((&event["type"], &event["data"]["author"]), (&json!("tidewire.flows.deployed"), &whole["author"]));
    assert_eq!((&event["data"]["diff"], &event["version"]), (&whole["diff"], &json!("2")));
    assert_eq!(http.get("/api/deploys/nothing").await.problem(404), "not_found");
    assert_eq!(http.get("/api/deploys/999999").await.problem(404), "not_found");
}

#[tokio::test]
async fn an_earlier_deploy_is_restored_as_a_new_one() {
    let mut server = Server::with().start().await;
    let http = server.http();
    let one = flow::deploy(&http, &first().json()).await;
    let two = flow::deploy_changes(&http, &second().json()).await;
    let restore = format!("/api/deploys/{}/restore", encode(&one));

    let refused = http.post(&restore, &json!({ "rev": one })).await;
    assert_eq!(refused.problem(409), "version_mismatch");
    assert_eq!((&refused.json()["rev"], &refused.json()["diff"]["removed"]), (&json!(two), &json!(["right"])));
    assert_eq!(http.json("/flows").await, second().json(), "a refused restore changes nothing");

    let answer = http.post(&restore, &json!({ "rev": two })).await.expect(200).json();
    assert_eq!(answer["number"], 3);
    let latest = http.json(&format!("/api/deploys/{}", answer["position"])).await;
    assert_eq!((&latest["rev"], &latest["restored"]), (&answer["rev"], &json!(one)));
    assert_eq!((&latest["flows"], &http.json("/flows").await), (&first().json(), &first().json()));
    http.post("/api/nodes/start/send", &json!({"payload": {"n": 1}})).await.expect(202);
    stored(&http, "thing-left", 1).await;

    // Back again, without a word about the revision in force; and it is still so after a crash.
    let back = format!("/api/deploys/{}/restore", encode(&two));
    let answer = http.post(&back, &json!({})).await.expect(200).json();
    server.kill9();
    server.start_again().await;
    let http = server.http();
    let flows = v2(&server).json("/flows").await;
    assert_eq!((&flows["flows"], &flows["rev"]), (&second().json(), &answer["rev"]));
    http.post("/api/nodes/start/send", &json!({"payload": {"n": 2}})).await.expect(202);
    stored(&http, "thing-right", 1).await;
    assert_eq!(http.post("/api/deploys/nothing/restore", &json!({})).await.problem(404), "not_found");
}

#[tokio::test]
async fn of_twenty_deploys_from_one_revision_one_wins() {
    const EDITORS: usize = 20;
    let server = Server::with().start().await;
    let http = v2(&server);
    let mut base = flow::deploy(&server.http(), &first().json()).await;
    for round in 0..5 {
        let document = |editor: usize| -> Json {
            first().append(&format!("round-{round}-editor-{editor}"), "thing-elsewhere").json()
        };
        let deploys = (0..EDITORS).map(|editor| {
            let (http, body) = (http.clone(), json!({"flows": document(editor), "rev": base}));
            tokio::spawn(async move { http.post("/flows", &body).await })
        });
        let mut winners = Vec::new();
        for (editor, answer) in deploys.collect::<Vec<_>>().into_iter().enumerate() {
            let answer = answer.await.unwrap();
            if answer.status == 200 {
                winners.push((editor, answer.json()["rev"].clone()));
                continue;
            }
            assert_eq!(answer.problem(409), "version_mismatch");
            let added = json!([format!("round-{round}-editor-{editor}")]);
            assert_eq!(answer.json()["diff"]["added"], added, "the difference to what it wanted");
        }
        let [(winner, rev)] = winners.as_slice() else { panic!("winners: {winners:?}") };
        let flows = http.json("/flows").await;
        assert_eq!((&flows["flows"], &flows["rev"]), (&document(*winner), rev));
        base = rev.as_str().unwrap().to_owned();
    }
    assert_eq!(
        server.http().items("/api/events?type=tidewire.flows.deployed").await.len(),
        6,
        "one event for each win"
    );
}
