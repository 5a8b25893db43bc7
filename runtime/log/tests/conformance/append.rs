//! Appending.

use bytes::Bytes;
use tidewire_log::Commit;
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion, StateChange};
use tidewire_model::event::{BINARY, Body, EventId, Extension, ExtensionValue, Extensions, NewEvent, Raw};
use tidewire_model::query::{Filter, Query};

use super::{Log, at, event, one, positions, stream};

pub async fn positions_are_gapless_and_versions_count_per_stream(log: Log) {
    let mut tasks = Vec::new();
    for task in 0..8 {
        let log = Log::clone(&log);
        tasks.push(tokio::spawn(async move {
            for n in 0..25 {
                log.append(vec![one(&format!("thing-{}", task % 4), "read", n)]).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let page = log.read(Query::forwards(Filter::default(), at(0), 1000)).await.unwrap();
    assert_eq!(positions(&page.events), (1..=200).collect::<Vec<_>>());
    assert_eq!(log.head(), at(200));
    for name in 0..4 {
        let page = log.read(Query::forwards(Filter::stream(format!("thing-{name}")), at(0), 1000)).await.unwrap();
        let versions: Vec<_> = page.events.iter().map(|event| event.version).collect();
        assert_eq!(versions, (1..=50).collect::<Vec<_>>());
    }
}

pub async fn expected_versions_decide(log: Log) {
    let ask = |expected| AppendRequest { expected, ..one("order-1", "changed", 0) };
    let conflict = |result: Result<_, AppendError>, is: u64| match result {
        Err(AppendError::Conflict { actual, .. }) => assert_eq!(actual, is),
        other => panic!("expected a conflict, got {other:?}"),
    };
    conflict(log.append(vec![ask(ExpectedVersion::Exists)]).await, 0);
    conflict(log.append(vec![ask(ExpectedVersion::Exact(1))]).await, 0);
    assert_eq!(log.append(vec![ask(ExpectedVersion::NoStream)]).await.unwrap()[0].version, 1);
    conflict(log.append(vec![ask(ExpectedVersion::NoStream)]).await, 1);
    assert_eq!(log.append(vec![ask(ExpectedVersion::Exact(1))]).await.unwrap()[0].version, 2);
    assert_eq!(log.append(vec![ask(ExpectedVersion::Exists)]).await.unwrap()[0].version, 3);
    assert_eq!(log.append(vec![ask(ExpectedVersion::Any)]).await.unwrap()[0].version, 4);
    assert_eq!(log.head(), at(4), "what was refused took no position");
}

pub async fn of_many_writers_with_one_expectation_exactly_one_wins(log: Log) {
    for round in 0..5 {
        let mut tasks = Vec::new();
        for n in 0..10 {
            let log = Log::clone(&log);
            let request = AppendRequest { expected: ExpectedVersion::Exact(round), ..one("counter-1", "counted", n) };
            tasks.push(tokio::spawn(async move { log.append(vec![request]).await.is_ok() }));
        }
        let mut won = 0;
        for task in tasks {
            won += usize::from(task.await.unwrap());
        }
        assert_eq!(won, 1);
    }
}

pub async fn a_repeated_id_answers_as_the_first_time(log: Log) {
    let request = || AppendRequest {
        stream: stream("order-1"),
        expected: ExpectedVersion::NoStream,
        events: vec![
            event("placed", 1).with_id("order-1/placed"),
            event("paid", 2).with_id("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ],
    };
    let first = log.append(vec![request()]).await.unwrap()[0];
    assert!(!first.deduplicated);
    log.append(vec![one("order-1", "sent", 3)]).await.unwrap();
    let again = log.append(vec![request()]).await.unwrap()[0];
    assert!(again.deduplicated);
    assert_eq!(
        (again.first_position, again.last_position, again.version),
        (first.first_position, first.last_position, first.version)
    );
    // The same id twice while the first is still on its way.
    let request = |n| vec![AppendRequest::one(stream("order-2"), event("placed", n).with_id("twice"))];
    let (a, b) = tokio::join!(log.append(request(1)), log.append(request(1)));
    assert_eq!(a.unwrap()[0].first_position, b.unwrap()[0].first_position);
    assert_eq!(log.head(), at(4));
}

pub async fn an_id_with_other_content_is_refused(log: Log) {
    let ask = |events: Vec<NewEvent>| {
        log.append(vec![AppendRequest { stream: stream("order-1"), expected: ExpectedVersion::Any, events }])
    };
    ask(vec![event("placed", 1).with_id("a")]).await.unwrap();
    let error = ask(vec![event("placed", 2).with_id("a")]).await.unwrap_err();
    assert!(matches!(error, AppendError::DuplicateId { ref position, .. } if *position == at(1)), "{error}");
    let error = ask(vec![event("placed", 1).with_id("a"), event("paid", 1).with_id("b")]).await.unwrap_err();
    assert!(matches!(error, AppendError::PartlyStored { .. }), "{error}");
    let error = ask(vec![event("x", 1).with_id("c"), event("y", 1).with_id("c")]).await.unwrap_err();
    assert!(matches!(error, AppendError::DuplicateId { .. }), "{error}");
    assert_eq!(log.head(), at(1));
    ask(vec![event("x", 1).with_id("c")]).await.expect("a refused request leaves its ids free");
}

pub async fn several_streams_are_stored_all_or_nothing(log: Log) {
    log.append(vec![one("account-b", "opened", 0)]).await.unwrap();
    let transfer =
        |expected| vec![one("account-a", "debited", 5), AppendRequest { expected, ..one("account-b", "credited", 5) }];
    log.append(transfer(ExpectedVersion::Exact(7))).await.unwrap_err();
    assert_eq!(log.head(), at(1));
    assert_eq!(log.heads(vec![stream("account-a")]).await.unwrap()[0].version, 0);
    let stored = log.append(transfer(ExpectedVersion::Exact(1))).await.unwrap();
    assert_eq!((stored[0].first_position, stored[1].first_position), (at(2), at(3)));
    // Requests see those before them in the same append.
    let twice = vec![
        AppendRequest { expected: ExpectedVersion::NoStream, ..one("account-c", "opened", 0) },
        AppendRequest { expected: ExpectedVersion::Exact(1), ..one("account-c", "closed", 0) },
    ];
    assert_eq!(log.append(twice).await.unwrap()[1].version, 2);
}

pub async fn single_requests_do_not_stop_each_other(log: Log) {
    let results = log
        .append_each(vec![
            one("thing-1", "read", 1),
            AppendRequest { expected: ExpectedVersion::Exact(9), ..one("thing-1", "read", 2) },
            one("thing-1", "read", 3),
            AppendRequest { stream: stream("thing-1"), expected: ExpectedVersion::Any, events: vec![] },
        ])
        .await;
    assert_eq!(results[0].as_ref().unwrap().version, 1);
    assert!(matches!(results[1], Err(AppendError::Conflict { actual: 1, .. })));
    assert_eq!(results[2].as_ref().unwrap().version, 2);
    assert_eq!(results[3], Err(AppendError::Empty));
    assert_eq!(log.head(), at(2));
}

pub async fn unusable_appends_are_refused(log: Log) {
    let big = NewEvent::new("stored", BINARY, vec![0; 17 * 1024 * 1024]);
    for (request, part) in [
        (AppendRequest::one(stream("thing-1"), big), "split it"),
        (AppendRequest::one(stream("thing-1"), event("", 1)), "event type is empty"),
        (AppendRequest::one(stream("thing-1"), event("a\u{7}b", 1)), "control character"),
        (AppendRequest::one(stream("thing-1"), event("a", 1).with_id("")), "event id"),
        (AppendRequest::one(stream("thing-1"), event("a", 1).with_id("x".repeat(300))), "event id"),
    ] {
        let error = log.append(vec![request]).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let state = vec![StateChange { key: "".into(), value: None }];
    log.commit(Commit { requests: vec![one("thing-1", "a", 1)], state }).await.unwrap_err();
    assert_eq!(log.head(), at(0));
}

pub async fn recorded_time_never_runs_back(log: Log) {
    for n in 0..20 {
        let mut event = event("read", n);
        event.time = Some(1_000_000 - i64::try_from(n).unwrap());
        log.append(vec![AppendRequest::one(stream("thing-1"), event)]).await.unwrap();
    }
    let page = log.read(Query::forwards(Filter::default(), at(0), 100)).await.unwrap();
    assert!(page.events.is_sorted_by_key(|event| event.recorded_time));
    assert_eq!(page.events[3].time, 999_997, "the source's time stays as it was given");
}

fn extensions() -> Extensions {
    let all = [
        ("traceparent", ExtensionValue::Text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into())),
        ("sampledrate", ExtensionValue::Integer(i32::MIN)),
        ("urgent", ExtensionValue::Bool(false)),
        ("empty", ExtensionValue::Text("".into())),
    ];
    Extensions::new(all.map(|(name, value)| Extension { name: name.into(), value }).to_vec()).unwrap()
}

pub async fn everything_in_an_event_survives(log: Log) {
    let proposal = NewEvent {
        id: Some(EventId::from("any-id")),
        source: "/flow/1".into(),
        time: Some(-5),
        causation_id: Some(EventId::from("01ARZ3NDEKTSV4RRFFQ69G5FAV")),
        correlation_id: Some(EventId::from("corr")),
        actor: Some("thing:1".into()),
        flow_rev: Some("rev-9".into()),
        node_id: Some("abc.1".into()),
        data_schema: Some("read/7".into()),
        raw: Some(Raw { topic: "a/b".into(), retain: true, qos: 2, payload: Bytes::from_static(&[9, 8]) }),
        extensions: extensions(),
        ..NewEvent::new("read", "image/x-strange", &[0, 1, 2, 255][..])
    };
    log.append(vec![AppendRequest::one(stream("thing-1"), proposal.clone())]).await.unwrap();
    let stored = log.event_at(at(1)).await.unwrap().unwrap();
    assert_eq!((&stored.raw, &stored.extensions), (&proposal.raw, &extensions()));
    assert_eq!((&stored.data, &stored.data_content_type), (&proposal.data, &proposal.data_content_type));
    assert_eq!((&stored.data_schema, &stored.key_id, &stored.body), (&proposal.data_schema, &None, &Body::Whole));
    assert_eq!(stored.causation_id, proposal.causation_id);
    assert_eq!(stored.correlation_id, proposal.correlation_id);
    assert_eq!(
        (&stored.actor, &stored.flow_rev, &stored.node_id),
        (&proposal.actor, &proposal.flow_rev, &proposal.node_id)
    );
    assert_eq!((stored.time, stored.id.clone(), &stored.source), (-5, EventId::from("any-id"), &proposal.source));
    assert_eq!((stored.version, stored.stream.as_str(), stored.event_type.as_str()), (1, "thing-1", "read"));
}

pub async fn state_goes_with_events_or_not_at_all(log: Log) {
    let change =
        |value: Option<&'static [u8]>| StateChange { key: "context/n1".into(), value: value.map(Bytes::from_static) };
    let commit = |expected, value| Commit {
        requests: vec![AppendRequest { expected, ..one("thing-1", "read", 1) }],
        state: vec![change(value)],
    };
    log.commit(commit(ExpectedVersion::Exact(5), Some(b"no"))).await.unwrap_err();
    assert_eq!(log.state("context/n1".into()).await.unwrap(), None);
    log.commit(commit(ExpectedVersion::Any, Some(b"yes"))).await.unwrap();
    assert_eq!(log.state("context/n1".into()).await.unwrap().as_deref(), Some(&b"yes"[..]));
    assert_eq!(log.states("context/".into()).await.unwrap().len(), 1);
    assert_eq!(log.states("contexts".into()).await.unwrap().len(), 0);
    log.commit(Commit { requests: vec![], state: vec![change(None)] }).await.unwrap();
    assert_eq!(log.state("context/n1".into()).await.unwrap(), None);
    assert_eq!(log.head(), at(1), "state has no position");
    log.set_checkpoint("alarms".into(), at(1)).await.unwrap();
    assert_eq!(log.checkpoint("alarms".into()).await.unwrap(), Some(at(1)));
    assert_eq!(log.checkpoint("other".into()).await.unwrap(), None);
}
