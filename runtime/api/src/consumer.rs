//! Groups of competing consumers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How events are shared out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupStrategy {
    /// To whoever asks.
    #[default]
    RoundRobin,
    /// All events of a stream to one member, in order.
    ByStream,
}

/// What a group is to be.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupSpec {
    /// Name of a stream; `*` stands for any run of characters.
    pub stream: Option<String>,
    /// What stands before the first `-` of a stream's name.
    pub category: Option<String>,
    /// Event types; `*` stands for any run of characters. Empty: all.
    pub types: Vec<String>,
    /// A condition on each event, such as `data.temperature > 25`.
    pub filter: Option<String>,
    /// Where a new group begins: `beginning` (default), `now`, `checkpoint:NAME`, a position, or a time.
    pub start: Option<String>,
    /// How events are shared out.
    pub strategy: GroupStrategy,
    /// How many events one member may hold at a time. Here and below the group's answer tells the default.
    pub in_flight_max: Option<u32>,
    /// How long a member may hold one without an answer, in milliseconds.
    pub lease_ms: Option<u64>,
    /// How often an event is handed out before it is put aside.
    pub deliveries_max: Option<u32>,
}

/// How a group is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GroupInfo {
    pub name: String,
    /// Which events.
    pub filter: Value,
    pub strategy: GroupStrategy,
    pub in_flight_max: u32,
    pub lease_ms: u64,
    pub deliveries_max: u32,
    /// Everything up to here is dealt with or put aside.
    pub position: u64,
    /// How many positions the head of the log is ahead of it.
    pub lag: u64,
    /// Events that members hold.
    pub in_flight: u64,
    /// Events that wait for a time before they are handed out again.
    pub waiting: u64,
    /// Events that were put aside.
    pub parked: u64,
    /// How often events were handed out.
    pub delivered: u64,
    /// How often that was not the first time.
    pub redelivered: u64,
    pub acknowledged: u64,
    pub members: Vec<GroupMember>,
}

/// A member that was heard of within a day.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GroupMember {
    pub name: String,
    pub in_flight: u64,
    /// When it was heard of last, milliseconds since 1970.
    pub seen: i64,
}

/// A member asks for events.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The name of the member; each has its own.
    pub member: String,
    /// How many events at most.
    #[serde(default = "one")]
    pub max: usize,
    /// How long to wait when there are none, in milliseconds, at most 30,000.
    #[serde(default)]
    pub wait_ms: u64,
}

const fn one() -> usize {
    1
}

/// Events that a member holds until it answers, or until the lease ends.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Fetched {
    pub items: Vec<Leased>,
    /// How long it may hold them, in milliseconds.
    pub lease_ms: u64,
}

/// An event that a member holds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Leased {
    pub event: Value,
    /// How often it was handed out, this time included.
    pub delivery: u32,
}

/// A member answers for events that it holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleEvents {
    /// The name of the member.
    pub member: String,
    pub positions: Vec<u64>,
    /// `nak` only: how long to wait before they are handed out again, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// `nak` and `park`: why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What became of the answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Settled {
    pub settled: Vec<u64>,
    /// The member did not hold these any more; another one may have got them.
    pub lost: Vec<u64>,
}

/// An event that was put aside.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ParkedEvent {
    pub position: u64,
    /// Why it was put aside.
    pub reason: String,
    /// How often it was handed out.
    pub deliveries: u32,
    /// When, milliseconds since 1970.
    pub time: i64,
    /// By whom.
    pub by: String,
    /// The event, unless it is gone.
    pub event: Option<Value>,
}

/// Which events that were put aside.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Unpark {
    /// Their positions; all when there are none.
    pub positions: Option<Vec<u64>>,
    /// Why they are dropped.
    pub reason: Option<String>,
}
