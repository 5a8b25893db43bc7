//! `msg._linkSource`: the calls that a message is under way for, the latest last.

use tidewire_model::{Map, Message, NodeId, Value};

const KEY: &str = "_linkSource";

/// Notes that `node` made call number `call` and waits for the message.
pub(super) fn push(message: &mut Message, call: u64, node: &NodeId) {
    let mut entry = Map::with_capacity(2);
    entry.insert("id", format!("{call:016x}"));
    entry.insert("node", node.as_str());
    let stack = message.body_mut().entry(KEY);
    if let Some(calls) = stack.as_array_mut() {
        calls.push(Value::object(entry));
    } else {
        *stack = Value::array(vec![Value::object(entry)]);
    }
}

/// The node that made the latest call.
pub(super) fn caller(message: &Message) -> Option<NodeId> {
    message.get(KEY)?.as_array()?.last()?.get("node")?.as_str().map(NodeId::from)
}

/// Takes the latest call off, and gives its number if it is one of `node`.
pub(super) fn pop(message: &mut Message, node: &NodeId) -> Option<u64> {
    if caller(message).as_ref() != Some(node) {
        return None;
    }
    let calls = message.body_mut().get_mut(KEY)?.as_array_mut()?;
    let call = calls.pop();
    if calls.is_empty() {
        message.body_mut().remove(KEY);
    }
    u64::from_str_radix(call?.get("id")?.as_str()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_answered_in_reverse() {
        let (a, b) = (NodeId::from("a"), NodeId::from("b"));
        let mut message = Message::with_payload(1, 1);
        push(&mut message, 7, &a);
        push(&mut message, 8, &b);
        assert_eq!(caller(&message), Some(b.clone()));
        assert_eq!((pop(&mut message, &a), pop(&mut message, &b)), (None, Some(8)));
        assert_eq!(pop(&mut message, &a), Some(7));
        assert!(message.get("_linkSource").is_none() && caller(&message).is_none());
    }
}
