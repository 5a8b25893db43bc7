//! Search and replace, as JavaScript's `replace` does it.

use memchr::memmem::Finder;
use regex::{Captures, Regex};
use tidewire_model::Value;

use crate::shared::coerce;

/// What is searched for, compiled.
pub(super) struct Replacement {
    /// The value as it was given.
    exact: Value,
    search: Search,
}

enum Search {
    Text(Box<Finder<'static>>),
    Pattern(Regex),
}

impl Replacement {
    fn literal(exact: Value, text: &str) -> Replacement {
        Replacement { exact, search: Search::Text(Box::new(Finder::new(text).into_owned())) }
    }

    pub(super) fn text(from: &str) -> Replacement {
        Replacement::literal(Value::string(from), from)
    }

    pub(super) fn number(from: &str) -> Replacement {
        Replacement::literal(Value::Float(Value::string(from).to_number()), from)
    }

    pub(super) fn boolean(from: &str) -> Replacement {
        Replacement::literal(Value::Bool(from.eq_ignore_ascii_case("true")), from)
    }

    pub(super) fn pattern(pattern: Regex) -> Replacement {
        Replacement { exact: Value::Undefined, search: Search::Pattern(pattern) }
    }

    /// Searches for a value by the type it has.
    ///
    /// # Errors
    /// The value is neither text, number nor boolean.
    pub(super) fn of_value(value: &Value) -> Result<Replacement, String> {
        let value = value.resolved();
        match value {
            Value::String(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                Ok(Replacement::literal(value.clone(), &value.to_text()))
            }
            other => Err(format!("Invalid 'from' property: unsupported type: {}", other.type_name())),
        }
    }

    /// The new value of a property that is `current`; `None` when it stays as it is.
    pub(super) fn apply(&self, current: &Value, to: &Value, to_bool: bool) -> Option<Value> {
        match current.resolved() {
            Value::String(text) => self.in_text(text, to, to_bool),
            number @ (Value::Int(_) | Value::Float(_)) => {
                let is_number = matches!(self.exact, Value::Int(_) | Value::Float(_));
                (is_number && *number == self.exact).then(|| to.clone())
            }
            current @ Value::Bool(_) => (*current == self.exact).then(|| to.clone()),
            _ => None,
        }
    }

    fn in_text(&self, text: &str, to: &Value, to_bool: bool) -> Option<Value> {
        let new = match &self.search {
            Search::Text(finder) => {
                if finder.needle() == text.as_bytes() {
                    return Some(to.clone());
                }
                let to = coerce::text(to);
                if to.contains('$') { replace_expanding(text, finder, &to)? } else { replace_plain(text, finder, &to)? }
            }
            Search::Pattern(pattern) => {
                let to = coerce::text(to);
                let new = pattern.replace_all(text, |found: &Captures<'_>| {
                    let group = |index: usize| found.get(index).map(|group| group.as_str());
                    let whole = found.get(0).map_or(0..0, |whole| whole.range());
                    expand(&to, group, pattern.captures_len(), (text, whole))
                });
                match new {
                    std::borrow::Cow::Borrowed(_) => return None,
                    std::borrow::Cow::Owned(new) => new,
                }
            }
        };
        if to_bool && new == coerce::text(to) { Some(to.clone()) } else { Some(Value::from(new)) }
    }
}

/// Replaces every occurrence: one pass over the text, one allocation of the right size.
fn replace_plain(text: &str, finder: &Finder<'_>, to: &str) -> Option<String> {
    let length = finder.needle().len();
    if length == 0 {
        return Some(text.replace("", to));
    }
    let found: smallvec::SmallVec<[usize; 8]> = finder.find_iter(text.as_bytes()).collect();
    if found.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len() + found.len() * to.len() - found.len() * length);
    let mut at = 0;
    for start in found {
        out.push_str(text.get(at..start).unwrap_or(""));
        out.push_str(to);
        at = start + length;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    Some(out)
}

fn replace_expanding(text: &str, finder: &Finder<'_>, to: &str) -> Option<String> {
    let length = finder.needle().len();
    let (mut out, mut at, mut any) = (String::with_capacity(text.len()), 0, false);
    for start in finder.find_iter(text.as_bytes()) {
        any = true;
        out.push_str(text.get(at..start).unwrap_or(""));
        let whole = start..start + length;
        out.push_str(&expand(
            to,
            |index| (index == 0).then(|| text.get(whole.clone())).flatten(),
            1,
            (text, whole.clone()),
        ));
        at = start + length;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    any.then_some(out)
}

/// JavaScript's `$` forms: `$$`, `$&`, `` $` ``, `$'`, `$1` to `$99`.
fn expand<'t>(
    to: &str,
    group: impl Fn(usize) -> Option<&'t str>,
    groups: usize,
    (text, whole): (&str, std::ops::Range<usize>),
) -> String {
    let (mut out, mut rest) = (String::with_capacity(to.len()), to);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let digits = |count: usize| after.get(..count).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let number = [2, 1].into_iter().find_map(|count| {
            let number: usize = digits(count)?.parse().ok()?;
            (number > 0 && number < groups).then_some((number, count))
        });
        let taken = match (after.chars().next(), number) {
            (_, Some((number, count))) => {
                out.push_str(group(number).unwrap_or(""));
                count
            }
            (Some('$'), _) => {
                out.push('$');
                1
            }
            (Some('&'), _) => {
                out.push_str(group(0).unwrap_or(""));
                1
            }
            (Some('`'), _) => {
                out.push_str(text.get(..whole.start).unwrap_or(""));
                1
            }
            (Some('\''), _) => {
                out.push_str(text.get(whole.end..).unwrap_or(""));
                1
            }
            _ => {
                out.push('$');
                0
            }
        };
        rest = after.get(taken..).unwrap_or("");
    }
    out.push_str(rest);
    out
}
