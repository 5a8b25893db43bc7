//! What an event of a personal stream holds, encrypted: XChaCha20-Poly1305, bound to the stream and the event's id.
//!
//! The nonce is a keyed hash of everything that goes in, not a random number: the same event gives the same bytes, so
//! that a repeated append is recognised without decrypting, and two different ones never share a nonce.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tidewire_model::event::{Body, Event, EventId, Extensions, NewEvent, Raw, StreamName};
use zeroize::Zeroizing;

use super::DataKey;

const FORMAT: u8 = 2;
const NONCE: usize = 24;

/// What is encrypted: data, everything that came in, and what the source says beside.
#[derive(Serialize, Deserialize)]
struct Inside<'a> {
    data: &'a [u8],
    raw: Option<RawInside<'a>>,
    extensions: Extensions,
}

#[derive(Serialize, Deserialize)]
struct RawInside<'a> {
    topic: &'a str,
    retain: bool,
    qos: u8,
    payload: &'a [u8],
}

fn context(stream: &StreamName, id: &EventId) -> Vec<u8> {
    let id = id.to_compact();
    let mut context = b"tidewire.event.1".to_vec();
    for part in [stream.as_str(), id.as_str()] {
        context.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        context.extend_from_slice(part.as_bytes());
    }
    context
}

fn nonce(key: &DataKey, context: &[u8], plain: &[u8]) -> [u8; NONCE] {
    let nonce_key =
        Zeroizing::new(<[u8; 32]>::from(Sha256::new().chain_update(*key.secret).chain_update("nonce").finalize()));
    let inner = Sha256::new()
        .chain_update(*nonce_key)
        .chain_update((context.len() as u64).to_le_bytes())
        .chain_update(context)
        .chain_update(plain)
        .finalize();
    let outer = Sha256::new().chain_update(*nonce_key).chain_update(inner).finalize();
    let mut nonce = [0; NONCE];
    nonce.iter_mut().zip(outer).for_each(|(place, byte)| *place = byte);
    nonce
}

/// Encrypts bytes that are bound to a context.
pub(crate) fn seal_bytes(key: &DataKey, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, String> {
    let nonce = nonce(key, context, plain);
    let sealed = XChaCha20Poly1305::new(&Key::from(*key.secret))
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: context })
        .map_err(|_| "it cannot be encrypted".to_owned())?;
    Ok([&[FORMAT], &nonce[..], &sealed].concat())
}

/// Decrypts what [`seal_bytes`] made.
pub(crate) fn open_bytes(key: &DataKey, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, String> {
    let parts = || {
        let (format, rest) = sealed.split_first()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
        (*format == FORMAT).then_some((*nonce, rest))
    };
    let (nonce, body) = parts().ok_or("its encrypted data is damaged")?;
    XChaCha20Poly1305::new(&Key::from(*key.secret))
        .decrypt(&XNonce::from(nonce), Payload { msg: body, aad: context })
        .map_err(|_| "its encrypted data is damaged, or its key is not the one it was encrypted with".to_owned())
}

/// Encrypts what an event holds. Its id is known.
pub(crate) fn seal(key: &DataKey, stream: &StreamName, id: &EventId, event: &NewEvent) -> Result<Bytes, String> {
    let raw = event.raw.as_ref().map(|raw| RawInside {
        topic: &raw.topic,
        retain: raw.retain,
        qos: raw.qos,
        payload: &raw.payload,
    });
    let inside = Inside { data: &event.data, raw, extensions: event.extensions.clone() };
    let plain = postcard::to_stdvec(&inside).map(Zeroizing::new).map_err(|error| error.to_string())?;
    seal_bytes(key, &context(stream, id), &plain).map(Bytes::from)
}

/// Decrypts what an event holds; the answer is the event with it.
pub(crate) fn open(key: &DataKey, event: &Event, sealed: &[u8]) -> Result<Event, String> {
    let plain = Bytes::from(open_bytes(key, &context(&event.stream, &event.id), sealed)?);
    let inside: Inside<'_> =
        postcard::from_bytes(&plain).map_err(|error| format!("its encrypted data is damaged: {error}"))?;
    let slice = |part: &[u8]| if part.is_empty() { Bytes::new() } else { plain.slice_ref(part) };
    let raw = inside.raw.map(|raw| Raw {
        topic: CompactString::from(raw.topic),
        retain: raw.retain,
        qos: raw.qos,
        payload: slice(raw.payload),
    });
    let data = slice(inside.data);
    Ok(Event { data, raw, extensions: inside.extensions, body: Body::Whole, ..event.clone() })
}
