//! The properties of MQTT 5: reading sections of them, and those of messages, which pass through as they came.

use bytes::{BufMut, Bytes, BytesMut};
use tidewire_node_api::broker::Properties;

use crate::topics;
use crate::wire::{Fault, MALFORMED, PROTOCOL, Reader, put_binary, put_variable, reason};

pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION_DATA: u8 = 0x09;
pub(crate) const SUBSCRIPTION_ID: u8 = 0x0B;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(crate) const AUTH_METHOD: u8 = 0x15;
pub(crate) const AUTH_DATA: u8 = 0x16;
pub(crate) const REQUEST_PROBLEM: u8 = 0x17;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const REQUEST_RESPONSE: u8 = 0x19;
pub(crate) const REASON_STRING: u8 = 0x1F;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const USER_PROPERTY: u8 = 0x26;
pub(crate) const PACKET_MAXIMUM: u8 = 0x27;

/// Reads a section of properties: `each` gets every id and reads its value. Ids come once, but for user properties.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    mut each: impl FnMut(u8, &mut Reader<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut section = reader.section()?;
    let mut seen = 0_u64;
    while !section.is_empty() {
        let id = section.u8()?;
        if id != USER_PROPERTY {
            let bit = 1_u64.checked_shl(u32::from(id)).ok_or(MALFORMED)?;
            if seen & bit != 0 {
                return Err(PROTOCOL);
            }
            seen |= bit;
        }
        each(id, &mut section)?;
    }
    Ok(())
}

/// A flag: 0 or 1.
pub(crate) fn flag(reader: &mut Reader<'_>) -> Result<bool, Fault> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(PROTOCOL),
    }
}

/// A user property, which nobody here looks at.
pub(crate) fn skip_user(reader: &mut Reader<'_>) -> Result<(), Fault> {
    reader.text()?;
    reader.text()?;
    Ok(())
}

/// What a message says about itself beside its topic and payload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OfMessage {
    /// The properties that subscribers get as they came.
    pub(crate) passing: Bytes,
    pub(crate) topic_alias: Option<u16>,
    pub(crate) expiry: Option<u32>,
    pub(crate) will_delay: u32,
}

impl OfMessage {
    /// Reads the properties of a PUBLISH, or with `will` those of a will.
    pub(crate) fn read(reader: &mut Reader<'_>, will: bool) -> Result<Self, Fault> {
        let (mut of, mut passing) = (OfMessage::default(), BytesMut::new());
        read(reader, |id, section| {
            let before = *section;
            match id {
                PAYLOAD_FORMAT => drop(flag(section)?),
                CONTENT_TYPE => drop(section.text()?),
                RESPONSE_TOPIC => {
                    if !topics::is_topic(section.text()?) {
                        return Err(Fault(reason::TOPIC_INVALID));
                    }
                }
                CORRELATION_DATA => drop(section.binary()?),
                USER_PROPERTY => skip_user(section)?,
                MESSAGE_EXPIRY => {
                    of.expiry = Some(section.u32()?);
                    return Ok(());
                }
                TOPIC_ALIAS if !will => {
                    of.topic_alias = Some(section.u16()?);
                    return Ok(());
                }
                WILL_DELAY if will => {
                    of.will_delay = section.u32()?;
                    return Ok(());
                }
                SUBSCRIPTION_ID if !will => return Err(PROTOCOL),
                _ => return Err(MALFORMED),
            }
            passing.put_u8(id);
            passing.put_slice(before.clone().take(before.len() - section.len())?);
            Ok(())
        })?;
        of.passing = passing.freeze();
        Ok(of)
    }
}

/// Properties as the wire has them, without those that belong to one hop.
pub(crate) fn to_passing(properties: &Properties) -> Bytes {
    let mut out = BytesMut::new();
    if let Some(format) = properties.payload_format {
        out.put_slice(&[PAYLOAD_FORMAT, format & 1]);
    }
    for (id, text) in [(CONTENT_TYPE, &properties.content_type), (RESPONSE_TOPIC, &properties.response_topic)] {
        if let Some(text) = text {
            out.put_u8(id);
            put_binary(&mut out, text.as_bytes());
        }
    }
    if let Some(data) = &properties.correlation_data {
        out.put_u8(CORRELATION_DATA);
        put_binary(&mut out, data);
    }
    for (key, value) in &properties.user {
        out.put_u8(USER_PROPERTY);
        put_binary(&mut out, key.as_bytes());
        put_binary(&mut out, value.as_bytes());
    }
    out.freeze()
}

/// The other way round; `None` when there are none. The bytes have been checked when they came.
pub(crate) fn from_passing(passing: &[u8], expiry: Option<u32>, tags: &[u32]) -> Option<Box<Properties>> {
    let mut properties =
        Properties { message_expiry: expiry, subscription_ids: tags.to_vec(), ..Properties::default() };
    let mut reader = Reader::new(passing);
    let mut read = || -> Result<(), Fault> {
        while !reader.is_empty() {
            match reader.u8()? {
                PAYLOAD_FORMAT => properties.payload_format = Some(reader.u8()?),
                CONTENT_TYPE => properties.content_type = Some(reader.text()?.to_owned()),
                RESPONSE_TOPIC => properties.response_topic = Some(reader.text()?.to_owned()),
                CORRELATION_DATA => properties.correlation_data = Some(Bytes::copy_from_slice(reader.binary()?)),
                _ => properties.user.push((reader.text()?.to_owned(), reader.text()?.to_owned())),
            }
        }
        Ok(())
    };
    let complete = read();
    debug_assert!(complete.is_ok(), "the properties were checked when they came");
    (properties != Properties::default()).then(|| Box::new(properties))
}

/// Appends what the broker itself adds to the properties of one delivery.
pub(crate) fn put_added(out: &mut BytesMut, expiry: Option<u32>, tags: &[u32]) {
    if let Some(seconds) = expiry {
        out.put_u8(MESSAGE_EXPIRY);
        out.put_u32(seconds);
    }
    for tag in tags {
        out.put_u8(SUBSCRIPTION_ID);
        put_variable(out, *tag as usize);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn section(bytes: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        put_variable(&mut out, bytes.len());
        out.put_slice(bytes);
        out.to_vec()
    }

    #[test]
    fn what_belongs_to_one_hop_is_taken_out_and_the_rest_passes() {
        let given = Properties {
            content_type: Some("text/plain".into()),
            correlation_data: Some("7".into()),
            user: vec![("unit".into(), "°C".into()), ("unit".into(), "K".into())],
            ..Properties::default()
        };
        let passing = to_passing(&given);
        let hop = [TOPIC_ALIAS, 0, 9, MESSAGE_EXPIRY, 0, 0, 0, 30];
        let of = OfMessage::read(&mut Reader::new(&section(&[&hop[..], &passing].concat())), false).unwrap();
        assert_eq!((of.topic_alias, of.expiry, &of.passing), (Some(9), Some(30), &passing));
        assert_eq!(*from_passing(&of.passing, None, &[]).unwrap(), given);
        assert_eq!(from_passing(&[], None, &[]), None);
    }

    #[test]
    fn what_may_not_stand_there_is_refused() {
        for (bad, fault) in [
            (&[SUBSCRIPTION_ID, 1][..], PROTOCOL),
            (&[PAYLOAD_FORMAT, 2], PROTOCOL),
            (&[PAYLOAD_FORMAT, 1, PAYLOAD_FORMAT, 1], PROTOCOL),
            (&[SESSION_EXPIRY, 0, 0, 0, 1], MALFORMED),
            (&[0x7F, 1], MALFORMED),
            (&[RESPONSE_TOPIC, 0, 1, b'#'], Fault(reason::TOPIC_INVALID)),
        ] {
            assert_eq!(OfMessage::read(&mut Reader::new(&section(bad)), false), Err(fault));
        }
    }
}
