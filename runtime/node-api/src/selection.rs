//! Filters and orders for entries of read models, over any number of them: memory holds one page, not the whole.

use std::cmp::Ordering;

use serde_json::Value;
use tidewire_model::query::wildcard_matches;
use tidewire_model::value::to_json_value;

use crate::handles::{Entry, HandleError};

/// Entries that are looked at for one answer without an order; then it says where to go on.
const LOOKS_MAX: usize = 100_000;
/// Entries that can be put in order.
const SORTED_MAX: usize = 1_000_000;
/// Entries that can be passed over in an order.
const OFFSET_MAX: usize = 100_000;
const PAGE: usize = 1_000;

/// Gives entries in order of key: those after a key, so many.
type Pages<'a> = dyn FnMut(Option<&str>, usize) -> Result<Vec<Entry>, HandleError> + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Is,
    IsNot,
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// Longer ones first: `>=` begins like `>`.
const OPS: [(&str, Op); 6] =
    [("!=", Op::IsNot), ("<=", Op::AtMost), (">=", Op::AtLeast), ("=", Op::Is), ("<", Op::Below), (">", Op::Above)];

#[derive(Debug)]
struct Condition {
    path: String,
    op: Op,
    text: String,
    /// The text as a number, if it is one.
    number: Option<f64>,
}

impl Condition {
    fn parse(text: &str) -> Result<Condition, SelectionError> {
        let found = OPS.iter().filter_map(|(sign, op)| text.find(sign).map(|at| (at, *sign, *op)));
        let first = found.min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()));
        let parts = first.map(|(at, sign, op)| (text.get(..at), op, text.get(at + sign.len()..)));
        match parts {
            Some((Some(path), op, Some(text))) if !path.trim().is_empty() => {
                let text = text.trim();
                Ok(Condition { path: path.trim().to_owned(), op, text: text.to_owned(), number: text.parse().ok() })
            }
            _ => Err(SelectionError::Filter(text.to_owned())),
        }
    }

    fn holds(&self, entry: &Entry) -> bool {
        let value = field(entry, &self.path);
        let order = match (value.as_f64(), self.number) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => text_of(&value).as_str().cmp(&self.text),
        };
        let is = || order.is_eq() || wildcard_matches(&self.text, &text_of(&value));
        match self.op {
            Op::Is => is(),
            Op::IsNot => !is(),
            // What is not there is neither below nor above.
            _ if value.is_null() => false,
            Op::Below => order.is_lt(),
            Op::AtMost => order.is_le(),
            Op::Above => order.is_gt(),
            Op::AtLeast => order.is_ge(),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    #[error("filter is '{0}'; use key=text, value.path=text or value.path>21, joined by ' and '")]
    Filter(String),
    #[error("an order can be paged through for {OFFSET_MAX} entries; use a narrower filter")]
    Passed,
    #[error("more than {SORTED_MAX} entries cannot be put in order; use a narrower filter")]
    Sorted,
    #[error(transparent)]
    Read(#[from] HandleError),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selected {
    pub items: Vec<Entry>,
    /// Where to go on, if there may be more.
    pub next: Option<String>,
}

/// What is asked for.
#[derive(Debug)]
pub struct Selection {
    conditions: Vec<Condition>,
    sort: Option<(String, bool)>,
    cursor: Option<String>,
    limit: usize,
}

impl Selection {
    /// Entries for which a filter holds, in order of a field (`-` before it: the largest first) or of their keys, from a cursor
    /// on.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub fn parse(
        filter: Option<&str>,
        sort: Option<&str>,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<Selection, SelectionError> {
        let parts = filter.unwrap_or_default().split(" and ").map(str::trim).filter(|part| !part.is_empty());
        let conditions = parts.map(Condition::parse).collect::<Result<_, _>>()?;
        let sort = sort.map(|sort| match sort.strip_prefix('-') {
            Some(path) => (path.to_owned(), true),
            None => (sort.to_owned(), false),
        });
        Ok(Selection { conditions, sort, cursor, limit })
    }

    /// What all keys that are asked for begin with.
    pub fn prefix(&self) -> &str {
        let on_key = self.conditions.iter().find(|one| one.path == "key" && one.op == Op::Is);
        on_key.map_or("", |one| one.text.split('*').next().unwrap_or_default())
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.conditions.iter().all(|condition| condition.holds(entry))
    }

    /// Selects from entries that `page` gives in order of key, after a key and so many.
    ///
    /// # Errors
    /// When they cannot be read, or are too many for what is asked.
    pub fn run(&self, page: &mut Pages<'_>) -> Result<Selected, SelectionError> {
        match &self.sort {
            None => self.in_order_of_key(page),
            Some((path, backwards)) => self.sorted(page, path, *backwards),
        }
    }

    fn in_order_of_key(&self, page: &mut Pages<'_>) -> Result<Selected, SelectionError> {
        let mut items: Vec<Entry> = Vec::new();
        let mut after = self.cursor.clone();
        let mut looks = 0;
        let wanted = if self.conditions.is_empty() { self.limit + 1 } else { PAGE };
        loop {
            let entries = page(after.as_deref(), wanted)?;
            let complete = entries.len() < wanted;
            looks += entries.len();
            for entry in entries {
                if items.len() == self.limit {
                    return Ok(Selected { items, next: after });
                }
                after = Some(entry.key.clone());
                if self.takes(&entry) {
                    items.push(entry);
                }
            }
            if complete {
                return Ok(Selected { items, next: None });
            }
            if looks >= LOOKS_MAX {
                return Ok(Selected { items, next: after });
            }
        }
    }

    fn sorted(&self, page: &mut Pages<'_>, path: &str, backwards: bool) -> Result<Selected, SelectionError> {
        let offset = self.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        if offset > OFFSET_MAX {
            return Err(SelectionError::Passed);
        }
        let keep = offset + self.limit + 1;
        let order = |a: &(Value, Entry), b: &(Value, Entry)| {
            let order = compare(&a.0, &b.0);
            (if backwards { order.reverse() } else { order }).then_with(|| a.1.key.cmp(&b.1.key))
        };
        let mut best: Vec<(Value, Entry)> = Vec::new();
        let (mut after, mut looks) = (None, 0);
        loop {
            let entries = page(after.as_deref(), PAGE)?;
            let complete = entries.len() < PAGE;
            looks += entries.len();
            if looks > SORTED_MAX {
                return Err(SelectionError::Sorted);
            }
            after = entries.last().map(|entry| entry.key.clone());
            best.extend(
                entries.into_iter().filter(|entry| self.takes(entry)).map(|entry| (field(&entry, path), entry)),
            );
            if complete || best.len() > keep * 2 + PAGE {
                best.sort_by(order);
                best.truncate(keep);
            }
            if complete {
                break;
            }
        }
        let next = (best.len() == keep).then(|| (offset + self.limit).to_string());
        let items = best.into_iter().map(|(_, entry)| entry).skip(offset).take(self.limit).collect();
        Ok(Selected { items, next })
    }
}

/// `key`, `time`, `position`, or a path into the value.
fn field(entry: &Entry, path: &str) -> Value {
    match path {
        "key" => entry.key.as_str().into(),
        "time" => entry.time.into(),
        "position" => entry.position.get().into(),
        path => {
            let path = path.strip_prefix("value").unwrap_or(path);
            let mut parts = path.split('.').filter(|part| !part.is_empty());
            let found = parts.try_fold(&entry.value, |value, part| value.resolved().as_object()?.get(part));
            found.map_or(Value::Null, to_json_value)
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Numbers by size, before everything else; the rest as text.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        _ => text_of(a).cmp(&text_of(b)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use serde_json::json;
    use tidewire_model::position::Position;

    fn entries(count: usize) -> Vec<Entry> {
        let entry = |n: usize| Entry {
            key: format!("thing-{n:06}"),
            value: json!({"t": (n * 7919) % count, "room": if n.is_multiple_of(3) { "hall" } else { "attic" }}).into(),
            position: Position::new(n as u64),
            time: 0,
        };
        (0..count).map(entry).collect()
    }

    fn select(all: &[Entry], filter: &str, sort: Option<&str>, limit: usize) -> Vec<String> {
        let mut keys = Vec::new();
        let mut cursor = None;
        loop {
            let selection = Selection::parse(Some(filter), sort, cursor, limit).unwrap();
            let mut page = |after: Option<&str>, count: usize| {
                let rest = all.iter().filter(|entry| after.is_none_or(|after| entry.key.as_str() > after));
                Ok(rest.take(count).cloned().collect())
            };
            let found = selection.run(&mut page).unwrap();
            keys.extend(found.items.into_iter().map(|entry| entry.key));
            match found.next {
                Some(next) => cursor = Some(next),
                None => return keys,
            }
        }
    }

    #[test]
    fn conditions_and_orders_page_through_everything_once() {
        let all = entries(2_500);
        let number = |entry: &Entry| to_json_value(&entry.value)["t"].as_u64().unwrap();
        let keys = |found: Vec<&Entry>| found.into_iter().map(|entry| entry.key.clone()).collect::<Vec<_>>();
        for (filter, holds) in [
            ("", (&|_: &Entry| true) as &dyn Fn(&Entry) -> bool),
            ("value.t>=1200", &|entry| number(entry) >= 1_200),
            ("value.t>1200 and value.room=h*", &|entry| {
                number(entry) > 1_200 && to_json_value(&entry.value)["room"] == "hall"
            }),
            ("t<7", &|entry| number(entry) < 7),
            ("value.room!=hall and key=thing-0001*", &|entry| {
                to_json_value(&entry.value)["room"] == "attic" && entry.key.starts_with("thing-0001")
            }),
            ("value.missing<7", &|_| false),
        ] {
            let expected: Vec<&Entry> = all.iter().filter(|entry| holds(entry)).collect();
            assert_eq!(select(&all, filter, None, 300), keys(expected.clone()), "{filter}");
            let mut sorted = expected;
            sorted.sort_by_key(|entry| std::cmp::Reverse(number(entry)));
            assert_eq!(select(&all, filter, Some("-value.t"), 300), keys(sorted), "{filter}");
        }
        assert!(Condition::parse("nothing").is_err() && Condition::parse("=x").is_err());
        let selection = Selection::parse(Some("key=thing-00*"), None, None, 1).unwrap();
        assert_eq!(selection.prefix(), "thing-00");
    }
}
