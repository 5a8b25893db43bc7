//! Takes the entries of dropped events out of the index of finished spans.
//!
//! Value by value, so that readers find every event that is there at any moment; repeated after a crash it does the
//! rest. Filters of ids stay: they may say "perhaps" of what is gone.

use super::{BATCH, Kind, filtered_offsets, kind_key, offset_of, span_first, span_of};
use crate::LogError;
use crate::hashed::{self, IdKind};
use crate::store::{Batch, Space, Store};

/// Forgets the events of a range of positions that are gone. Answers how many entries went.
pub(crate) fn forget(
    store: &Store,
    (first, last): (u64, u64),
    is_there: impl Fn(u64) -> bool,
) -> Result<u64, LogError> {
    let mut gone = 0;
    for span in span_of(first)..=span_of(last) {
        let begin = span_first(span);
        let low = offset_of(first.max(begin));
        let high = offset_of(last.min(span_first(span + 1) - 1));
        let stays = |offset: u16| !(low..=high).contains(&offset) || is_there(begin + u64::from(offset));
        let prefixes = [Kind::Stream, Kind::Category, Kind::Type].map(|kind| kind_key(kind, span));
        for prefix in prefixes {
            gone += shorten(store, &prefix, |value| filtered_offsets(value, &stays))?;
        }
        for kind in [IdKind::Own, IdKind::Correlation, IdKind::Causation] {
            gone += shorten(store, &hashed::prefix(kind, span), |value| hashed::filtered(value, &stays))?;
        }
    }
    Ok(gone)
}

/// Puts what is left of each value in its place, and removes those of which nothing is.
fn shorten(store: &Store, prefix: &[u8], mut filter: impl FnMut(&[u8]) -> (Vec<u8>, u64)) -> Result<u64, LogError> {
    let (mut batch, mut all) = (Batch::default(), 0);
    for item in store.prefix(Space::Log, prefix) {
        let (key, value) = item?;
        let (left, gone) = filter(&value);
        match (gone, left.is_empty()) {
            (0, _) => continue,
            (_, true) => batch.remove(&key),
            (_, false) => batch.put(&key, &left),
        }
        all += gone;
        if batch.len() >= BATCH {
            store.apply(Space::Log, std::mem::take(&mut batch))?;
        }
    }
    store.apply(Space::Log, batch)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidewire_model::event::{EventId, NewEvent, Place, StreamName};
    use tidewire_model::position::Position;

    use super::super::{SPAN, Span, stored_ids, stored_matching, stored_offsets};
    use super::*;

    #[test]
    fn entries_of_dropped_events_go_and_others_are_found_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let id = |position: u64| EventId::from(format!("e{position}"));
        for number in 0..2 {
            let mut span = Span::new(number);
            for position in span_first(number)..span_first(number + 1) {
                let stream =
                    StreamName::new(if position.is_multiple_of(2) { "thing-even" } else { "thing-odd" }).unwrap();
                let place = Place { stream, position: Position::new(position), version: 1, recorded_time: 0 };
                let new = NewEvent::new("read", "text/plain", "x").with_id(id(position));
                span.add(&NewEvent { correlation_id: Some(EventId::from("chain")), ..new }.record(|| id(0), place));
            }
            span.write(&store).unwrap();
        }
        // Of the second half of the first span and the first half of the second one, all odd events are gone.
        let range = (SPAN / 2 + 1, SPAN + SPAN / 2);
        let is_there = |position: u64| position.is_multiple_of(2);
        assert_eq!(forget(&store, range, is_there).unwrap(), SPAN / 2 * 5);
        let offsets = |name: &str, span| {
            let mut found = Vec::new();
            stored_offsets(&store, Kind::Stream, name, span, |offset| found.push(u64::from(offset))).unwrap();
            found
        };
        let odd: Vec<u64> = (0..SPAN).step_by(2).collect();
        let (low, high) = odd.split_at(odd.len() / 2);
        assert_eq!((offsets("thing-odd", 0).as_slice(), offsets("thing-odd", 1).as_slice()), (low, high));
        assert_eq!(offsets("thing-even", 0).len() as u64, SPAN / 2);
        let mut all = 0;
        stored_matching(&store, Kind::Type, "r*", 0, |_| all += 1).unwrap();
        assert_eq!(all, SPAN * 3 / 4);
        let chain = hashed::stored(&store, IdKind::Correlation, 1, super::super::id_hash(EventId::from("chain").key()));
        assert_eq!(chain.unwrap().len() as u64, SPAN * 3 / 4);
        for position in 1..=2 * SPAN {
            let gone = (range.0..=range.1).contains(&position) && !is_there(position);
            let found = stored_ids(&store, span_of(position), id(position).key()).unwrap();
            assert_eq!(found.contains(&position), !gone, "{position}");
        }
        assert_eq!(forget(&store, range, is_there).unwrap(), 0, "once more does nothing");
        assert_eq!(forget(&store, (1, SPAN), |_| false).unwrap(), SPAN * 3 / 4 * 5);
        assert!(store.prefix(Space::Log, &kind_key(Kind::Stream, 0)).next().is_none());
    }
}
