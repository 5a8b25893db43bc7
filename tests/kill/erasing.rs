//! Killed while the data of a person is erased: it has not begun, or it ends by itself, read models and all.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tidewire_tests::{Http, Server, http::encode, until};

use super::Fate;

async fn place(http: &Http, thing: &str) -> serde_json::Value {
    let thing = http.get(&format!("/api/things/{thing}")).await;
    if thing.status == 200 { thing.json()["properties"]["place"]["value"].clone() } else { json!(null) }
}

#[tokio::test]
async fn an_erasure_is_not_begun_or_ends_by_itself() {
    let mut fate = Fate::new(4);
    let mut server = Server::with().arg("--personal").arg("thing-person*").start().await;
    let (mut begun, mut ended) = (0, 0);
    while let Some(round) = fate.next_round() {
        let (thing, secret) = (format!("person{round}"), format!("whereabouts-of-{round}-are-secret"));
        let stream = format!("thing-{thing}");
        let http = server.http();
        for (subject, told) in [(&stream, secret.as_str()), (&"thing-office".to_owned(), "office")] {
            let event = json!({"type": "seen", "subject": subject, "data": {"place": told, "more": told.repeat(200)}});
            let http = http.clone().with("content-type", "application/cloudevents+json");
            http.post("/api/events", &event).await.expect(201);
        }
        until("the thing is known", async || (place(&http, &thing).await == secret.as_str()).then_some(())).await;
        let path = format!("/api/log/subjects/{}/erase", encode(&stream));
        let body = json!({"confirm": stream});
        let erasing = {
            let (http, path, body) = (http.clone(), path.clone(), body.clone());
            tokio::spawn(async move { http.try_send(reqwest::Method::POST, &path, Some(&body)).await })
        };
        // Half of the kills come while the key is destroyed, half while read models are made anew.
        let longest = Duration::from_millis(if fate.below(2) == 0 { 3 } else { 25 });
        tokio::time::sleep(fate.within(longest)).await;
        server.kill9();
        let answered = erasing.await.unwrap().is_some_and(|answer| answer.status == 200);
        fate.start_again(&mut server, 3).await;
        let http = server.http();
        let event = &http.items(&format!("/api/events?stream={stream}")).await[0];
        let erased = event["erased"] == json!(true);
        assert!(erased || !answered, "seed {}, round {round}: it was answered for and did not happen", fate.seed);
        if !erased {
            assert_eq!(event["data"]["place"], json!(secret), "seed {}, round {round}: half erased", fate.seed);
            http.post(&path, &body).await.expect(200);
        }
        (begun, ended) = (begun + 1, ended + u64::from(erased));
        let none =
            async || http.json("/api/log/personal").await["erasing"].as_array().unwrap().is_empty().then_some(());
        until("the traces are removed", none).await;
        assert_eq!(server.files_with(&secret), [] as [PathBuf; 0], "seed {}, round {round}", fate.seed);
        assert_eq!((place(&http, &thing).await, place(&http, "office").await), (json!(null), json!("office")));
    }
    println!("{begun} erasures were interrupted, {ended} of them ended by themselves");
}
