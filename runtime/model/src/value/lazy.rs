//! JSON text that is checked when it arrives and parsed only when somebody looks into it.

use std::sync::OnceLock;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::IgnoredAny;

use super::{ParseError, Value};

/// Valid JSON text and, once somebody asked, its value. Written out again as it came, byte for byte.
#[derive(Debug)]
pub struct LazyJson {
    text: ByteString,
    value: OnceLock<Value>,
}

impl LazyJson {
    /// Checks that `bytes` are UTF-8 and JSON, without building anything.
    ///
    /// # Errors
    /// Says where the text stops being JSON.
    pub fn new(bytes: Bytes) -> Result<Self, ParseError> {
        let text = ByteString::try_from(bytes).map_err(|_| ParseError::not_utf8())?;
        serde_json::from_str::<IgnoredAny>(&text).map_err(ParseError::from)?;
        Ok(LazyJson { text, value: OnceLock::new() })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn bytes(&self) -> &Bytes {
        self.text.as_bytes()
    }

    /// The parsed value.
    pub fn value(&self) -> &Value {
        // Invariant: the text was checked by `new`; only a number outside every range could still fail, and reads as null.
        self.value.get_or_init(|| Value::from_json(&self.text).unwrap_or(Value::Null))
    }
}
