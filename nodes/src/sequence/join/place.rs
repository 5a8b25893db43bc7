//! Where a message belongs: to which group, and where in it.

use compact_str::CompactString;
use tidewire_model::value::Path;
use tidewire_model::{Message, Value};

use super::super::parts;
use super::Join;
use super::config::Build;
use super::group::Kind;
use crate::shared::coerce::text;

/// See the module.
pub(super) struct Place {
    pub(super) group: CompactString,
    pub(super) kind: Kind,
    /// How many messages the group has; NaN or 0 if that is not known.
    pub(super) count: f64,
    pub(super) glue: Value,
    /// Name of the value in an object.
    pub(super) key: Option<CompactString>,
    /// Items of an array in each message.
    pub(super) len: usize,
    /// Place in the sequence; none is the end.
    pub(super) index: Option<usize>,
    /// What is put in; undefined is nothing.
    pub(super) value: Value,
    /// Property that the result goes to.
    pub(super) target: CompactString,
}

pub(super) enum Found {
    Place(Box<Place>),
    /// It belongs nowhere; what to tell the user.
    Nothing(&'static str),
    /// It asks for all groups to be dropped.
    ResetAll,
}

/// Group of the messages that belong to no sequence.
const ONLY: &str = "_";

impl Place {
    /// It belongs into an object, and nothing says under which name.
    pub(super) fn lacks_key(&self) -> bool {
        self.kind == Kind::Object && self.key.as_ref().is_none_or(|key| key.is_empty())
    }
}

fn key(value: Option<&Value>) -> Option<CompactString> {
    value.filter(|value| !value.is_nullish()).map(|value| text(value).as_ref().into())
}

fn index(value: Option<&Value>) -> Option<usize> {
    let number = value.filter(|value| !value.is_nullish())?.to_number();
    (number >= 0.0 && number.fract() == 0.0).then_some(number as usize)
}

impl Join {
    /// Finds a message's place; takes `msg.parts` off where the flow does not want it.
    pub(super) fn place(&self, message: &mut Message) -> Found {
        if self.auto {
            return self.automatic(message);
        }
        if !self.use_parts && message.body().contains_key("parts") {
            parts::strip(message);
        }
        let parts = message.get("parts").filter(|_| self.count_from_parts);
        let group = parts.and_then(|parts| parts.get("id")).map_or(ONLY.into(), |id| text(id).as_ref().into());
        let count = parts.map_or(self.count, |parts| parts.get("count").map_or(0.0, Value::to_number));
        let kind = match self.build {
            Build::Object => Kind::Object,
            Build::Merged => Kind::Merged,
            Build::Array => Kind::List,
            Build::String => Kind::Text,
            Build::Buffer => Kind::Bytes,
        };
        let value = match &self.property {
            Some(path) => message.get_path(path).cloned().unwrap_or_default(),
            None => message.to_value(),
        };
        Found::Place(Box::new(Place {
            group,
            kind,
            count,
            glue: self.glue.clone(),
            key: key(message.get_path(&self.key).filter(|_| kind == Kind::Object)),
            len: 1,
            index: None,
            value,
            target: self.target.clone(),
        }))
    }

    fn automatic(&self, message: &Message) -> Found {
        let parts = message.get("parts").filter(|parts| parts.get("id").is_some());
        let Some(parts) = parts else {
            if message.body().contains_key("reset") {
                return Found::ResetAll;
            }
            return Found::Nothing("Message missing msg.parts property - cannot join in 'auto' mode");
        };
        let kind = match parts.get("type").and_then(Value::as_str) {
            Some("object") => Kind::Object,
            Some("string") => Kind::Text,
            Some("buffer") => Kind::Bytes,
            _ => Kind::List,
        };
        let target = parts.get("property").and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or("payload");
        let value = Path::parse(target).ok().and_then(|path| message.get_path(&path).cloned());
        Found::Place(Box::new(Place {
            group: parts.get("id").map(|id| text(id).as_ref().into()).unwrap_or_default(),
            kind,
            count: parts.get("count").map_or(f64::NAN, Value::to_number),
            glue: parts.get("ch").cloned().unwrap_or_default(),
            key: key(parts.get("key")),
            len: index(parts.get("len")).unwrap_or(1),
            index: index(parts.get("index")),
            value: value.unwrap_or_default(),
            target: target.into(),
        }))
    }
}
