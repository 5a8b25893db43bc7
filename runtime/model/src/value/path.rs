//! Property paths as Node-RED writes them: `payload.list[0].name`, `payload["a b"]`, `payload[msg.key]`.

use std::fmt;

use compact_str::CompactString;

use super::{Map, Value};

/// Items that setting one item may add before it. More is a mistake that would take all memory.
const GAP_MAX: usize = 100_000;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq)]
pub enum Segment {
    Key(CompactString),
    Index(usize),
    /// A key or index taken from another property of the same message: `[msg.a.b]`.
    Nested(Path),
}

/// A parsed property path. Never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Path(Vec<Segment>);

/// Text that is not a property path: what is wrong, and where (a character offset from 0).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid property path \"{path}\": {reason} at position {at}")]
pub struct PathError {
    pub path: String,
    pub reason: &'static str,
    pub at: usize,
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    /// Says what is wrong and where.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        Parser { text, chars: text.char_indices().collect(), at: 0 }.path()
    }

    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The only key, for the common path of one step.
    pub fn single_key(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Segment::Key(key)] => Some(key),
            _ => None,
        }
    }

    /// The value at this path; `None` when any step is missing.
    pub fn get<'v>(&self, root: &'v Map) -> Option<&'v Value> {
        let (first, rest) = self.0.split_first()?;
        let mut value = match first {
            Segment::Key(key) => root.get(key)?,
            Segment::Index(index) => root.get(&index.to_string())?,
            Segment::Nested(path) => root.get(&path.get(root)?.to_text())?,
        };
        for segment in rest {
            value = match segment {
                Segment::Key(key) => step(value, key)?,
                Segment::Index(index) => at(value, *index)?,
                Segment::Nested(path) => step(value, &path.get(root)?.to_text())?,
            };
        }
        Some(value)
    }

    /// Sets the value at this path. Missing parents are created (an array for an index, else an object) when
    /// `create` is true. Returns false, and changes nothing, where a parent is missing or no container, or an index
    /// lies far beyond the end of its array.
    /// Setting undefined deletes.
    pub fn set(&self, root: &mut Map, value: Value, create: bool) -> bool {
        let Some(keys) = self.resolve(root) else { return false };
        let Some((last, parents)) = keys.split_last() else { return false };
        // Looked at first, so that a failing set leaves no half-made parents behind.
        if !self.reachable(root, parents, create) || leaves_gap(root, &keys) {
            return false;
        }
        let Some((first, rest)) = keys.split_first() else { return false };
        if rest.is_empty() {
            put(root, first, value);
            return true;
        }
        let mut here = root.entry(&first.text());
        for next in parents.iter().skip(1).chain(std::iter::once(last)) {
            make_container(here, next);
            if std::ptr::eq(next, last) {
                break;
            }
            here = match (here.resolve_mut(), next) {
                (Value::Array(items), Step::Index(index)) => {
                    let items = std::sync::Arc::make_mut(items);
                    if items.len() <= *index {
                        items.resize(index + 1, Value::Undefined);
                    }
                    match items.get_mut(*index) {
                        Some(item) => item,
                        None => return false,
                    }
                }
                (Value::Object(map), step) => std::sync::Arc::make_mut(map).entry(&step.text()),
                _ => return false,
            };
        }
        match here.resolve_mut() {
            Value::Object(map) => put(std::sync::Arc::make_mut(map), last, value),
            Value::Array(items) => put_item(std::sync::Arc::make_mut(items), last, value),
            _ => return false,
        }
        true
    }

    /// Removes the property (an array loses the item). False when there was none.
    pub fn remove(&self, root: &mut Map) -> bool {
        if self.get(root).is_none() {
            return false;
        }
        self.set(root, Value::Undefined, false)
    }

    fn resolve(&self, root: &Map) -> Option<Vec<Step>> {
        self.0
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => Some(Step::Key(key.clone())),
                Segment::Index(index) => Some(Step::Index(*index)),
                Segment::Nested(path) => {
                    let key = path.get(root)?;
                    match key.as_i64() {
                        Some(index) => usize::try_from(index).ok().map(Step::Index),
                        None => Some(Step::Key(CompactString::new(key.to_text()))),
                    }
                }
            })
            .collect()
    }

    fn reachable(&self, root: &Map, parents: &[Step], create: bool) -> bool {
        let mut parents = parents.iter();
        let Some(first) = parents.next() else { return true };
        let mut here = root.get(&first.text());
        loop {
            match here {
                None | Some(Value::Undefined) => return create,
                Some(value) if !matches!(value.resolved(), Value::Object(_) | Value::Array(_)) => {
                    return create && value.is_nullish() && matches!(value, Value::Undefined);
                }
                Some(value) => match parents.next() {
                    None => return true,
                    Some(Step::Index(index)) => here = at(value, *index),
                    Some(Step::Key(key)) => here = step(value, key),
                },
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(CompactString),
    Index(usize),
}

impl Step {
    fn text(&self) -> CompactString {
        match self {
            Step::Key(key) => key.clone(),
            Step::Index(index) => CompactString::from(index.to_string()),
        }
    }
}

/// Whether setting would make an array much longer than it is.
fn leaves_gap(root: &Map, keys: &[Step]) -> bool {
    let far = |step: &Step| matches!(step, Step::Index(index) if *index > GAP_MAX);
    let Some((first, rest)) = keys.split_first() else { return false };
    if !rest.iter().any(far) {
        return false;
    }
    let mut here = root.get(&first.text());
    for next in rest {
        let is_container = |value: &&Value| matches!(value.resolved(), Value::Array(_) | Value::Object(_));
        let length = match here.filter(is_container) {
            Some(value) => value.as_array().map(<[Value]>::len),
            None => Some(0),
        };
        match (length, next) {
            (Some(length), Step::Index(index)) if *index > length + GAP_MAX => return true,
            _ => here = here.and_then(|value| step(value, &next.text())),
        }
    }
    false
}

fn step<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value.resolved() {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

fn at(value: &Value, index: usize) -> Option<&Value> {
    match value.resolved() {
        Value::Array(items) => items.get(index),
        Value::Object(map) => map.get(&index.to_string()),
        _ => None,
    }
}

fn put(map: &mut Map, step: &Step, value: Value) {
    let key = step.text();
    if value.is_undefined() {
        map.remove(&key);
    } else {
        map.insert(key, value);
    }
}

fn put_item(items: &mut Vec<Value>, step: &Step, value: Value) {
    let index = match step {
        Step::Index(index) => Some(*index),
        Step::Key(key) => key.parse().ok(),
    };
    let Some(index) = index else { return };
    if value.is_undefined() {
        if index < items.len() {
            items.remove(index);
        }
        return;
    }
    if items.len() <= index {
        items.resize(index + 1, Value::Undefined);
    }
    if let Some(item) = items.get_mut(index) {
        *item = value;
    }
}

fn make_container(value: &mut Value, next: &Step) {
    if value.is_undefined() {
        *value = match next {
            Step::Index(_) => Value::array(Vec::new()),
            Step::Key(_) => Value::object(Map::new()),
        };
    }
}

struct Parser<'t> {
    text: &'t str,
    chars: Vec<(usize, char)>,
    at: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, reason: &'static str) -> Result<T, PathError> {
        Err(PathError { path: self.text.to_owned(), reason, at: self.at })
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).map(|(_, c)| *c)
    }

    fn path(mut self) -> Result<Path, PathError> {
        let path = self.steps(false)?;
        match self.peek() {
            None => Ok(path),
            Some(_) => self.fail("unexpected character"),
        }
    }

    fn steps(&mut self, nested: bool) -> Result<Path, PathError> {
        let mut segments = Vec::new();
        loop {
            match self.peek() {
                Some('[') => {
                    self.at += 1;
                    segments.push(self.bracket()?);
                }
                Some('.') if segments.is_empty() => return self.fail("a path cannot start with a dot"),
                Some(']') if nested => break,
                None => break,
                Some(c) => {
                    if c == '.' {
                        self.at += 1;
                    } else if !segments.is_empty() {
                        return self.fail("a dot or a bracket is missing");
                    }
                    segments.push(self.name()?);
                }
            }
        }
        if segments.is_empty() { self.fail("the path is empty") } else { Ok(Path(segments)) }
    }

    fn name(&mut self) -> Result<Segment, PathError> {
        let from = self.at;
        while let Some(c) = self.peek() {
            if matches!(c, '.' | '[' | ']') {
                break;
            }
            if c.is_whitespace() || matches!(c, '"' | '\'') {
                return self.fail("a name with blanks or quotes goes into brackets: [\"a b\"]");
            }
            self.at += 1;
        }
        if self.at == from {
            return self.fail("a name is missing");
        }
        let name: CompactString = self.chars.get(from..self.at).unwrap_or_default().iter().map(|(_, c)| *c).collect();
        Ok(match name.parse::<usize>() {
            Ok(index) => Segment::Index(index),
            Err(_) => Segment::Key(name),
        })
    }

    fn bracket(&mut self) -> Result<Segment, PathError> {
        let segment = match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.at += 1;
                let mut key = CompactString::default();
                loop {
                    match self.peek() {
                        None => return self.fail("the quote is not closed"),
                        Some('\\') => {
                            self.at += 1;
                            if let Some(c) = self.peek() {
                                key.push(c);
                            }
                        }
                        Some(c) if c == quote => break,
                        Some(c) => key.push(c),
                    }
                    self.at += 1;
                }
                self.at += 1;
                if key.is_empty() {
                    return self.fail("the name is empty");
                }
                Segment::Key(key)
            }
            Some(c) if c.is_ascii_digit() => self.name()?,
            Some('m') => {
                let path = self.steps(true)?;
                match path.0.split_first() {
                    Some((Segment::Key(root), rest)) if root == "msg" && !rest.is_empty() => {
                        Segment::Nested(Path(rest.to_vec()))
                    }
                    _ => return self.fail("only [msg.…] may stand in brackets without quotes"),
                }
            }
            _ => return self.fail("a number, a quoted name or msg.… must follow the bracket"),
        };
        if self.peek() != Some(']') {
            return self.fail("the bracket is not closed");
        }
        self.at += 1;
        Ok(segment)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if key.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                    write!(f, "{}{key}", if index == 0 { "" } else { "." })?;
                }
                Segment::Key(key) => write!(f, "[\"{}\"]", key.replace('"', "\\\""))?,
                Segment::Index(number) => write!(f, "[{number}]")?,
                Segment::Nested(path) => write!(f, "[msg.{path}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
