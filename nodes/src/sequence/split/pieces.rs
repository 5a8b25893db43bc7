//! Text and bytes cut into pieces. Pure.

use bytes::Bytes;
use memchr::memmem;
use tidewire_model::value::ByteString;
use tidewire_model::{Map, Value};

use super::super::parts::numbers;

/// Where text and bytes are cut.
#[derive(Debug, Clone)]
pub(super) enum Separator {
    Text(String),
    Bytes(Bytes),
    /// Pieces of so many characters or bytes.
    Length(usize),
}

/// Something that can be cut.
#[derive(Debug, Clone)]
pub(super) enum Run {
    Text(ByteString),
    Bytes(Bytes),
}

impl Separator {
    pub(super) fn is_length(&self) -> bool {
        matches!(self, Separator::Length(_))
    }

    /// Says in `parts` how `run` was cut, so that a join can undo it.
    pub(super) fn tell(&self, run: &Run, parts: &mut Map) {
        match self {
            Separator::Text(text) => parts.insert("ch", text.as_str()),
            Separator::Bytes(bytes) => parts.insert("ch", numbers(bytes)),
            Separator::Length(length) => {
                if matches!(run, Run::Text(_)) {
                    parts.insert("ch", "");
                }
                parts.insert("len", *length);
            }
        }
    }

    fn bytes(&self) -> Bytes {
        match self {
            Separator::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Separator::Bytes(bytes) => bytes.clone(),
            Separator::Length(_) => Bytes::new(),
        }
    }
}

impl Run {
    pub(super) fn of(value: &Value) -> Option<Run> {
        match value.resolved() {
            Value::String(text) => Some(Run::Text(text.clone())),
            Value::Bytes(bytes) => Some(Run::Bytes(bytes.clone())),
            _ => None,
        }
    }

    pub(super) fn value(self) -> Value {
        match self {
            Run::Text(text) => Value::String(text),
            Run::Bytes(bytes) => Value::Bytes(bytes),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Run::Text(_) => "string",
            Run::Bytes(_) => "buffer",
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Run::Text(_))
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Run::Text(text) => text.is_empty(),
            Run::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// The other one behind this one, if both are of one kind.
    pub(super) fn joined(&self, other: &Run) -> Option<Run> {
        match (self, other) {
            (Run::Text(a), Run::Text(b)) => Some(Run::Text(ByteString::from(format!("{a}{b}")))),
            (Run::Bytes(a), Run::Bytes(b)) => Some(Run::Bytes([a.as_ref(), b.as_ref()].concat().into())),
            _ => None,
        }
    }

    /// All pieces. Bytes that end with a separator have no empty piece behind it, text has.
    pub(super) fn cut(&self, separator: &Separator) -> Vec<Value> {
        let (mut pieces, rest) = self.cut_stream(separator);
        let empty_piece = rest.is_text() && (pieces.is_empty() || !separator.is_length());
        if empty_piece || !rest.is_empty() {
            pieces.push(rest.value());
        }
        pieces
    }

    /// The pieces that are complete, and what is left over.
    pub(super) fn cut_stream(&self, separator: &Separator) -> (Vec<Value>, Run) {
        match self {
            Run::Text(text) => {
                let (pieces, rest) = cut_text(text, separator);
                (pieces.into_iter().map(Value::string).collect(), Run::Text(ByteString::from(rest)))
            }
            Run::Bytes(bytes) => {
                let (pieces, rest) = cut_bytes(bytes, separator);
                (pieces.into_iter().map(Value::Bytes).collect(), Run::Bytes(rest))
            }
        }
    }
}

fn cut_text<'t>(text: &'t str, separator: &Separator) -> (Vec<&'t str>, &'t str) {
    let mut pieces = Vec::new();
    let mut rest = text;
    if let Separator::Length(length) = separator {
        while let Some((at, last)) = rest.char_indices().nth(length - 1) {
            let (piece, after) = rest.split_at(at + last.len_utf8());
            pieces.push(piece);
            rest = after;
        }
        return (pieces, rest);
    }
    let separator = match separator {
        Separator::Text(text) => text.clone(),
        other => String::from_utf8_lossy(&other.bytes()).into_owned(),
    };
    while let Some((piece, after)) = rest.split_once(separator.as_str()) {
        pieces.push(piece);
        rest = after;
    }
    (pieces, rest)
}

fn cut_bytes(bytes: &Bytes, separator: &Separator) -> (Vec<Bytes>, Bytes) {
    let mut pieces = Vec::new();
    let mut rest = bytes.clone();
    if let Separator::Length(length) = separator {
        while rest.len() >= *length {
            pieces.push(rest.split_to(*length));
        }
        return (pieces, rest);
    }
    let separator = separator.bytes();
    let finder = memmem::Finder::new(&separator);
    while let Some(at) = finder.find(&rest) {
        pieces.push(rest.split_to(at));
        let _ = rest.split_to(separator.len());
    }
    (pieces, rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cut(value: Value, separator: &Separator) -> Vec<String> {
        let pieces = Run::of(&value).unwrap().cut(separator);
        pieces.iter().map(|piece| piece.to_text().into_owned()).collect()
    }

    #[test]
    fn text_and_bytes_are_cut_at_separators_and_lengths() {
        let line = Separator::Text("\n".to_owned());
        assert_eq!(cut(Value::from("a\n\nb\n"), &line), ["a", "", "b", ""]);
        assert_eq!(cut(Value::from(""), &line), [""]);
        assert_eq!(cut(Value::Bytes("a\n\nb\n".into()), &line), ["a", "", "b"]);
        assert_eq!(cut(Value::from("1425"), &Separator::Bytes("4".into())), ["1", "25"]);
        assert_eq!(cut(Value::from("äöüß!"), &Separator::Length(2)), ["äö", "üß", "!"]);
        assert_eq!(cut(Value::from("1234"), &Separator::Length(2)), ["12", "34"]);
        assert_eq!(cut(Value::from(""), &Separator::Length(2)), [""]);
        assert_eq!(cut(Value::Bytes("12345".into()), &Separator::Length(2)), ["12", "34", "5"]);
    }
}
