//! What a wire does when the inbox it leads to is full, and how much an inbox takes.

use serde_json::Value as Json;

/// What a wire does when the inbox it leads to is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// The sender waits.
    #[default]
    Block,
    /// The oldest message of this wire gives way; if none is left there, the oldest of the new ones.
    DropOldest,
    /// What does not fit is dropped.
    DropNewest,
    /// A new message takes the place of one with the same topic that came over this wire and still waits, at any time.
    /// The sender waits when there is no room for one more topic.
    Latest,
}

impl Policy {
    /// All of them, by the names they have in flow files.
    const NAMES: [(&'static str, Policy); 4] = [
        ("block", Policy::Block),
        ("drop-oldest", Policy::DropOldest),
        ("drop-newest", Policy::DropNewest),
        ("latest", Policy::Latest),
    ];

    /// The policy of this name.
    pub fn named(name: &str) -> Option<Policy> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|(_, policy)| *policy)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, policy)| *policy == self).map_or("block", |(name, _)| name)
    }
}

/// A number of messages and their size in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub messages: usize,
    pub bytes: usize,
}

/// What an inbox holds at most before its senders wait. Bytes may be passed by one message, so that each gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub messages: usize,
    pub bytes: usize,
}

/// Large enough that a burst from one MQTT window fits.
pub const LIMITS: Limits = Limits { messages: 1_024, bytes: 4 * 1024 * 1024 };

/// What may pile up beyond the limits from wires that close a loop, where senders never wait.
pub const OVERFLOW: Limits = Limits { messages: 10_000, bytes: 16 * 1024 * 1024 };

impl Default for Limits {
    fn default() -> Self {
        LIMITS
    }
}

impl Limits {
    /// Limits from the property `inbox` of a flow file's entry, and what is wrong with it (path and text).
    pub fn read(json: &Json) -> (Limits, Vec<(&'static str, String)>) {
        let mut problems = Vec::new();
        let mut limits = LIMITS;
        let Some(map) = json.as_object() else {
            let text = "must be an object with \"messages\" and \"bytes\"; the usual limits hold".to_owned();
            return (limits, vec![("/inbox", text)]);
        };
        for (key, path, limit) in
            [("messages", "/inbox/messages", &mut limits.messages), ("bytes", "/inbox/bytes", &mut limits.bytes)]
        {
            let Some(value) = map.get(key) else { continue };
            match value.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0) {
                Some(number) => *limit = number,
                None => problems.push((path, format!("must be a whole number above 0; {limit} holds"))),
            }
        }
        (limits, problems)
    }

    /// With room for what goes round in loops.
    pub fn with_overflow(self) -> Limits {
        Limits {
            messages: self.messages.saturating_add(OVERFLOW.messages),
            bytes: self.bytes.saturating_add(OVERFLOW.bytes),
        }
    }
}

/// How a sender reaches an inbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way {
    /// Number of the wire; 0 for none.
    pub wire: u32,
    pub policy: Policy,
    /// Closes a loop: the sender never waits.
    pub feedback: bool,
    /// Leads into a loop from outside, or from outside of all flows: it waits while the loop holds too much.
    pub entry: bool,
    /// From outside of all flows: it waits while all inboxes together hold too much.
    pub source: bool,
    /// The sender has to go and may use the room that is left for loops.
    pub last_call: bool,
}

impl Way {
    /// From the world: a node's own connection, or a person or program that sends to the node.
    pub const SOURCE: Way =
        Way { wire: 0, policy: Policy::Block, feedback: false, entry: true, source: true, last_call: false };

    /// Ways that are not drawn, such as from a failing node to a catch node.
    pub const FEEDBACK: Way =
        Way { wire: 0, policy: Policy::Block, feedback: true, entry: false, source: false, last_call: false };
}
