//! What is written is read again, and nothing else is taken for an event.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use tidewire_model::event::{Extension, ExtensionValue, JSON, NewEvent, Place};

use super::*;

fn event(n: u64, change: impl FnOnce(&mut Event)) -> Event {
    let stream = StreamName::reserved(format!("thing-{n}")).unwrap();
    let place = Place { stream, position: Position::new(n + 1), version: n, recorded_time: -5 };
    let proposal = NewEvent::new("reading-reported", JSON, b"{\"celsius\":21}".to_vec());
    let mut event = proposal.record(|| EventId::Bits(u128::MAX - u128::from(n)), place);
    change(&mut event);
    event
}

/// One of each kind that the fields can be of.
fn events() -> Vec<Event> {
    let hash = [7; 32];
    vec![
        event(0, |_| {}),
        event(127, |event| event.data = Bytes::new()),
        event(128, |event| event.data_content_type = "text/plain".into()),
        event(u64::MAX - 1, |event| (event.time, event.recorded_time) = (i64::MIN, i64::MAX)),
        event(1 << 35, |event| (event.time, event.recorded_time) = (1_700_000_000_123, 1_700_000_000_456)),
        event(1, |event| event.id = EventId::Text("ä-1".into())),
        event(2, |event| {
            event.causation_id = Some(EventId::Bits(0));
            event.correlation_id = Some(EventId::Text("x".repeat(200).into()));
        }),
        event(3, |event| {
            event.actor = Some("user:anna".into());
            event.flow_rev = Some("".into());
            event.node_id = Some("a node with a name of more than 24 bytes".into());
            event.data_schema = Some("reading-reported/2".into());
        }),
        event(4, |event| {
            event.raw = Some(Raw { topic: "a/b".into(), retain: true, qos: 2, payload: Bytes::from_static(b"21") });
            event.extensions = Extensions::new(vec![
                Extension { name: "a".into(), value: ExtensionValue::Integer(-1) },
                Extension { name: "b".into(), value: ExtensionValue::Text("ü".into()) },
            ])
            .unwrap();
        }),
        event(5, |event| {
            event.key_id = Some("k1".into());
            event.raw = Some(Raw { topic: "a".into(), retain: false, qos: 0, payload: Bytes::new() });
            let content = |len| Some(ContentRef { hash, len });
            event.body = Body::Stored(Arc::new(StoredBody { data: content(70_000), raw: content(u64::MAX) }));
        }),
    ]
}

#[test]
fn an_event_comes_back_as_it_was() {
    let (mut run, events) = (Vec::new(), events());
    for event in &events {
        let frame = Bytes::from(write_frame(event, Vec::new()));
        assert_eq!(*read_frame(&frame).unwrap(), *event);
        assert_eq!(peek_frame(&frame).unwrap(), (event.stream.clone(), event.id.clone()));
        run = write_frame(event, run);
    }
    let mut found = Vec::new();
    read_frames(&Bytes::from(run), &mut found).unwrap();
    assert!(found.iter().map(|event| &**event).eq(&events));
}

/// Without a checksum that tells of it, too: never a panic, and what is cut short is no event.
#[test]
fn damaged_bytes_are_refused_or_give_another_event() {
    for event in events() {
        let frame = Bytes::from(write_frame(&event, Vec::new()));
        let body = &frame[FRAME_HEAD..];
        for len in 0..body.len() {
            let cut = Bytes::copy_from_slice(&body[..len]);
            assert!(read_body(&cut, &cut).is_err(), "{len} of {event:?}");
        }
        for at in 0..body.len() {
            for flip in [1, 0x80, 0xff] {
                let mut body = body.to_vec();
                body[at] ^= flip;
                let body = Bytes::from(body);
                if let Ok(other) = read_body(&body, &body) {
                    assert_ne!(*other, event, "byte {at}");
                }
            }
        }
    }
}
