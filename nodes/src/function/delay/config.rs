//! Configuration of `delay`, with Node-RED's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map as JsonMap, Value as Json};
use tidewire_node_api::lenient;

use crate::shared::held::Ack;

/// Holds messages back: each for a time, or all together to a rate.
///
/// A message that waits is kept through restarts and deploys; one whose time came meanwhile leaves at once. With a rate,
/// the first message passes at once and the others follow one per interval; or what comes too soon is left out. The queue
/// modes keep the latest message of each topic.
///
/// A message with `reset` drops what waits; one with `flush` sends it now, all of it or as many messages as the number
/// says. `toFront` (true) puts a message first where there is a rate.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct DelayConfig {
    /// How long messages wait.
    #[schemars(extend("x-widget" = "select"))]
    pub(super) pause_type: PauseType,
    /// Time that each message waits.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "pauseType": ["delay", "delayv"] }))]
    pub(super) timeout: f64,
    /// Unit of that time.
    #[schemars(extend("x-widget" = "select", "x-show" = { "pauseType": ["delay", "delayv"] }))]
    pub(super) timeout_units: Units,
    /// Number of messages per interval.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "pauseType": ["rate", "queue", "timed"] }))]
    pub(super) rate: f64,
    /// Length of the interval.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "pauseType": ["rate", "queue", "timed"] }))]
    pub(super) nb_rate_units: f64,
    /// Unit of the interval.
    #[schemars(extend("x-widget" = "select", "x-show" = { "pauseType": ["rate", "queue", "timed"] }))]
    pub(super) rate_units: RateUnits,
    /// Shortest wait.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "pauseType": "random" }))]
    pub(super) random_first: f64,
    /// Longest wait.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "pauseType": "random" }))]
    pub(super) random_last: f64,
    /// Unit of both.
    #[schemars(extend("x-widget" = "select", "x-show" = { "pauseType": "random" }))]
    pub(super) random_units: Units,
    /// Leave out what comes too soon, rather than let it wait.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema", extend("x-show" = { "pauseType": "rate" }))]
    pub(super) drop: bool,
    /// Let `msg.rate` set the interval, in milliseconds.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema", extend("x-show" = { "pauseType": ["rate", "queue", "timed"] }))]
    pub(super) allowrate: bool,
    /// Number of outputs. With 2, what is left out or replaced leaves on the second.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    pub(super) outputs: f64,
    /// When the source of a message hears that it is in good hands.
    #[schemars(extend("x-widget" = "select"))]
    pub(super) ack: Ack,
}

/// What a delay does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PauseType {
    /// Each message waits for the same time.
    #[default]
    Delay,
    /// Each message waits for `msg.delay` milliseconds, or for the time below.
    Delayv,
    /// Each message waits for a random time.
    Random,
    /// All messages together keep to a rate.
    Rate,
    /// The latest message of each topic, one topic per interval.
    Queue,
    /// The latest message of each topic, all topics together once per interval.
    Timed,
}

/// Unit of a wait.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Units {
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    #[default]
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days.
    Days,
}

/// Unit of a rate.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RateUnits {
    /// Seconds.
    #[default]
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days.
    Day,
}

const SECOND_MS: f64 = 1_000.0;
const MINUTE_MS: f64 = 60.0 * SECOND_MS;
const HOUR_MS: f64 = 60.0 * MINUTE_MS;
const DAY_MS: f64 = 24.0 * HOUR_MS;

impl Units {
    fn ms(self) -> f64 {
        match self {
            Units::Milliseconds => 1.0,
            Units::Seconds => SECOND_MS,
            Units::Minutes => MINUTE_MS,
            Units::Hours => HOUR_MS,
            Units::Days => DAY_MS,
        }
    }
}

impl Default for DelayConfig {
    fn default() -> Self {
        DelayConfig {
            pause_type: PauseType::default(),
            timeout: 5.0,
            timeout_units: Units::default(),
            rate: 1.0,
            nb_rate_units: 1.0,
            rate_units: RateUnits::default(),
            random_first: 1.0,
            random_last: 5.0,
            random_units: Units::default(),
            drop: false,
            allowrate: false,
            outputs: 1.0,
            ack: Ack::default(),
        }
    }
}

impl DelayConfig {
    pub(super) fn timeout_ms(&self) -> f64 {
        self.timeout * self.timeout_units.ms()
    }

    pub(super) fn random_ms(&self) -> (f64, f64) {
        let ms = self.random_units.ms();
        (self.random_first * ms, self.random_last * ms)
    }

    /// All times in milliseconds.
    pub(super) fn in_ms(&self) -> JsonMap<String, Json> {
        let (first, last) = self.random_ms();
        let times =
            [("timeout", self.timeout_ms()), ("rate", self.rate_ms()), ("randomFirst", first), ("randomLast", last)];
        times.into_iter().map(|(name, ms)| (name.to_owned(), ms.into())).collect()
    }

    /// The interval between two messages.
    pub(super) fn rate_ms(&self) -> f64 {
        let unit = match self.rate_units {
            RateUnits::Second => SECOND_MS,
            RateUnits::Minute => MINUTE_MS,
            RateUnits::Hour => HOUR_MS,
            RateUnits::Day => DAY_MS,
        };
        let units = if self.nb_rate_units > 0.0 { self.nb_rate_units } else { 1.0 };
        unit / self.rate * units
    }
}
