//! Packets as clients send them: reading, with every check that needs no memory of what came before.

use bytes::Bytes;
use bytestring::ByteString;
use tidewire_node_api::broker::Qos;

use crate::properties::{self as property, OfMessage};
use crate::topics;
use crate::wire::{Fault, MALFORMED, PROTOCOL, Reader, reason};

/// A CONNECT.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) version_5: bool,
    pub(crate) client_id: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Bytes>,
    pub(crate) keep_alive: u16,
    pub(crate) clean_start: bool,
    /// Seconds for which the session is wanted after the connection; `u32::MAX` is for ever.
    pub(crate) session_expiry: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) packet_maximum: u32,
    pub(crate) wants_authentication: bool,
    pub(crate) will: Option<Will>,
}

/// A will as it stands in a CONNECT.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) topic: ByteString,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) of: OfMessage,
}

/// A PUBLISH.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) topic: ByteString,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) duplicate: bool,
    /// 0 at QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) of: OfMessage,
}

/// One line of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) filter: String,
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) retain_handling: u8,
}

#[derive(Debug)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    Publish(Publish),
    PubAck(u16),
    PubRec { id: u16, reason: u8 },
    PubRel(u16),
    PubComp(u16),
    Subscribe { id: u16, tag: Option<u32>, wanted: Vec<Wanted> },
    Unsubscribe { id: u16, filters: Vec<String> },
    PingReq,
    Disconnect { reason: u8, session_expiry: Option<u32> },
}

/// The answer to a version that the broker does not speak, if the packet is a CONNECT with one.
pub(crate) fn unsupported_version(first: u8, body: &[u8]) -> Option<&'static [u8]> {
    let mut reader = Reader::new(body);
    let name = reader.text().ok()?;
    let level = reader.u8().ok()?;
    if first != 0x10 || !matches!(name, "MQTT" | "MQIsdp") || (name == "MQTT" && matches!(level, 4 | 5)) {
        return None;
    }
    Some(if level < 5 { &[0x20, 2, 0, 1] } else { &[0x20, 3, 0, reason::VERSION, 0] })
}

/// Reads a packet from its first byte and its body.
pub(crate) fn read(first: u8, body: &[u8], version_5: bool) -> Result<Packet, Fault> {
    let (kind, flags) = (first >> 4, first & 0x0F);
    let flags_expected = match kind {
        3 => flags,
        6 | 8 | 10 => 2,
        _ => 0,
    };
    if flags != flags_expected {
        return Err(MALFORMED);
    }
    let mut reader = Reader::new(body);
    let packet = match kind {
        1 => Packet::Connect(Box::new(connect(&mut reader)?)),
        3 => Packet::Publish(publish(flags, &mut reader, version_5)?),
        4 => Packet::PubAck(answer(&mut reader, version_5)?.0),
        5 => {
            let (id, reason) = answer(&mut reader, version_5)?;
            Packet::PubRec { id, reason }
        }
        6 => Packet::PubRel(answer(&mut reader, version_5)?.0),
        7 => Packet::PubComp(answer(&mut reader, version_5)?.0),
        8 => subscribe(&mut reader, version_5)?,
        10 => unsubscribe(&mut reader, version_5)?,
        12 => Packet::PingReq,
        14 => disconnect(&mut reader, version_5)?,
        _ => return Err(PROTOCOL),
    };
    if reader.is_empty() { Ok(packet) } else { Err(MALFORMED) }
}

fn connect(reader: &mut Reader<'_>) -> Result<Connect, Fault> {
    if reader.text()? != "MQTT" {
        return Err(MALFORMED);
    }
    let version_5 = match reader.u8()? {
        4 => false,
        5 => true,
        _ => return Err(Fault(reason::VERSION)),
    };
    let flags = reader.u8()?;
    let keep_alive = reader.u16()?;
    let is = |bit: u8| flags & bit != 0;
    let (has_will, will_qos, will_retain) = (is(0x04), flags >> 3 & 3, is(0x20));
    let misplaced = !has_will && (will_qos != 0 || will_retain);
    if is(0x01) || misplaced || will_qos == 3 || (!version_5 && is(0x40) && !is(0x80)) {
        return Err(MALFORMED);
    }
    let mut connect = Connect {
        version_5,
        client_id: String::new(),
        username: None,
        password: None,
        keep_alive,
        clean_start: is(0x02),
        session_expiry: if version_5 || is(0x02) { 0 } else { u32::MAX },
        receive_maximum: u16::MAX,
        packet_maximum: u32::MAX,
        wants_authentication: false,
        will: None,
    };
    if version_5 {
        connect_properties(reader, &mut connect)?;
    }
    reader.text()?.clone_into(&mut connect.client_id);
    if has_will {
        let of = if version_5 { OfMessage::read(reader, true)? } else { OfMessage::default() };
        let topic = ByteString::from(reader.text()?);
        let payload = Bytes::copy_from_slice(reader.binary()?);
        if !topics::is_topic(&topic) {
            return Err(Fault(reason::TOPIC_INVALID));
        }
        let qos = Qos::from_u8(will_qos).ok_or(MALFORMED)?;
        connect.will = Some(Will { topic, payload, qos, retain: will_retain, of });
    }
    if is(0x80) {
        connect.username = Some(reader.text()?.to_owned());
    }
    if is(0x40) {
        connect.password = Some(Bytes::copy_from_slice(reader.binary()?));
    }
    Ok(connect)
}

fn connect_properties(reader: &mut Reader<'_>, connect: &mut Connect) -> Result<(), Fault> {
    let mut has_auth_data = false;
    property::read(reader, |id, section| {
        match id {
            property::SESSION_EXPIRY => connect.session_expiry = section.u32()?,
            property::RECEIVE_MAXIMUM => connect.receive_maximum = section.u16()?,
            property::PACKET_MAXIMUM => connect.packet_maximum = section.u32()?,
            property::TOPIC_ALIAS_MAXIMUM => drop(section.u16()?),
            property::REQUEST_RESPONSE | property::REQUEST_PROBLEM => drop(property::flag(section)?),
            property::AUTH_METHOD => {
                section.text()?;
                connect.wants_authentication = true;
            }
            property::AUTH_DATA => {
                section.binary()?;
                has_auth_data = true;
            }
            property::USER_PROPERTY => property::skip_user(section)?,
            _ => return Err(MALFORMED),
        }
        Ok(())
    })?;
    let zero = connect.receive_maximum == 0 || connect.packet_maximum == 0;
    if zero || (has_auth_data && !connect.wants_authentication) { Err(PROTOCOL) } else { Ok(()) }
}

fn publish(flags: u8, reader: &mut Reader<'_>, version_5: bool) -> Result<Publish, Fault> {
    let qos = Qos::from_u8(flags >> 1 & 3).ok_or(MALFORMED)?;
    let duplicate = flags & 0x08 != 0;
    if duplicate && qos == Qos::AtMostOnce {
        return Err(MALFORMED);
    }
    let topic = ByteString::from(reader.text()?);
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { packet_id(reader)? };
    let of = if version_5 { OfMessage::read(reader, false)? } else { OfMessage::default() };
    let alias_only = topic.is_empty() && of.topic_alias.is_some();
    if topic.is_empty() && of.topic_alias.is_none() && version_5 {
        return Err(PROTOCOL);
    }
    if !alias_only && !topics::is_topic(&topic) {
        return Err(Fault(reason::TOPIC_INVALID));
    }
    let payload = Bytes::copy_from_slice(reader.rest());
    Ok(Publish { topic, payload, qos, retain: flags & 1 != 0, duplicate, packet_id, of })
}

fn packet_id(reader: &mut Reader<'_>) -> Result<u16, Fault> {
    match reader.u16()? {
        0 => Err(PROTOCOL),
        id => Ok(id),
    }
}

/// Packet id and reason of PUBACK, PUBREC, PUBREL or PUBCOMP.
fn answer(reader: &mut Reader<'_>, version_5: bool) -> Result<(u16, u8), Fault> {
    let id = packet_id(reader)?;
    if !version_5 || reader.is_empty() {
        return Ok((id, reason::SUCCESS));
    }
    let reason = reader.u8()?;
    if !reader.is_empty() {
        reasons(reader)?;
    }
    Ok((id, reason))
}

/// Properties that only explain.
fn reasons(reader: &mut Reader<'_>) -> Result<(), Fault> {
    property::read(reader, |id, section| match id {
        property::REASON_STRING => section.text().map(drop),
        property::USER_PROPERTY => property::skip_user(section),
        _ => Err(MALFORMED),
    })
}

fn subscribe(reader: &mut Reader<'_>, version_5: bool) -> Result<Packet, Fault> {
    let id = packet_id(reader)?;
    let mut tag = None;
    if version_5 {
        property::read(reader, |id, section| match id {
            property::SUBSCRIPTION_ID => match section.variable()? {
                0 => Err(PROTOCOL),
                number => {
                    tag = u32::try_from(number).ok();
                    Ok(())
                }
            },
            property::USER_PROPERTY => property::skip_user(section),
            _ => Err(MALFORMED),
        })?;
    }
    let mut wanted = Vec::new();
    while !reader.is_empty() {
        let filter = reader.text()?.to_owned();
        let options = reader.u8()?;
        let qos = Qos::from_u8(options & 3).ok_or(MALFORMED)?;
        let retain_handling = options >> 4 & 3;
        if options & 0xC0 != 0 || retain_handling == 3 || (!version_5 && options & 0xFC != 0) {
            return Err(MALFORMED);
        }
        let (no_local, retain_as_published) = (options & 4 != 0, options & 8 != 0);
        if no_local && filter.starts_with("$share/") {
            return Err(PROTOCOL);
        }
        wanted.push(Wanted { filter, qos, no_local, retain_as_published, retain_handling });
    }
    if wanted.is_empty() { Err(PROTOCOL) } else { Ok(Packet::Subscribe { id, tag, wanted }) }
}

fn unsubscribe(reader: &mut Reader<'_>, version_5: bool) -> Result<Packet, Fault> {
    let id = packet_id(reader)?;
    if version_5 {
        property::read(reader, |id, section| match id {
            property::USER_PROPERTY => property::skip_user(section),
            _ => Err(MALFORMED),
        })?;
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(reader.text()?.to_owned());
    }
    if filters.is_empty() { Err(PROTOCOL) } else { Ok(Packet::Unsubscribe { id, filters }) }
}

fn disconnect(reader: &mut Reader<'_>, version_5: bool) -> Result<Packet, Fault> {
    let (mut reason, mut session_expiry) = (reason::SUCCESS, None);
    if version_5 && !reader.is_empty() {
        reason = reader.u8()?;
        if !reader.is_empty() {
            property::read(reader, |id, section| match id {
                property::SESSION_EXPIRY => {
                    session_expiry = Some(section.u32()?);
                    Ok(())
                }
                property::REASON_STRING => section.text().map(drop),
                property::USER_PROPERTY => property::skip_user(section),
                _ => Err(MALFORMED),
            })?;
        }
    }
    Ok(Packet::Disconnect { reason, session_expiry })
}

#[cfg(test)]
mod tests;
