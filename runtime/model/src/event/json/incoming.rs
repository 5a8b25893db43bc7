//! The attributes of an event in JSON, sorted into those with a meaning here and all others.

use std::fmt;

use compact_str::CompactString;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;

/// A whole number, or a text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it is neither a text nor a whole number from 0")]
pub(super) enum Scalar {
    Number(u64),
    Text(CompactString),
}

impl Scalar {
    pub(super) fn into_text(self) -> CompactString {
        match self {
            Self::Number(number) => CompactString::from(number.to_string()),
            Self::Text(text) => text,
        }
    }
}

/// Attributes with a meaning of their own.
#[derive(Deserialize)]
pub(super) struct Attributes<'a> {
    pub(super) specversion: Option<CompactString>,
    pub(super) id: Option<CompactString>,
    pub(super) source: Option<CompactString>,
    pub(super) r#type: Option<CompactString>,
    pub(super) subject: Option<CompactString>,
    pub(super) time: Option<CompactString>,
    pub(super) position: Option<Scalar>,
    pub(super) version: Option<Scalar>,
    pub(super) recordedtime: Option<CompactString>,
    pub(super) causationid: Option<CompactString>,
    pub(super) correlationid: Option<CompactString>,
    pub(super) actor: Option<CompactString>,
    pub(super) flowrev: Option<CompactString>,
    pub(super) nodeid: Option<CompactString>,
    pub(super) expectedversion: Option<Scalar>,
    pub(super) datacontenttype: Option<CompactString>,
    pub(super) dataschema: Option<CompactString>,
    pub(super) keyid: Option<CompactString>,
    pub(super) erased: Option<bool>,
    pub(super) dataproblem: Option<CompactString>,
    #[serde(default, rename = "upcastproblem")]
    _upcastproblem: Option<IgnoredAny>,
    pub(super) raw: Option<CompactString>,
    pub(super) rawtopic: Option<CompactString>,
    pub(super) rawretain: Option<bool>,
    pub(super) rawqos: Option<u8>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) data: Option<&'a RawValue>,
    pub(super) data_base64: Option<CompactString>,
}

/// Data that is null is there, unlike attributes that are null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The names and values of all other attributes, as they stand there.
pub(super) type Others<'a> = Vec<(CompactString, &'a RawValue)>;

/// An event in JSON.
pub(super) struct Parts<'a> {
    pub(super) attributes: Attributes<'a>,
    pub(super) others: Others<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut others = Vec::new();
        let attributes = Attributes::deserialize(Sorting { inner: deserializer, others: &mut others })?;
        Ok(Self { attributes, others })
    }
}

/// Hands a struct the fields that it has, and puts the others aside.
struct Sorting<'o, 'de, D> {
    inner: D,
    others: &'o mut Others<'de>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Sorting<'_, 'de, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Fields { fields, inner: visitor, others: self.others, at: "" })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// What visits an object, and the object, with only the fields that are known.
struct Fields<'o, 'de, T> {
    fields: &'static [&'static str],
    inner: T,
    others: &'o mut Others<'de>,
    /// The field whose value comes next.
    at: &'static str,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Fields { fields: self.fields, inner: map, others: self.others, at: "" })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.inner.next_key::<CompactString>()? {
            if let Some(known) = self.fields.iter().find(|known| **known == name) {
                self.at = known;
                return seed.deserialize(StrDeserializer::new(&name)).map(Some);
            }
            self.others.push((name, self.inner.next_value()?));
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed).map_err(|error| A::Error::custom(format!("'{}': {error}", self.at)))
    }
}
