//! What an event looks like outside, and what may come in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;

fn event() -> Event {
    Event {
        id: EventId::from("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        source: "/flow/1/node/2".into(),
        event_type: "reading-reported".into(),
        stream: StreamName::new("thing-greenhouse-1").unwrap(),
        time: 1_000,
        position: Position::new(7),
        version: 3,
        recorded_time: 2_000,
        causation_id: Some(EventId::from("c")),
        correlation_id: None,
        actor: Some("thing:greenhouse-1".into()),
        flow_rev: Some("r1".into()),
        node_id: Some("n1".into()),
        data: Bytes::from_static(br#"{"b":1.50,"a":2}"#),
        data_content_type: JSON.into(),
        data_schema: Some("reading-reported/2".into()),
        raw: Some(Raw { topic: "greenhouse/1".into(), retain: true, qos: 1, payload: Bytes::from_static(&[0, 255]) }),
        extensions: extensions(&[("traceparent", r#""00-0af7-01""#), ("sampledrate", "30"), ("comurgent", "true")]),
        key_id: None,
        body: Body::Whole,
        upcast: None,
    }
}

fn extensions(all: &[(&str, &str)]) -> Extensions {
    let one = |(name, json): &(&str, &str)| Extension {
        name: (*name).into(),
        value: ExtensionValue::from_json(json).unwrap().unwrap(),
    };
    Extensions::new(all.iter().map(one).collect()).unwrap()
}

#[test]
fn attributes_have_cloudevents_names_and_types() {
    let text = serde_json::to_string(&event()).unwrap();
    assert!(text.contains(r#""data":{"b":1.50,"a":2}"#), "data is passed through byte for byte: {text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["specversion"], "1.0");
    assert_eq!(value["subject"], "thing-greenhouse-1");
    assert_eq!(value["position"], "7");
    assert_eq!(value["raw"], "AP8=");
    assert_eq!(value["rawtopic"], "greenhouse/1");
    assert_eq!(value["time"], "1970-01-01T00:00:01.000Z");
    assert_eq!(value["causationid"], "c");
    assert!(value.get("correlationid").is_none());
    assert_eq!((&value["traceparent"], &value["sampledrate"]), (&json!("00-0af7-01"), &json!(30)));
    assert_eq!(value["comurgent"], true);
    assert!(value.as_object().unwrap().keys().all(|name| !name.chars().any(char::is_uppercase)));
}

#[test]
fn a_recorded_event_survives_the_round_trip() {
    for (data, content_type) in [
        (&br#"{"b":1.50,"a":2}"#[..], JSON),
        (b"21.5 C", TEXT),
        (&[0, 159, 255], BINARY),
        (b"{broken", JSON),
        (b"null", JSON),
        (b"", JSON),
    ] {
        let event = Event { data: Bytes::copy_from_slice(data), data_content_type: content_type.into(), ..event() };
        let text = serde_json::to_vec(&event).unwrap();
        assert_eq!(parse_event(&text).unwrap(), event, "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn an_event_without_data_says_why() {
    let gone = |body: Body| Event { data: Bytes::new(), key_id: Some("k1".into()), body, ..event() };
    let erased = gone(Body::Erased);
    let value = serde_json::to_value(&erased).unwrap();
    assert_eq!((&value["erased"], &value["keyid"], value.get("data")), (&json!(true), &json!("k1"), None));
    assert_eq!(value["type"], "reading-reported", "the envelope stays");
    let lost = gone(Body::Unreadable("the content file is missing".into()));
    assert_eq!(serde_json::to_value(&lost).unwrap()["dataproblem"], "the content file is missing");
    for event in [erased, lost] {
        assert_eq!(parse_event(&serde_json::to_vec(&event).unwrap()).unwrap(), event);
    }
}

#[test]
fn schemas_come_in_and_keys_do_not() {
    let text = br#"{"type":"opened","subject":"thing-door","dataschema":"opened/3","keyid":"mine","erased":true}"#;
    let event = parse_incoming(text).unwrap().event;
    assert_eq!((event.data_schema.as_deref(), event.key_id, event.body), (Some("opened/3"), None, Body::Whole));
}

#[test]
fn a_minimal_proposal_is_enough() {
    let incoming = parse_incoming(br#"{"type":"opened","subject":"thing-door","data":{"by":"anna"}}"#).unwrap();
    assert_eq!(incoming.stream.as_str(), "thing-door");
    assert_eq!(incoming.expected, ExpectedVersion::Any);
    assert_eq!(incoming.event.data.as_ref(), br#"{"by":"anna"}"#);
    assert_eq!(incoming.event.data_content_type, JSON);
    assert_eq!(incoming.event.id, None);
}

#[test]
fn a_batch_and_expected_versions_are_understood() {
    let text = json!([
        {"type": "a", "subject": "s-1", "expectedversion": "none"},
        {"type": "b", "subject": "s-2", "expectedversion": 4},
    ])
    .to_string();
    let batch = parse_incoming_batch(text.as_bytes()).unwrap();
    assert_eq!(batch[0].expected, ExpectedVersion::NoStream);
    assert_eq!(batch[1].expected, ExpectedVersion::Exact(4));
}

#[test]
fn unusable_events_are_refused_with_the_attribute_named() {
    for (text, part) in [
        ("{}", "'subject' is missing"),
        (r#"{"subject":"s"}"#, "'type' is missing"),
        (r#"{"subject":"s","type":"t","time":"yesterday"}"#, "RFC 3339"),
        (r#"{"subject":"s","type":"t","specversion":"0.3"}"#, "must be 1.0"),
        (r#"{"subject":"s","type":"t","expectedversion":"many"}"#, "'expectedversion'"),
        (r#"{"subject":"s","type":"t","data":1,"data_base64":"AA=="}"#, "give one of them"),
        ("not json", "not valid CloudEvents JSON"),
        (r#"{"subject":"s","type":5}"#, "'type': invalid type: integer `5`, expected a string"),
        (r#"{"subject":"s","type":"t","expectedversion":-1}"#, "'expectedversion': it is neither a text nor a whole"),
        (r#"{"subject":"s","type":"t","rawqos":1}"#, "'rawqos' stands without 'raw'"),
    ] {
        let error = parse_incoming(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn other_attributes_are_kept_as_extensions() {
    let text = br#"{"ward":"","type":"read","subject":"thing-1","traceparent":"00-1","sequence":-7,"unset":null}"#;
    let event = parse_incoming(text).unwrap().event;
    assert_eq!(event.extensions, extensions(&[("ward", r#""""#), ("traceparent", r#""00-1""#), ("sequence", "-7")]));
    let none = parse_incoming(br#"{"type":"read","subject":"thing-1","unset":null}"#).unwrap().event;
    assert!(none.extensions.is_empty());
}

#[test]
fn what_cannot_be_kept_is_refused_by_name() {
    for (more, told) in [
        (r#""Actor":"me""#, "'Actor' is no attribute: their names are lower-case"),
        (r#""my_ext":1"#, "'my_ext' is no attribute"),
        (r#""place":{"room":1}"#, "'place' is neither a text, a whole number of 32 bits, true nor false"),
        (r#""celsius":21.5"#, "'celsius' is neither"),
        (r#""a":1,"a":2"#, "'a' stands there twice"),
        (r#""source":"a b""#, "'source'"),
        (r#""datacontenttype":"json""#, "media type"),
        (r#""id":"""#, "'id' is empty"),
        (r#""specversion":"0.3""#, "specversion"),
    ] {
        let text = format!(r#"{{"type":"read","subject":"thing-1",{more}}}"#);
        let error = parse_incoming(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(told), "{text}: {error}");
        assert!(parse_incoming_batch(format!("[{text}]").as_bytes()).is_err());
    }
}
