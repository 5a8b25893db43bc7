//! What differs between two builds of a read model.

use serde::{Deserialize, Serialize};
use tidewire_log::LogError;
use tidewire_model::Value;
use tidewire_model::position::Position;
use tidewire_model::value::to_json_value;

use super::SCAN_PAGE;
use super::codec::{Stored, same};
use super::shelf::Shelf;

/// Differences that are shown.
const SAMPLE: usize = 20;
/// Entries of a build that are compared.
const ENTRIES_MAX: usize = 1_000_000;

/// An entry that is not the same in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub key: String,
    /// Null: there was none.
    pub old: serde_json::Value,
    pub new: serde_json::Value,
}

/// A new build beside the one that it takes the place of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Up to where the old one had got.
    pub old_position: Position,
    /// Up to where the new one had got.
    pub new_position: Position,
    pub old_keys: u64,
    pub new_keys: u64,
    /// How many keys have another value, or are in one of them only.
    pub different: u64,
    /// The first of them.
    pub sample: Vec<Difference>,
}

/// Entries of a build, in order of key.
struct Entries<'a> {
    shelf: &'a Shelf,
    place: &'a str,
    page: std::vec::IntoIter<(String, Stored)>,
    last: Option<String>,
    seen: usize,
}

impl<'a> Entries<'a> {
    fn new(shelf: &'a Shelf, place: &'a str) -> Self {
        Entries { shelf, place, page: Vec::new().into_iter(), last: None, seen: 0 }
    }

    fn next(&mut self) -> Result<Option<(String, Value)>, LogError> {
        if self.seen >= ENTRIES_MAX {
            return Ok(None);
        }
        if self.page.len() == 0 {
            self.page = self.shelf.page(self.place, "", self.last.as_deref(), SCAN_PAGE)?.into_iter();
        }
        let Some((key, stored)) = self.page.next() else { return Ok(None) };
        self.seen += 1;
        self.last = Some(key.clone());
        Ok(Some((key, stored.shown.unwrap_or(stored.state))))
    }
}

/// Compares two builds as readers see them.
pub(super) fn compare(shelf: &Shelf, old: &str, new: &str) -> Result<Comparison, LogError> {
    let mut comparison = Comparison {
        old_position: shelf.checkpoint(old)?,
        new_position: shelf.checkpoint(new)?,
        old_keys: shelf.totals(old)?.keys,
        new_keys: shelf.totals(new)?.keys,
        ..Comparison::default()
    };
    let (mut olds, mut news) = (Entries::new(shelf, old), Entries::new(shelf, new));
    let (mut a, mut b) = (olds.next()?, news.next()?);
    loop {
        let (key, was, is) = match (a.take(), b.take()) {
            (None, None) => return Ok(comparison),
            (Some((key, was)), None) => {
                a = olds.next()?;
                (key, Some(was), None)
            }
            (None, Some((key, is))) => {
                b = news.next()?;
                (key, None, Some(is))
            }
            (Some((old, was)), Some((new, is))) if old == new => {
                (a, b) = (olds.next()?, news.next()?);
                (old, Some(was), Some(is))
            }
            (Some((old, was)), Some((new, is))) if old < new => {
                (a, b) = (olds.next()?, Some((new, is)));
                (old, Some(was), None)
            }
            (Some((old, was)), Some((new, is))) => {
                (a, b) = (Some((old, was)), news.next()?);
                (new, None, Some(is))
            }
        };
        if let (Some(was), Some(is)) = (&was, &is)
            && (same(was, is) || to_json_value(was) == to_json_value(is))
        {
            continue;
        }
        comparison.different += 1;
        if comparison.sample.len() < SAMPLE {
            let json = |value: Option<Value>| value.map_or(serde_json::Value::Null, |value| to_json_value(&value));
            comparison.sample.push(Difference { key, old: json(was), new: json(is) });
        }
    }
}
