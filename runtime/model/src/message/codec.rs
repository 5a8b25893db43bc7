//! Whole messages as compact bytes, envelope included, for nodes that keep messages through restarts.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes};
use compact_str::CompactString;

use super::{Flags, Inner, Message, Provenance};
use crate::value::codec::{
    CodecError, count, end, read_map, read_number, read_text, version, write_map, write_number, write_slice,
};

/// Version of the form. Another one is refused.
const FORM: u8 = 1;

mod bit {
    pub const REPLAYED: u8 = 1;
    pub const RETAINED: u8 = 2;
    pub const LATE: u8 = 4;
    pub const PROVENANCE: u8 = 8;
    pub const CORRELATION: u8 = 16;
    pub const COMMAND: u8 = 32;
    pub const INGEST: u8 = 64;
    pub const ALL: u8 = 127;
}

impl Message {
    /// The message as bytes with a version; [`Message::from_bytes`] is the way back.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let inner = &*self.0;
        let mut out = Vec::with_capacity(64);
        out.push(FORM);
        out.push(bits(inner));
        out.extend_from_slice(&inner.id.to_le_bytes());
        write_number(u64::from(inner.hops), &mut out);
        if let Some(provenance) = &inner.provenance {
            write_number(provenance.causes.len() as u64, &mut out);
            provenance.causes.iter().for_each(|cause| write_slice(cause.as_bytes(), &mut out));
            let texts =
                [provenance.correlation.as_deref(), provenance.command.as_deref(), provenance.ingest.as_deref()];
            texts.into_iter().flatten().for_each(|text| write_slice(text.as_bytes(), &mut out));
        }
        write_map(&inner.body, &mut out);
        Bytes::from(out)
    }

    /// The message that [`Message::to_bytes`] wrote, with its envelope.
    ///
    /// # Errors
    /// The bytes are of another version, damaged, or not used up by the message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Message, CodecError> {
        let mut bytes = Bytes::copy_from_slice(bytes);
        version(&mut bytes, FORM)?;
        let bits = bytes.try_get_u8().map_err(|_| CodecError::Damaged)?;
        if bits & !bit::ALL != 0 {
            return Err(CodecError::Damaged);
        }
        let id = bytes.try_get_u64_le().map_err(|_| CodecError::Damaged)?;
        let hops = u32::try_from(read_number(&mut bytes)?).map_err(|_| CodecError::Damaged)?;
        let provenance = if bits & bit::PROVENANCE == 0 { None } else { Some(provenance(bits, &mut bytes)?) };
        let body = read_map(&mut bytes, 1)?;
        end(&bytes)?;
        let flags = Flags {
            replayed: bits & bit::REPLAYED != 0,
            retained: bits & bit::RETAINED != 0,
            late: bits & bit::LATE != 0,
        };
        Ok(Message(Arc::new(Inner {
            id,
            id_text: OnceLock::new(),
            hops,
            flags,
            provenance,
            weight: AtomicU32::new(0),
            body,
        })))
    }
}

fn bits(inner: &Inner) -> u8 {
    let provenance = inner.provenance.as_deref();
    let set = [
        (bit::REPLAYED, inner.flags.replayed),
        (bit::RETAINED, inner.flags.retained),
        (bit::LATE, inner.flags.late),
        (bit::PROVENANCE, provenance.is_some()),
        (bit::CORRELATION, provenance.is_some_and(|provenance| provenance.correlation.is_some())),
        (bit::COMMAND, provenance.is_some_and(|provenance| provenance.command.is_some())),
        (bit::INGEST, provenance.is_some_and(|provenance| provenance.ingest.is_some())),
    ];
    set.into_iter().filter(|(_, set)| *set).fold(0, |bits, (bit, _)| bits | bit)
}

fn provenance(bits: u8, bytes: &mut Bytes) -> Result<Arc<Provenance>, CodecError> {
    let len = count(bytes)?;
    let causes: Result<Vec<String>, CodecError> = (0..len).map(|_| Ok(read_text(bytes)?.to_string())).collect();
    let causes = causes?;
    let mut text = |bit| if bits & bit == 0 { Ok(None) } else { read_text(bytes).map(Some) };
    let correlation = text(bit::CORRELATION)?.map(|text| text.to_string());
    let command = text(bit::COMMAND)?.map(|text| text.to_string());
    let ingest = text(bit::INGEST)?.map(|text| CompactString::from(&*text));
    Ok(Arc::new(Provenance { causes, correlation, command, ingest }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::value::Map;
    use crate::value::codec::testing::any_value;
    use proptest::prelude::*;

    fn any_provenance() -> impl Strategy<Value = Provenance> {
        let text = || prop::option::of(".{0,20}");
        (prop::collection::vec(".{0,20}", 0..3), text(), text(), text()).prop_map(
            |(causes, correlation, command, ingest)| Provenance {
                causes,
                correlation,
                command,
                ingest: ingest.map(CompactString::from),
            },
        )
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let body = prop::collection::vec(("_msgid|payload|topic|[0-9]|[a-z]{1,6}", any_value()), 0..6);
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        (any::<u64>(), body, flags, 0..9_u32, prop::option::of(any_provenance())).prop_map(
            |(id, body, (replayed, retained, late), hops, provenance)| {
                let body: Map = body.into_iter().collect();
                let mut message = Message::new(id, body);
                message.set_flags(Flags { replayed, retained, late });
                for _ in 0..hops {
                    message.add_hop();
                }
                if let Some(provenance) = provenance {
                    message.set_provenance(Arc::new(provenance));
                }
                message
            },
        )
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_was(message in any_message()) {
            let back = Message::from_bytes(&message.to_bytes()).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{message:?}"));
            prop_assert_eq!(format!("{:?}", back.msgid()), format!("{:?}", message.msgid()));
        }

        #[test]
        fn a_message_that_is_cut_off_is_refused(message in any_message(), cut in any::<prop::sample::Index>()) {
            let whole = message.to_bytes();
            let cut = cut.index(whole.len());
            prop_assert!(Message::from_bytes(whole.get(..cut).unwrap()).is_err());
        }
    }
}
