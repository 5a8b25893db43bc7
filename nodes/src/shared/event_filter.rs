//! Which events a node wants, and from where on, as its configuration says it.

use compact_str::CompactString;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tidewire_model::Problem;
use tidewire_model::event::time::parse_point;
use tidewire_model::query::{Condition, Filter, Start};
use tidewire_node_api::handles::At;
use tidewire_script::compile_condition;

/// A list of texts, or one text with commas.
///
/// # Errors
/// For anything else.
pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let split =
        |text: &str| text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    match Json::deserialize(deserializer)? {
        Json::Null => Ok(Vec::new()),
        Json::String(text) => Ok(split(&text)),
        Json::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Json::as_str).collect();
            let texts = texts.ok_or_else(|| serde::de::Error::custom("the list must hold texts only"))?;
            Ok(texts.into_iter().flat_map(split).collect::<Vec<String>>())
        }
        other => Err(serde::de::Error::custom(format!("{other} is no list of texts"))),
    }
}

/// Schema of [`list`].
pub(crate) fn list_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["array", "string", "null"], "items": { "type": "string" }, "x-widget": "text" })
}

/// The filter of the three properties `stream`, `category` and `eventTypes`; empty means all.
pub(crate) fn filter(stream: &str, category: &str, event_types: &[String]) -> Filter {
    let given = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(CompactString::from);
    Filter {
        stream: given(stream),
        category: given(category),
        event_types: event_types.iter().map(CompactString::from).collect(),
        ..Filter::default()
    }
}

/// The condition of the property `filter`; an empty text is none.
///
/// # Errors
/// A problem at `/filter`.
pub(crate) fn condition(text: &str) -> Result<Option<Condition>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    compile_condition(text).map(Some).map_err(|error| Problem::error("/filter", error.to_string()))
}

/// What a status says of a condition that failed on events, and on how many: these are left out.
pub(crate) fn failures(filter: &Filter) -> Option<(u64, String)> {
    let condition = &filter.matching.as_ref()?.0;
    let count = condition.failures();
    if count == 0 {
        return None;
    }
    let last: String = condition.last_failure().unwrap_or_default().chars().take(120).collect();
    let events = if count == 1 { "event" } else { "events" };
    Some((count, format!("filter fails on {count} {events}, left out: {last}")))
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Now,
    Beginning,
    /// Where the durable name stands; at the beginning the first time.
    Checkpoint,
    At(At),
}

impl Begin {
    /// The start of a new subscription: there is no checkpoint yet.
    pub(crate) fn start(self) -> Start {
        match self {
            Begin::Now => Start::Now,
            Begin::Beginning | Begin::Checkpoint => Start::Beginning,
            Begin::At(at) => at.into(),
        }
    }

    /// Reads `now`, `beginning`, `checkpoint`, a position or a time.
    ///
    /// # Errors
    /// A problem at `/start`.
    pub(crate) fn parse(text: &str) -> Result<Begin, Problem> {
        match text.trim() {
            "" | "now" => Ok(Begin::Now),
            "beginning" => Ok(Begin::Beginning),
            "checkpoint" => Ok(Begin::Checkpoint),
            other => parse_point(other).map(Begin::At).ok_or_else(|| {
                let text = format!(
                    "\"{other}\" is no start; use now, beginning, checkpoint, a position such as 120, \
                     or a time such as 2026-03-14T15:09:00Z"
                );
                Problem::error("/start", text)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidewire_model::position::Position;

    use super::*;

    #[test]
    fn starts_are_words_positions_and_times() {
        let position = |number| Begin::At(At::Position(Position::new(number)));
        for (text, begin) in [
            ("", Begin::Now),
            ("beginning", Begin::Beginning),
            (" checkpoint ", Begin::Checkpoint),
            ("120", position(120)),
            ("1700000000000", Begin::At(At::Time(1_700_000_000_000))),
            ("1970-01-01T00:00:01Z", Begin::At(At::Time(1_000))),
        ] {
            assert_eq!(Begin::parse(text).unwrap(), begin, "{text}");
        }
        for wrong in ["yesterday", "-5", "1.5"] {
            assert_eq!(Begin::parse(wrong).unwrap_err().path, "/start");
        }
    }

    #[test]
    fn lists_may_be_written_as_text() {
        let read = |json: Json| list(json).unwrap();
        assert_eq!(read(serde_json::json!("a, b,")), ["a", "b"]);
        assert_eq!(read(serde_json::json!(["a", "b,c"])), ["a", "b", "c"]);
        assert!(list(serde_json::json!([1])).is_err());
        assert_eq!(filter("", " ", &[]), Filter::default());
    }

    #[test]
    fn a_condition_that_does_not_compile_is_a_problem_with_its_place() {
        assert_eq!(condition("  ").unwrap(), None);
        assert!(condition("data.celsius > 20").unwrap().is_some());
        let problem = condition("data.celsius >").unwrap_err();
        assert_eq!(problem.path, "/filter");
        assert!(problem.text.contains("line 1"), "{}", problem.text);
    }
}
