//! Text to values, with a way out in every error.

use std::net::SocketAddr;

use serde_json::Value as Json;
use tidewire_engine::ContextSettings;

use super::SettingsError;
use crate::history::Keeping;

const ADDRESS: &str = "use ADDRESS:PORT such as 127.0.0.1:1880";
const MQTT_ADDRESS: &str = "use ADDRESS:PORT such as 127.0.0.1:1883, or off";

pub(super) fn address(name: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    let mend = if name == "mqtt" { MQTT_ADDRESS } else { ADDRESS };
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| SettingsError::Value {
        name,
        value: text.to_owned(),
        reason: "which is not an IP address with a port".to_owned(),
        mend,
    })
}

pub(super) fn boolean(name: &'static str, text: Option<&str>, default: bool) -> Result<bool, SettingsError> {
    let Some(text) = text else { return Ok(default) };
    let words = [("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)];
    words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, value)| *value).ok_or_else(|| {
        SettingsError::Value {
            name,
            value: text.to_owned(),
            reason: "which is neither yes nor no".to_owned(),
            mend: "use true or false",
        }
    })
}

pub(super) fn keyword<T: Copy>(name: &'static str, text: &str, words: &[(&str, T)]) -> Result<T, SettingsError> {
    words.iter().find(|(word, _)| text == *word).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        SettingsError::Value {
            name,
            value: text.to_owned(),
            reason: format!("known here: {}", known.join(" or ")),
            mend: "use one of these",
        }
    })
}

/// A whole number from 1 to 256.
/// Days for which history is kept, by resolution.
pub(super) fn history_days(text: Option<&str>) -> Result<Keeping, SettingsError> {
    let Some(text) = text else { return Ok(Keeping::default()) };
    Keeping::parse(text).ok_or_else(|| SettingsError::Value {
        name: "history-days",
        value: text.to_owned(),
        reason: "which is not four numbers of days".to_owned(),
        mend: "use days for seconds, minutes, hours and days such as 7,90,1825,0",
    })
}

pub(super) fn whole(name: &'static str, text: Option<&str>, default: usize) -> Result<usize, SettingsError> {
    let Some(text) = text else { return Ok(default) };
    text.parse().ok().filter(|number| (1..=256).contains(number)).ok_or_else(|| SettingsError::Value {
        name,
        value: text.to_owned(),
        reason: "which is no number of threads".to_owned(),
        mend: "use a whole number from 1 to 256",
    })
}

/// A whole number from 1 to a million.
pub(super) fn count(name: &'static str, text: Option<&str>, default: u32) -> Result<u32, SettingsError> {
    let Some(text) = text else { return Ok(default) };
    text.parse().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| SettingsError::Value {
        name,
        value: text.to_owned(),
        reason: "which is no number that can be used here".to_owned(),
        mend: "use a whole number from 1 to 1000000",
    })
}

/// `NAME=VALUE` as its two halves.
fn pair<'t>(name: &'static str, text: &'t str, mend: &'static str) -> Result<(&'t str, &'t str), SettingsError> {
    text.split_once('=').ok_or_else(|| SettingsError::Value {
        name,
        value: text.to_owned(),
        reason: "which has no =".to_owned(),
        mend,
    })
}

pub(super) fn context(stores: &[String], mebibytes: Option<&str>) -> Result<ContextSettings, SettingsError> {
    const MEND: &str = "use NAME=durable, NAME=memory or default=NAME";
    let pairs = stores.iter().map(|text| pair("context-store", text, MEND)).collect::<Result<Vec<_>, _>>()?;
    let settings = ContextSettings::of(pairs).map_err(|reason| SettingsError::Value {
        name: "context-store",
        value: stores.join(","),
        reason,
        mend: MEND,
    })?;
    let Some(text) = mebibytes else { return Ok(settings) };
    let number: Option<usize> = text.parse().ok().filter(|number| (1..=65_536).contains(number));
    number.map(|number| settings.with_bytes_max(number << 20)).ok_or_else(|| SettingsError::Value {
        name: "context-max",
        value: text.to_owned(),
        reason: "which is no number of mebibytes".to_owned(),
        mend: "use a whole number from 1 to 65536",
    })
}

/// A setting of nodes: JSON where it is JSON, else text.
pub(super) fn node_setting(text: &str) -> Result<(String, Json), SettingsError> {
    const MEND: &str = "use a setting's name and its value, such as nodeMessageBufferMaxLength=1000";
    let (name, value) = pair("node-setting", text, MEND)?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(SettingsError::Value {
            name: "node-setting",
            value: text.to_owned(),
            reason: "which does not start with a setting's name".to_owned(),
            mend: MEND,
        });
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

pub(super) fn host_name(text: &str) -> Result<String, SettingsError> {
    let valid = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    valid.then(|| text.to_ascii_lowercase()).ok_or_else(|| SettingsError::Value {
        name: "allow-host",
        value: text.to_owned(),
        reason: "which is no host name".to_owned(),
        mend: "use a name without port, such as tidewire.example.org",
    })
}
