//! What messages tell a node with dynamic subscriptions.

use serde_json::Value as Json;
use tidewire_model::{Map, Value};

use super::source::Datatype;
use crate::network::mqtt::Qos;

/// A subscription that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) topic: String,
    pub(super) qos: Qos,
    /// None: that of the node.
    pub(super) datatype: Option<Datatype>,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) retain_handling: u8,
}

impl Wanted {
    /// As `getSubscriptions` lists it.
    pub(super) fn to_value(&self) -> Value {
        let mut map = Map::with_capacity(2);
        map.insert("topic", self.topic.as_str());
        map.insert("qos", i64::from(self.qos.as_u8()));
        Value::object(map)
    }
}

/// The subscriptions that `topic` asks for: a filter, an object, or a list of either.
///
/// # Errors
/// What is wrong with it.
pub(super) fn wanted(topic: &Json) -> Result<Vec<Wanted>, String> {
    match topic {
        Json::Array(items) => items.iter().map(one).collect(),
        other => one(other).map(|wanted| vec![wanted]),
    }
}

fn one(item: &Json) -> Result<Wanted, String> {
    let truth =
        |key: &str| item.get(key).is_some_and(|value| value == &Json::Bool(true) || value.as_str() == Some("true"));
    let number = |key: &str| {
        let value = item.get(key)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).and_then(|number| u8::try_from(number).ok())
    };
    let topic = item.as_str().or_else(|| item.get("topic")?.as_str()).filter(|topic| !topic.is_empty());
    let Some(topic) = topic else { return Err("msg.topic names no topic filter to subscribe to".to_owned()) };
    Ok(Wanted {
        topic: topic.to_owned(),
        qos: number("qos").and_then(Qos::from_u8).unwrap_or(Qos::ExactlyOnce),
        datatype: item.get("datatype").and_then(Json::as_str).and_then(Datatype::named),
        no_local: truth("nl"),
        retain_as_published: truth("rap"),
        retain_handling: number("rh").unwrap_or(0),
    })
}

/// The filters that are to be unsubscribed; `None` means all.
///
/// # Errors
/// What is wrong with it.
pub(super) fn filters(topic: &Value) -> Result<Option<Vec<String>>, String> {
    let name = |item: &Value| {
        item.as_str()
            .or_else(|| item.get("topic")?.as_str())
            .map(str::to_owned)
            .ok_or_else(|| "msg.topic names no topic filter to unsubscribe from; true stands for all".to_owned())
    };
    match topic.resolved() {
        Value::Bool(true) => Ok(None),
        Value::Array(items) => items.iter().map(name).collect::<Result<_, _>>().map(Some),
        other => Ok(Some(vec![name(other)?])),
    }
}
