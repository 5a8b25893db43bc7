//! Events as CloudEvents JSON, in and out.
//!
//! `position` and `version` are strings and `raw` is base64, as the attribute types of CloudEvents demand; what
//! belongs to `raw` stands beside it as `rawtopic`, `rawretain` and `rawqos`. JSON data is passed through byte
//! for byte; other data goes out as text or as `data_base64`. An event whose data is gone says `erased`, one whose
//! data cannot be read says why in `dataproblem`; neither has `data`. Names that the log does not know are extension
//! attributes, see [`extensions`](super::extensions).

mod incoming;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use compact_str::CompactString;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use self::incoming::{Attributes, Others, Parts, Scalar};
use super::extensions::{Extension, ExtensionError, ExtensionValue, Extensions};
use super::rules;
use super::time::{format_rfc3339, parse_rfc3339};
use super::{BINARY, Body, Event, EventId, JSON, NewEvent, Place, Raw, StreamName, TEXT, Upcast, is_json_type};
use crate::append::ExpectedVersion;
use crate::position::Position;

/// JSON that is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventJsonError {
    /// Not JSON, or an attribute of the wrong kind.
    #[error("the event is not valid CloudEvents JSON: {0}")]
    Malformed(String),
    /// An attribute has a name or a value that cannot be.
    #[error("the event's attribute '{attribute}' {problem}")]
    Attribute {
        /// Which one.
        attribute: Cow<'static, str>,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// There are more extension attributes than an event may have.
    #[error("the event {0}")]
    Extensions(String),
}

fn attribute(attribute: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> EventJsonError {
    EventJsonError::Attribute { attribute: attribute.into(), problem: problem.into() }
}

impl From<ExtensionError> for EventJsonError {
    fn from(error: ExtensionError) -> Self {
        match error.name {
            Some(name) => attribute(String::from(name), error.problem),
            None => Self::Extensions(error.problem),
        }
    }
}

/// Whether an attribute of this name, of lower-case letters and digits, has a meaning of its own here.
pub(super) fn has_meaning(name: &str) -> bool {
    serde_json::from_str::<Parts<'_>>(&format!(r#"{{"{name}":null}}"#)).is_ok_and(|parts| parts.others.is_empty())
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("source", &self.source)?;
        map.serialize_entry("type", &self.event_type)?;
        map.serialize_entry("subject", &self.stream)?;
        map.serialize_entry("time", &format_rfc3339(self.time))?;
        map.serialize_entry("position", &self.position.to_string())?;
        map.serialize_entry("version", &self.version.to_string())?;
        map.serialize_entry("recordedtime", &format_rfc3339(self.recorded_time))?;
        let texts = [
            ("actor", &self.actor),
            ("flowrev", &self.flow_rev),
            ("nodeid", &self.node_id),
            ("keyid", &self.key_id),
            ("dataschema", &self.data_schema),
        ];
        for (name, id) in [("causationid", &self.causation_id), ("correlationid", &self.correlation_id)] {
            if let Some(id) = id {
                map.serialize_entry(name, id)?;
            }
        }
        for (name, text) in texts {
            if let Some(text) = text {
                map.serialize_entry(name, text)?;
            }
        }
        if let Some(raw) = &self.raw {
            map.serialize_entry("raw", &BASE64.encode(&raw.payload))?;
            map.serialize_entry("rawtopic", &raw.topic)?;
            map.serialize_entry("rawretain", &raw.retain)?;
            map.serialize_entry("rawqos", &raw.qos)?;
        }
        match &self.body {
            Body::Erased => map.serialize_entry("erased", &true)?,
            Body::Unreadable(reason) => map.serialize_entry("dataproblem", &**reason)?,
            Body::Whole | Body::Stored(_) => {}
        }
        if let Some(Upcast::Failed(reason)) = &self.upcast {
            map.serialize_entry("upcastproblem", &**reason)?;
        }
        for Extension { name, value } in self.extensions.as_slice() {
            match value {
                ExtensionValue::Bool(value) => map.serialize_entry(name, value)?,
                ExtensionValue::Integer(value) => map.serialize_entry(name, value)?,
                ExtensionValue::Text(value) => map.serialize_entry(name, value)?,
            }
        }
        map.serialize_entry("datacontenttype", &self.data_content_type)?;
        write_data::<S>(&mut map, &self.data, &self.data_content_type)?;
        map.end()
    }
}

fn write_data<S: Serializer>(map: &mut S::SerializeMap, data: &Bytes, content_type: &str) -> Result<(), S::Error> {
    let text = std::str::from_utf8(data).ok();
    if is_json_type(content_type) {
        if let Some(raw) = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()) {
            return map.serialize_entry("data", raw);
        }
    } else if let Some(text) = text.filter(|_| content_type.starts_with("text/")) {
        return map.serialize_entry("data", text);
    }
    if data.is_empty() {
        return Ok(());
    }
    map.serialize_entry("data_base64", &BASE64.encode(data)).map_err(S::Error::custom)
}

/// What came in over the JSON edge: a proposal, the stream it is for, and the version it expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// From `subject`.
    pub stream: StreamName,
    /// From the extension `expectedversion` (`any`, `none`, `exists` or a number).
    pub expected: ExpectedVersion,
    /// Everything else.
    pub event: NewEvent,
}

/// Reads one proposal from CloudEvents JSON (structured mode). Attributes that only the log can give, such as
/// `position`, are ignored.
///
/// # Errors
/// When the text is not JSON, or when an attribute is missing or unusable; the error says which and how to mend it.
pub fn parse_incoming(json: &[u8]) -> Result<Incoming, EventJsonError> {
    proposal(parse(json)?)
}

/// Reads several proposals: a JSON array (batch mode) or one object.
///
/// # Errors
/// As [`parse_incoming`], for the first event that is wrong.
pub fn parse_incoming_batch(json: &[u8]) -> Result<Vec<Incoming>, EventJsonError> {
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok(vec![parse_incoming(json)?]);
    }
    let items: Vec<Parts<'_>> = serde_json::from_slice(json).map_err(|error| malformed(&error))?;
    items.into_iter().map(proposal).collect()
}

/// Reads a recorded event back from the JSON that [`Event`] serialises to.
///
/// # Errors
/// When the text is not JSON, or when an attribute is missing or unusable.
pub fn parse_event(json: &[u8]) -> Result<Event, EventJsonError> {
    let Parts { attributes: mut parts, others } = parse(json)?;
    let number = |name: &'static str, value: Option<Scalar>| {
        let text = value.ok_or_else(|| attribute(name, "is missing"))?.into_text();
        text.parse::<u64>().map_err(|_| attribute(name, "is not a whole number"))
    };
    let position = Position::new(number("position", parts.position.take())?);
    let version = number("version", parts.version.take())?;
    let recorded_time =
        instant("recordedtime", parts.recordedtime.take())?.ok_or_else(|| attribute("recordedtime", "is missing"))?;
    let key_id = parts.keyid.take();
    let body = match (parts.erased, parts.dataproblem.take()) {
        (Some(true), _) => Body::Erased,
        (_, Some(reason)) => Body::Unreadable(reason.as_str().into()),
        _ => Body::Whole,
    };
    let Incoming { stream, event, .. } = incoming(parts, others)?;
    if event.id.is_none() {
        return Err(attribute("id", "is missing"));
    }
    let event = NewEvent { key_id, body, ..event };
    Ok(event.record(|| EventId::Bits(0), Place { stream, position, version, recorded_time }))
}

fn parse(json: &[u8]) -> Result<Parts<'_>, EventJsonError> {
    serde_json::from_slice(json).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> EventJsonError {
    EventJsonError::Malformed(error.to_string())
}

fn proposal(parts: Parts<'_>) -> Result<Incoming, EventJsonError> {
    check(&parts.attributes)?;
    incoming(parts.attributes, parts.others)
}

/// Checks what comes in from outside.
fn check(parts: &Attributes<'_>) -> Result<(), EventJsonError> {
    type Rule = fn(&str) -> Option<String>;
    let checks: [(&'static str, &Option<CompactString>, Rule); 11] = [
        ("id", &parts.id, rules::text),
        ("source", &parts.source, rules::uri_reference),
        ("type", &parts.r#type, rules::text),
        ("subject", &parts.subject, rules::text),
        ("causationid", &parts.causationid, rules::text),
        ("correlationid", &parts.correlationid, rules::text),
        ("actor", &parts.actor, rules::text),
        ("flowrev", &parts.flowrev, rules::text),
        ("nodeid", &parts.nodeid, rules::text),
        ("dataschema", &parts.dataschema, rules::uri_reference),
        ("datacontenttype", &parts.datacontenttype, rules::media_type),
    ];
    for (name, value, rule) in checks {
        if let Some(problem) = value.as_deref().and_then(rule) {
            return Err(attribute(name, problem));
        }
    }
    Ok(())
}

fn instant(name: &'static str, text: Option<CompactString>) -> Result<Option<i64>, EventJsonError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || attribute(name, format!("is '{text}'; use RFC 3339 such as 2026-03-14T15:09:26.535Z"));
    parse_rfc3339(&text).map(Some).ok_or_else(wrong)
}

fn incoming(parts: Attributes<'_>, others: Others<'_>) -> Result<Incoming, EventJsonError> {
    if parts.specversion.as_ref().is_some_and(|version| version != "1.0") {
        return Err(attribute("specversion", "must be 1.0"));
    }
    let required = |name: &'static str, value: Option<CompactString>| {
        value.filter(|text| !text.is_empty()).ok_or_else(|| attribute(name, "is missing"))
    };
    let subject = required("subject", parts.subject)?;
    let stream = StreamName::reserved(subject).map_err(|error| attribute("subject", format!("is refused: {error}")))?;
    let expected = match parts.expectedversion {
        None => ExpectedVersion::Any,
        Some(value) => value.into_text().parse().map_err(|error| attribute("expectedversion", format!("{error}")))?,
    };
    let raw = match parts.raw {
        None => {
            let lonely = [
                ("rawtopic", parts.rawtopic.is_some()),
                ("rawretain", parts.rawretain.is_some()),
                ("rawqos", parts.rawqos.is_some()),
            ];
            match lonely.iter().find(|(_, is_there)| *is_there) {
                Some((name, _)) => return Err(attribute(*name, "stands without 'raw'; give both or none")),
                None => None,
            }
        }
        Some(text) => Some(Raw {
            topic: parts.rawtopic.unwrap_or_default(),
            retain: parts.rawretain.unwrap_or_default(),
            qos: parts.rawqos.unwrap_or_default(),
            payload: decode("raw", &text)?,
        }),
    };
    let (data, data_content_type) = read_data(parts.data, parts.data_base64, parts.datacontenttype)?;
    let event = NewEvent {
        id: parts.id.filter(|id| !id.is_empty()).map(|id| EventId::from(id.as_str())),
        source: parts.source.unwrap_or_else(|| CompactString::const_new("/")),
        event_type: required("type", parts.r#type)?,
        time: instant("time", parts.time)?,
        causation_id: parts.causationid.map(|id| EventId::from(id.as_str())),
        correlation_id: parts.correlationid.map(|id| EventId::from(id.as_str())),
        actor: parts.actor,
        flow_rev: parts.flowrev,
        node_id: parts.nodeid,
        data,
        data_content_type,
        data_schema: parts.dataschema.filter(|schema| !schema.is_empty()),
        raw,
        extensions: read_extensions(others)?,
        key_id: None,
        body: Body::Whole,
    };
    Ok(Incoming { stream, expected, event })
}

fn read_extensions(found: Others<'_>) -> Result<Extensions, EventJsonError> {
    let mut all = Vec::with_capacity(found.len());
    for (name, json) in found {
        match ExtensionValue::from_json(json.get()) {
            Ok(Some(value)) => all.push(Extension { name, value }),
            Ok(None) => {}
            Err(problem) => return Err(ExtensionError { name: Some(name), problem }.into()),
        }
    }
    Ok(Extensions::new(all)?)
}

fn decode(name: &'static str, text: &str) -> Result<Bytes, EventJsonError> {
    BASE64.decode(text).map(Bytes::from).map_err(|_| attribute(name, "is not base64"))
}

fn read_data(
    data: Option<&RawValue>,
    base64: Option<CompactString>,
    content_type: Option<CompactString>,
) -> Result<(Bytes, CompactString), EventJsonError> {
    if let Some(base64) = base64 {
        if data.is_some() {
            return Err(attribute("data_base64", "stands beside 'data'; give one of them"));
        }
        let content_type = content_type.unwrap_or_else(|| CompactString::const_new(BINARY));
        return Ok((decode("data_base64", &base64)?, content_type));
    }
    let content_type = content_type.unwrap_or_else(|| CompactString::const_new(JSON));
    let Some(data) = data else { return Ok((Bytes::new(), content_type)) };
    if !is_json_type(&content_type) {
        // Outside JSON types a string is the data itself (CloudEvents JSON format, §3.1).
        if let Ok(text) = serde_json::from_str::<String>(data.get()) {
            return Ok((Bytes::from(text), content_type));
        }
        if content_type.starts_with(TEXT) {
            return Err(attribute("data", "must be a string when datacontenttype is text"));
        }
    }
    Ok((Bytes::copy_from_slice(data.get().as_bytes()), content_type))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
