//! Configuration of the simulator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::Problem;
use tidewire_node_api::lenient;

/// What a virtual thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ThingKind {
    /// Soil moisture in percent: falls slowly, rises while the valve beside it is open.
    #[default]
    Soil,
    /// Air temperature in degrees Celsius.
    Temperature,
    /// Air humidity in percent.
    Humidity,
    /// Door that is opened and closed now and then.
    Door,
    /// Valve that takes commands and answers after one to two seconds.
    Valve,
}

/// How virtual things speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Convention {
    /// Readings as JSON on `PREFIX/ID`, such as `{"moisture":23.4}`. A valve takes `open`, `closed` or
    /// `{"valve":"open","command":"…"}` on `PREFIX/ID/valve/set` and answers `{"valve":"open","command":"…"}` on
    /// `PREFIX/ID/valve`.
    #[default]
    Plain,
    /// Homie 5: values on `PREFIX/5/ID/KIND/PROPERTY`, with retained `$state` and `$description`. A valve takes `true` or
    /// `false` on `…/valve/open/set`, accepts on `…/valve/open/$target` and answers on `…/valve/open`.
    Homie,
}

/// One virtual thing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ThingConfig {
    /// Identity, part of its topics.
    pub(crate) id: String,
    /// What it is.
    pub(crate) kind: ThingKind,
    /// Seconds between readings.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    pub(crate) every: f64,
    /// Soil: identity of the valve that waters it; empty means the first valve.
    pub(crate) valve: String,
}

impl Default for ThingConfig {
    fn default() -> Self {
        ThingConfig { id: String::new(), kind: ThingKind::Soil, every: 5.0, valve: String::new() }
    }
}

/// Virtual things that speak MQTT like real ones, to try flows without hardware.
///
/// The readings depend on the seed and the time alone: the same seed gives the same readings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SimulatorConfig {
    /// Connection to the broker on which the things publish.
    #[schemars(extend("x-widget" = "config-node", "x-config-type" = "mqtt-broker"))]
    pub(crate) broker: String,
    /// The things.
    #[schemars(extend("x-widget" = "things"))]
    pub(crate) things: Vec<ThingConfig>,
    /// How they speak.
    #[schemars(extend("x-widget" = "select"))]
    pub(crate) convention: Convention,
    /// First part of all topics; empty means `sim`, or `homie` for that convention.
    #[schemars(extend("x-widget" = "text"))]
    pub(crate) prefix: String,
    /// Number from which all readings are drawn.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    pub(crate) seed: f64,
    /// How much faster than in reality soil dries, rooms warm up and doors move. The pace of the readings stays.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    pub(crate) speed: f64,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        let thing = |id: &str, kind| ThingConfig { id: id.to_owned(), kind, ..ThingConfig::default() };
        SimulatorConfig {
            broker: String::new(),
            things: vec![thing("soil-1", ThingKind::Soil), thing("valve-1", ThingKind::Valve)],
            convention: Convention::Plain,
            prefix: String::new(),
            seed: 7.0,
            speed: 1.0,
        }
    }
}

impl SimulatorConfig {
    /// Most virtual things of one node.
    const THINGS_MAX: usize = 1_000;

    /// Rules that the schema cannot say.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.broker.is_empty() {
            problems.push(Problem::error("/broker", "choose the broker on which the things publish"));
        }
        if self.things.len() > Self::THINGS_MAX {
            problems.push(Problem::error("/things", "a simulator holds at most 1000 things; add a second one"));
        }
        if !(0.0..=10_000.0).contains(&self.speed) {
            problems.push(Problem::error("/speed", "use a number from 0 to 10000"));
        }
        if self.prefix.contains(['+', '#']) {
            problems.push(Problem::error("/prefix", "a topic has no + and no #"));
        }
        for (index, thing) in self.things.iter().enumerate() {
            let at = |key: &str| format!("/things/{index}/{key}");
            if thing.id.is_empty() || thing.id.contains(['/', '+', '#', ' ']) {
                problems.push(Problem::error(at("id"), "the identity is part of topics: letters, digits and dashes"));
            }
            if self.things.iter().take(index).any(|other| other.id == thing.id) {
                problems.push(Problem::error(at("id"), format!("there are two things named \"{}\"", thing.id)));
            }
            if !(0.05..=86_400.0).contains(&thing.every) {
                problems.push(Problem::error(at("every"), "use a number of seconds from 0.05 to 86400"));
            }
        }
        problems
    }

    pub(super) fn prefix(&self) -> &str {
        match (self.prefix.trim_matches('/'), self.convention) {
            ("", Convention::Plain) => "sim",
            ("", Convention::Homie) => "homie",
            (prefix, _) => prefix,
        }
    }
}
