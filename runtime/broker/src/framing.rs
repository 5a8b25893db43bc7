//! Just enough of the MQTT wire format to look at packets that pass through a socket.
//!
//! It reads lengths, the keep-alive of a CONNECT and the properties of a PUBLISH; it does not validate, that is the
//! protocol library's business. Whatever it does not understand passes unchanged.

use bytes::{BufMut, BytesMut};

/// PINGREQ, as a client sends it.
pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];
/// PINGRESP, as the broker answers it.
pub(crate) const PINGRESP: [u8; 2] = [0xD0, 0];

const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;

/// User properties that the protocol library adds to every message it routes. They name the publisher and are for
/// hooks inside the broker; nobody sent them, so nobody may receive them.
const ADDED_PROPERTIES: [&[u8]; 2] = [b"x-mqtt-client-id", b"x-mqtt-sender"];

/// Reads a variable byte integer: value and width.
pub(crate) fn variable_int(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

fn put_variable_int(out: &mut BytesMut, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}

/// Says from a CONNACK whether the connection speaks MQTT 5 (only there it carries properties).
pub(crate) fn is_version_5_connack(packet: &[u8]) -> Option<bool> {
    let first = packet.first()?;
    (first >> 4 == CONNACK).then(|| packet.get(1).is_some_and(|length| *length > 2))
}

/// The keep-alive in seconds that a CONNECT asks for, once enough of it has arrived.
pub(crate) fn keep_alive_of_connect(head: &[u8]) -> Option<u16> {
    let (_, width) = variable_int(head.get(1..)?)?;
    let at = 1 + width;
    let name = usize::from(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?]));
    let at = at + 2 + name + 2;
    Some(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?]))
}

/// Appends an outgoing MQTT 5 packet to `out`, a PUBLISH without the properties that the protocol library added.
pub(crate) fn append_without_added_properties(packet: &[u8], out: &mut BytesMut) {
    if packet.first().is_some_and(|first| first >> 4 == PUBLISH) && rewrite_publish(packet, out).is_some() {
        return;
    }
    out.extend_from_slice(packet);
}

/// Writes the reduced packet and says so with `Some`; `None` leaves `out` untouched.
fn rewrite_publish(packet: &[u8], out: &mut BytesMut) -> Option<()> {
    let first = *packet.first()?;
    let (remaining, width) = variable_int(packet.get(1..)?)?;
    let body = packet.get(1 + width..)?;
    if body.len() != remaining {
        return None;
    }
    let topic = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let packet_id = if first & 0b0110 == 0 { 0 } else { 2 };
    let at = 2 + topic + packet_id;
    let (properties_len, properties_width) = variable_int(body.get(at..)?)?;
    let properties = body.get(at + properties_width..at + properties_width + properties_len)?;
    let payload = body.get(at + properties_width + properties_len..)?;

    let added = added_spans(properties)?;
    let removed: usize = added.iter().flatten().map(|(from, to)| to - from).sum();
    if removed == 0 {
        return None;
    }
    let kept = properties_len - removed;
    let kept_width = variable_int_width(kept);
    out.put_u8(first);
    put_variable_int(out, at + kept_width + kept + payload.len());
    out.extend_from_slice(body.get(..at)?);
    put_variable_int(out, kept);
    let mut copied = 0;
    for (from, to) in added.into_iter().flatten() {
        out.extend_from_slice(properties.get(copied..from)?);
        copied = to;
    }
    out.extend_from_slice(properties.get(copied..)?);
    out.extend_from_slice(payload);
    Some(())
}

fn variable_int_width(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Where the added properties stand among the properties of a PUBLISH, in order.
fn added_spans(properties: &[u8]) -> Option<[Option<(usize, usize)>; 2]> {
    let mut found = [None; 2];
    let mut next = 0;
    let mut at = 0;
    while at < properties.len() {
        let end = at + property_len(properties.get(at..)?)?;
        let property = properties.get(at..end)?;
        if property.first() == Some(&0x26) {
            let key_len = usize::from(u16::from_be_bytes([*property.get(1)?, *property.get(2)?]));
            let key = property.get(3..3 + key_len)?;
            if ADDED_PROPERTIES.contains(&key) {
                *found.get_mut(next)? = Some((at, end));
                next += 1;
            }
        }
        at = end;
    }
    Some(found)
}

/// Length of the property that `bytes` starts with, for the properties that a PUBLISH may carry.
fn property_len(bytes: &[u8]) -> Option<usize> {
    let text = |at: usize| -> Option<usize> {
        Some(2 + usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])))
    };
    Some(match bytes.first()? {
        0x01 => 2,
        0x02 => 5,
        0x03 | 0x08 | 0x09 => 1 + text(1)?,
        0x0B => 1 + variable_int(bytes.get(1..)?)?.1,
        0x23 => 3,
        0x26 => {
            let key = text(1)?;
            1 + key + text(1 + key)?
        }
        _ => return None,
    })
}

/// Follows packet boundaries in a byte stream.
#[derive(Debug, Default)]
pub(crate) struct Boundary {
    header: [u8; 5],
    header_len: usize,
    body_left: usize,
}

impl Boundary {
    /// Takes note of bytes that passed.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.body_left > 0 {
                let step = self.body_left.min(bytes.len());
                self.body_left -= step;
                bytes = bytes.get(step..).unwrap_or_default();
                continue;
            }
            if let Some(slot) = self.header.get_mut(self.header_len) {
                *slot = *first;
            }
            self.header_len = (self.header_len + 1).min(self.header.len());
            bytes = rest;
            let length = self.header.get(1..self.header_len).and_then(variable_int);
            if let Some((length, _)) = length {
                self.body_left = length;
                self.header_len = 0;
            }
        }
    }

    /// Says whether the stream stands between two packets.
    pub(crate) fn is_between_packets(&self) -> bool {
        self.body_left == 0 && self.header_len == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn publish(properties: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut body = BytesMut::new();
        body.put_u16(3);
        body.put_slice(b"a/b");
        put_variable_int(&mut body, properties.len());
        body.put_slice(properties);
        body.put_slice(payload);
        let mut packet = BytesMut::new();
        packet.put_u8(0x30);
        put_variable_int(&mut packet, body.len());
        packet.put_slice(&body);
        packet.to_vec()
    }

    fn user(key: &str, value: &str) -> Vec<u8> {
        let mut out = vec![0x26];
        for text in [key, value] {
            out.extend((text.len() as u16).to_be_bytes());
            out.extend(text.as_bytes());
        }
        out
    }

    fn reduced(packet: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        append_without_added_properties(packet, &mut out);
        out.to_vec()
    }

    #[test]
    fn added_properties_go_and_sent_ones_stay() {
        let kept = [user("unit", "°C"), vec![0x01, 1]].concat();
        let sent = [user("unit", "°C"), user("x-mqtt-client-id", "probe"), vec![0x01, 1], user("x-mqtt-sender", "ann")];
        assert_eq!(reduced(&publish(&sent.concat(), b"21")), publish(&kept, b"21"));
    }

    #[test]
    fn a_long_payload_gets_its_new_length() {
        let payload = vec![7; 16_383];
        let packet = publish(&user("x-mqtt-client-id", "probe"), &payload);
        assert_eq!(reduced(&packet), publish(&[], &payload));
    }

    #[test]
    fn other_and_odd_packets_pass_unchanged() {
        for packet in [publish(&user("unit", "K"), b"1"), vec![0x30, 0], vec![0x40, 2, 0, 1], vec![], vec![0x32, 200]] {
            assert_eq!(reduced(&packet), packet);
        }
    }

    #[test]
    fn keep_alive_is_read_once_it_has_arrived() {
        let connect = [0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 4, b'a', b'b'];
        assert_eq!(keep_alive_of_connect(&connect), Some(60));
        assert_eq!(keep_alive_of_connect(&connect[..11]), None);
    }

    #[test]
    fn boundaries_are_followed_byte_by_byte() {
        let mut stream = publish(&[], &[1; 300]);
        stream.extend(PINGREQ);
        let ends = [stream.len() - 2, stream.len()];
        let mut boundary = Boundary::default();
        for (index, byte) in stream.iter().enumerate() {
            boundary.pass(&[*byte]);
            assert_eq!(boundary.is_between_packets(), ends.contains(&(index + 1)), "after byte {index}");
        }
    }
}
