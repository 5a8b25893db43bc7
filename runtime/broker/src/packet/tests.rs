#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;

const CONNECT_4: &[u8] = &[0, 4, b'M', b'Q', b'T', b'T', 4, 0x02, 0, 60, 0, 2, b'a', b'b'];

fn connect_of(first: u8, body: &[u8]) -> Result<Box<Connect>, Fault> {
    match read(first, body, false)? {
        Packet::Connect(connect) => Ok(connect),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connect_is_read() {
    let connect = connect_of(0x10, CONNECT_4).unwrap();
    assert_eq!((connect.client_id.as_str(), connect.keep_alive, connect.clean_start), ("ab", 60, true));
    assert_eq!(connect.session_expiry, 0);
    let mut durable = CONNECT_4.to_vec();
    durable[7] = 0;
    assert_eq!(connect_of(0x10, &durable).unwrap().session_expiry, u32::MAX);
}

#[test]
fn a_connect_that_contradicts_itself_is_refused() {
    for flags in [0x01, 0x08, 0x20, 0x1C, 0x40] {
        let mut body = CONNECT_4.to_vec();
        body[7] = flags;
        assert!(connect_of(0x10, &body).is_err(), "flags {flags:#x}");
    }
    assert!(connect_of(0x11, CONNECT_4).is_err(), "reserved flags of the header");
    for length in 0..CONNECT_4.len() {
        assert!(connect_of(0x10, &CONNECT_4[..length]).is_err(), "cut at {length}");
    }
    assert!(connect_of(0x10, &[CONNECT_4, &[0]].concat()).is_err(), "a byte too many");
}

#[test]
fn versions_that_are_not_spoken_get_their_own_answer() {
    let mut body = CONNECT_4.to_vec();
    assert_eq!(unsupported_version(0x10, &body), None);
    body[6] = 3;
    assert_eq!(unsupported_version(0x10, &body), Some(&[0x20, 2, 0, 1][..]));
    body[6] = 9;
    assert_eq!(unsupported_version(0x10, &body).unwrap()[3], reason::VERSION);
    let old = [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, 2, 0, 0, 0, 0];
    assert_eq!(unsupported_version(0x10, &old), Some(&[0x20, 2, 0, 1][..]));
}

#[test]
fn messages_are_read_with_their_flags() {
    let Packet::Publish(publish) = read(0x3B, &[0, 1, b't', 0, 7, b'x'], false).unwrap() else { panic!() };
    assert_eq!((&*publish.topic, &publish.payload[..], publish.packet_id), ("t", &b"x"[..], 7));
    assert_eq!((publish.qos, publish.retain, publish.duplicate), (Qos::AtLeastOnce, true, true));
    let aliased = read(0x30, &[0, 0, 3, property::TOPIC_ALIAS, 0, 5, b'x'], true).unwrap();
    assert!(matches!(aliased, Packet::Publish(publish) if publish.of.topic_alias == Some(5)));
    for (first, body, version_5, fault) in [
        (0x36, &[0, 1, b't', 0, 7][..], false, MALFORMED),
        (0x38, &[0, 1, b't'], false, MALFORMED),
        (0x32, &[0, 1, b't', 0, 0], false, PROTOCOL),
        (0x30, &[0, 1, b'#'], false, Fault(reason::TOPIC_INVALID)),
        (0x30, &[0, 0], false, Fault(reason::TOPIC_INVALID)),
        (0x30, &[0, 0, 0], true, PROTOCOL),
        (0x30, &[0, 1, b't', 9], true, MALFORMED),
    ] {
        assert_eq!(read(first, body, version_5).unwrap_err(), fault, "{first:#x} {body:?}");
    }
}

#[test]
fn subscriptions_are_read_and_checked() {
    let body = [0, 1, 2, property::SUBSCRIPTION_ID, 7, 0, 1, b'a', 0x2D];
    let Packet::Subscribe { id, tag, wanted } = read(0x82, &body, true).unwrap() else { panic!() };
    assert_eq!((id, tag), (1, Some(7)));
    let all = Wanted {
        filter: "a".into(),
        qos: Qos::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: 2,
    };
    assert_eq!(wanted, [all]);
    for (first, body, version_5) in [
        (0x82, &[0, 1][..], false),
        (0x82, &[0, 0, 0, 1, b'a', 0], false),
        (0x82, &[0, 1, 0, 1, b'a', 3], false),
        (0x82, &[0, 1, 0, 1, b'a', 4], false),
        (0x80, &[0, 1, 0, 1, b'a', 0], false),
        (0x82, &[0, 1, 0, 0, 1, b'a', 0x30], true),
        (0x82, &[0, 1, 2, property::SUBSCRIPTION_ID, 0, 0, 1, b'a', 0], true),
        (0x82, &[0, 1, 0, 0, 10, b'$', b's', b'h', b'a', b'r', b'e', b'/', b'g', b'/', b'a', 4], true),
    ] {
        assert!(read(first, body, version_5).is_err(), "{body:?}");
    }
}

#[test]
fn answers_and_goodbyes_are_read() {
    assert!(matches!(read(0x40, &[0, 7], true), Ok(Packet::PubAck(7))));
    assert!(matches!(read(0x50, &[0, 7, 0x97], true), Ok(Packet::PubRec { id: 7, reason: 0x97 })));
    assert!(matches!(read(0x62, &[0, 7, 0, 0], true), Ok(Packet::PubRel(7))));
    assert!(read(0x60, &[0, 7], true).is_err(), "PUBREL has its own flags");
    assert!(read(0x40, &[0, 7, 0], false).is_err(), "no reasons in 3.1.1");
    let bye = read(0xE0, &[4, 5, property::SESSION_EXPIRY, 0, 0, 0, 9], true).unwrap();
    assert!(matches!(bye, Packet::Disconnect { reason: 4, session_expiry: Some(9) }));
    assert!(read(0xE0, &[0], false).is_err());
    for server_only in [0x20, 0x90, 0xB0, 0xD0, 0xF0, 0x00] {
        assert!(read(server_only, &[0, 0], true).is_err());
    }
}
