//! Events as lines of text: JSON Lines and CSV.

use tidewire_model::event::Event;
use tidewire_model::event::value::{ATTRIBUTES, attribute, data};
use tidewire_model::value::{Path, write_json};
use tidewire_model::{Map, Value};

/// Columns when none are named: what, when and where, and the data as JSON.
const DEFAULT: &str = "position,time,subject,type,data,recordedtime,version,id,source,actor,correlationid";

/// How events are written.
pub enum Format {
    JsonLines,
    Csv(Columns),
}

/// The columns of a table.
pub struct Columns(Vec<Column>);

struct Column {
    name: String,
    from: From,
}

enum From {
    Attribute,
    /// The bytes of the data, as text.
    Data,
    Path(Path),
}

impl Columns {
    /// Reads names separated by commas: attributes of the envelope, `data`, or a path into `data` or `extensions`.
    ///
    /// # Errors
    /// What is wrong and how to mend it.
    pub fn parse(text: &str) -> Result<Columns, String> {
        let text = if text.trim().is_empty() { DEFAULT } else { text };
        let column = |name: &str| {
            let name = name.trim();
            let from = match name {
                "data" => From::Data,
                name if ATTRIBUTES.contains(&name) => From::Attribute,
                name if ["data.", "data[", "extensions."].iter().any(|start| name.starts_with(start)) => {
                    // The path keeps its first step, so that a list may be indexed.
                    From::Path(Path::parse(name).map_err(|error| format!("'{name}' is no path: {error}"))?)
                }
                other => {
                    return Err(format!(
                        "'{other}' is no column; use data.PATH, extensions.NAME or one of {}",
                        ATTRIBUTES.join(", ")
                    ));
                }
            };
            Ok(Column { name: name.to_owned(), from })
        };
        text.split(',').map(column).collect::<Result<_, _>>().map(Columns)
    }

    fn head(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|column| column.name.as_str()).collect();
        names.join(",") + "\r\n"
    }

    fn row(&self, event: &Event, out: &mut Vec<u8>) {
        let body = self.0.iter().any(|column| matches!(column.from, From::Path(_))).then(|| {
            let mut root = Map::with_capacity(2);
            root.insert("data", data(event));
            if let Some(extensions) = event.extensions.to_value() {
                root.insert("extensions", extensions);
            }
            root
        });
        for (index, column) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match &column.from {
                From::Attribute => cell(attribute(event, &column.name).as_ref(), out),
                From::Data => match data(event) {
                    Value::Null => {}
                    Value::Bytes(bytes) => {
                        use base64::Engine as _;
                        quoted(&base64::engine::general_purpose::STANDARD.encode(&bytes), out);
                    }
                    _ => text_cell(&String::from_utf8_lossy(&event.data), out),
                },
                From::Path(path) => cell(body.as_ref().and_then(|root| path.get(root)), out),
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn cell(value: Option<&Value>, out: &mut Vec<u8>) {
    match value.map(Value::resolved) {
        None | Some(Value::Undefined | Value::Null) => {}
        Some(Value::String(text)) => text_cell(text, out),
        Some(Value::Date(ms)) => quoted(&tidewire_model::event::time::format_rfc3339(*ms), out),
        Some(number @ (Value::Bool(_) | Value::Int(_) | Value::Float(_))) => {
            out.extend_from_slice(number.to_text().as_bytes());
        }
        Some(other) => {
            let mut json = Vec::new();
            write_json(other, &mut json);
            quoted(&String::from_utf8_lossy(&json), out);
        }
    }
}

/// A text. What a spreadsheet would take for a formula gets an apostrophe in front, unless it is just a number.
fn text_cell(text: &str, out: &mut Vec<u8>) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    if formula { quoted(&format!("'{text}"), out) } else { quoted(text, out) }
}

/// Quotes where RFC 4180 asks for it.
fn quoted(text: &str, out: &mut Vec<u8>) {
    if !text.contains(['"', ',', '\r', '\n']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

impl Format {
    pub const fn content_type(&self) -> &'static str {
        match self {
            Format::JsonLines => "application/x-ndjson",
            Format::Csv(_) => "text/csv; charset=utf-8; header=present",
        }
    }

    pub const fn extension(&self) -> &'static str {
        match self {
            Format::JsonLines => "ndjson",
            Format::Csv(_) => "csv",
        }
    }

    /// What stands before the first event.
    pub fn head(&self) -> Option<String> {
        match self {
            Format::JsonLines => None,
            Format::Csv(columns) => Some(columns.head()),
        }
    }

    /// Adds the line of an event.
    pub fn row(&self, event: &Event, out: &mut Vec<u8>) {
        match self {
            Format::JsonLines => {
                // Writing to memory does not fail.
                drop(serde_json::to_writer(&mut *out, event));
                out.push(b'\n');
            }
            Format::Csv(columns) => columns.row(event, out),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidewire_model::event::{EventId, Extension, ExtensionValue, Extensions, NewEvent, Place, StreamName};
    use tidewire_model::position::Position;

    use super::*;

    fn row(columns: &str, event: NewEvent) -> String {
        let stream = StreamName::new("thing-a").unwrap();
        let place = Place { stream, position: Position::new(3), version: 1, recorded_time: 1_000 };
        let mut out = Vec::new();
        let format = Format::Csv(Columns::parse(columns).unwrap());
        format.row(&event.record(|| EventId::from("x"), place), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn extension_attributes_are_columns() {
        let one = |name: &str, value| Extension { name: name.into(), value };
        let all = vec![one("ward", ExtensionValue::Text("a,b".into())), one("bed", ExtensionValue::Integer(4))];
        let event = NewEvent { extensions: Extensions::new(all).unwrap(), ..json(&serde_json::json!(1)) };
        let whole = r#""{""bed"":4,""ward"":""a,b""}""#;
        let text = row("extensions.ward,extensions.bed,extensions.absent,extensions", event);
        assert_eq!(text, format!("\"a,b\",4,,{whole}\r\n"));
        assert_eq!(row("extensions,version", json(&serde_json::json!(1))), ",1\r\n");
    }

    fn json(data: &serde_json::Value) -> NewEvent {
        NewEvent::json("read", data)
    }

    #[test]
    fn columns_are_attributes_and_paths_into_the_data() {
        let event = json(&serde_json::json!({"temperature": -4.5, "place": {"room": "a"}, "list": [1, 2]}));
        let text =
            row("position,time,subject,data.temperature,data.place.room,data.list[1],data.absent,data.place", event);
        let json = r#""{""room"":""a""}""#;
        assert_eq!(text, format!("3,1970-01-01T00:00:01.000Z,thing-a,-4.5,a,2,,{json}\r\n"));
    }

    #[test]
    fn quotes_are_doubled_and_formulas_made_harmless() {
        for (value, cell) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1),2", "\"'@SUM(A1),2\""),
            ("-12.5", "-12.5"),
            ("-cmd|'/c calc'!A0", "'-cmd|'/c calc'!A0"),
        ] {
            assert_eq!(row("data.v", json(&serde_json::json!({ "v": value }))), format!("{cell}\r\n"), "{value}");
        }
        assert_eq!(row("data", NewEvent::new("x", "text/plain", "+44,5")), "\"'+44,5\"\r\n");
        assert_eq!(row("data", NewEvent::new("x", "application/octet-stream", vec![0, 255])), "AP8=\r\n");
    }

    #[test]
    fn an_unknown_column_is_refused_with_those_that_are_known() {
        let text = Columns::parse("position,temperature").err().unwrap();
        assert!(text.contains("'temperature'") && text.contains("recordedtime"), "{text}");
        assert!(Columns::parse("").unwrap().head().starts_with("position,time,subject"));
    }
}
