//! Says which events and state changes are hit by damage: every event has a checksum of its own.

use bytes::Bytes;

use super::archive::Chunk;
use super::entry::RawEntry;
use super::record::{MAGIC, RECORD_HEAD, RecordHead, read_state, split_state};
use crate::envelope::{frame_is_whole, peek_frame, split_frame};

/// What is hit in a record whose head is as it should be but whose checksum does not match.
pub(crate) fn in_record(record: &Bytes, head: &RecordHead) -> Vec<String> {
    let mut rest = record.slice(RECORD_HEAD.min(record.len())..);
    let mut hit = Vec::new();
    for position in head.first_position..head.first_position.saturating_add(head.events as u64) {
        match split_frame(&mut rest) {
            Some(frame) if frame_is_whole(&frame) => {}
            Some(frame) => hit.push(event(position, &frame)),
            None => {
                hit.push(event(position, &rest));
                return hit;
            }
        }
    }
    if hit.is_empty() {
        let keys = std::iter::from_fn(|| split_state(&mut rest)).map(|change| read_state(&change));
        let keys: Vec<_> = keys.map(|change| change.map_or_else(|| "?".into(), |change| change.key)).take(5).collect();
        let keys = if keys.is_empty() { String::new() } else { format!(" (keys {})", keys.join(", ")) };
        hit.push(format!(
            "the head or a state change{keys} of commit {} is damaged; its events are whole",
            head.commit
        ));
    }
    hit
}

fn event(position: u64, frame: &[u8]) -> String {
    match peek_frame(frame) {
        Some((stream, id)) => format!("the event at position {position} is damaged (stream {stream}, id {id})"),
        None => format!("the event at position {position} is damaged (its stream and id cannot be read)"),
    }
}

/// What is hit in a chunk of an archive whose checksum does not match.
pub(crate) fn in_chunk(chunk: &Chunk) -> Vec<String> {
    let mut hit = Vec::new();
    let Ok(mut rest) = chunk.unpack() else { return vec![format!("{} cannot be unpacked", chunk.positions())] };
    while let Some(entry) = RawEntry::split(&mut rest) {
        match entry {
            RawEntry::Whole(record) => {
                if let Some(head) = RecordHead::parse(&record)
                    && head.check(&record).is_err()
                {
                    hit.append(&mut in_record(&record, &head));
                }
            }
            RawEntry::Other { whole: false } => hit.push("a thinned commit or a gap is damaged".to_owned()),
            RawEntry::Other { whole: true } => {}
        }
    }
    if hit.is_empty() || !rest.is_empty() {
        hit.push(format!("a part with {} is damaged", chunk.positions()));
    }
    hit
}

/// Where, after the first byte of `rest`, the next whole, valid record later than a commit is.
pub(crate) fn later_record(rest: &[u8], commit: u64) -> Option<(usize, RecordHead)> {
    let mut at = 1;
    while let Some(found) = rest.get(at..).and_then(|rest| rest.windows(4).position(|window| window == MAGIC)) {
        let bytes = rest.get(at + found..).unwrap_or_default();
        if let Some(head) = RecordHead::parse(bytes)
            && head.commit > commit
            && head.check(bytes).is_ok()
        {
            return Some((at + found, head));
        }
        at += found + 1;
    }
    None
}
