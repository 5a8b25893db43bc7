//! A kill around a deploy leaves the old flows or the new ones, whole.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, flow, until};

use super::{Fate, verify};

/// A chain of `length` nodes from `start` to `store`, every node named after its document.
fn document(name: &str, length: usize) -> Flow {
    let node = |at: usize| if at == 0 { "start".to_owned() } else { format!("{name}-{at}") };
    let mut flow = Flow::new();
    for at in 0..length {
        let next = if at + 1 == length { "store".to_owned() } else { node(at + 1) };
        flow = flow.node(&node(at), "junction", json!({}), json!([next]));
    }
    // The same id with another configuration in each document.
    flow.append("store", &format!("thing-{name}"))
}

/// The two documents in turn, each time a little different, so that every deploy changes much.
fn of_round(round: u64) -> (String, Flow) {
    let (name, length) = if round.is_multiple_of(2) { ("even", 40) } else { ("odd", 90) };
    let name = format!("{name}-{round}");
    let flow = document(&name, length);
    (name, flow)
}

async fn in_force(http: &Http) -> (Json, String) {
    let answer = http.clone().with("node-red-api-version", "v2").json("/flows").await;
    (answer["flows"].clone(), answer["rev"].as_str().unwrap().to_owned())
}

/// Every node has taken up its work, and a message goes the whole way.
async fn works(http: &Http, name: &str, flows: &Json) {
    for node in flows.as_array().unwrap().iter().filter(|node| node["type"] != "tab") {
        let id = node["id"].as_str().unwrap();
        let view = http.json(&format!("/api/nodes/{id}")).await;
        assert!(view["problem"].is_null() && view["status"]["fill"] != "red", "{view}");
    }
    http.post("/api/nodes/start/send", &json!({"payload": {"n": 1}})).await.expect(202);
    until(&format!("the message at the end of {name}"), || async {
        (!http.items(&format!("/api/events?stream=thing-{name}")).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_flows_are_the_old_ones_or_the_new_ones_whole() {
    let mut fate = Fate::new(20);
    let mut server = Server::with().start().await;
    let (mut name, old) = of_round(0);
    flow::deploy_changes(&server.http(), &old.json()).await;
    let mut old = old.json();
    // How long a deploy takes here, so that the kills fall all over it.
    let began = Instant::now();
    flow::deploy_changes(&server.http(), &document("other", 90).json()).await;
    let usual = began.elapsed();
    flow::deploy_changes(&server.http(), &old).await;
    let mut rev = in_force(&server.http()).await.1;
    let (mut kept_old, mut answered) = (0, 0);
    while let Some(round) = fate.next_round() {
        let (new_name, new) = of_round(round);
        let http = server.http().with("node-red-api-version", "v2").with("node-red-deployment-type", "nodes");
        let body = json!({"flows": new.json(), "rev": rev});
        let deploy = tokio::spawn(async move { http.try_send(reqwest::Method::POST, "/flows", Some(&body)).await });
        tokio::time::sleep(fate.within(usual + Duration::from_millis(2))).await;
        server.kill9();
        let answer = deploy.await.unwrap().filter(|answer| answer.status == 200);
        server.start_again().await;

        let http = server.http();
        let (flows, found) = in_force(&http).await;
        if flows == new.json() {
            assert_ne!(found, rev, "another revision");
            (name, old) = (new_name, flows);
        } else {
            assert_eq!((&flows, &found), (&old, &rev), "seed {}, round {round}: neither old nor new", fate.seed);
            assert!(answer.is_none(), "seed {}, round {round}: the new flows were answered for", fate.seed);
            kept_old += 1;
        }
        if let Some(answer) = answer {
            assert_eq!(answer.json()["rev"], json!(found), "the revision that was answered");
            answered += 1;
        }
        rev = found;
        works(&http, &name, &old).await;
    }
    println!(
        "{} rounds, a deploy takes {usual:?}: {kept_old} kept the old flows, {answered} were answered",
        fate.rounds
    );
    verify(&mut server);
}
