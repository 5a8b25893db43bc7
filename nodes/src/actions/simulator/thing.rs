//! How virtual things behave. Pure: time comes in, randomness comes from the seed.

use super::config::{ThingConfig, ThingKind};
use crate::shared::fnv::fnv64;

/// Draws numbers from a seed: splitmix64.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of one thing: its readings do not change when another thing is added.
    pub(super) fn new(seed: u64, id: &str) -> Self {
        Dice(seed ^ fnv64(id.as_bytes()))
    }

    /// From 0 to 1.
    pub(super) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From -1 to 1.
    fn swing(&mut self) -> f64 {
        self.roll() * 2.0 - 1.0
    }
}

/// Percent that soil loses in a second, and gains while it is watered.
const DRYING: f64 = 0.02;
const WATERING: f64 = 0.1;

/// Litres a minute through an open valve.
const FLOW: f64 = 12.0;

/// Where temperature and humidity swing around.
const MILD: f64 = 22.0;
const MOIST: f64 = 62.0;

/// One virtual thing as it is now.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) id: String,
    pub(super) kind: ThingKind,
    pub(super) every_ms: i64,
    pub(super) valve: String,
    dice: Dice,
    /// Moisture, temperature or humidity.
    level: f64,
    /// How long its world has run, in seconds.
    age: f64,
    /// Door or valve.
    pub(super) is_open: bool,
    /// When it was looked at last.
    seen_at: i64,
}

impl Thing {
    pub(super) fn new(config: &ThingConfig, first_valve: &str, seed: u64, now: i64) -> Self {
        let mut dice = Dice::new(seed, &config.id);
        let level = match config.kind {
            // Not far from where crops want water, so that something happens soon.
            ThingKind::Soil => 23.0 + 0.6 * dice.roll(),
            ThingKind::Temperature => MILD + dice.swing(),
            ThingKind::Humidity => MOIST + 3.0 * dice.swing(),
            ThingKind::Door | ThingKind::Valve => 0.0,
        };
        let valve = if config.valve.is_empty() { first_valve } else { &config.valve };
        Thing {
            id: config.id.clone(),
            kind: config.kind,
            every_ms: ((config.every * 1000.0) as i64).max(50),
            valve: valve.to_owned(),
            dice,
            level,
            age: 0.0,
            is_open: false,
            seen_at: now,
        }
    }

    /// Lets time pass until `now`; `watered` says whether the valve beside it is open.
    pub(super) fn pass(&mut self, now: i64, speed: f64, watered: bool) {
        let seconds = (now - self.seen_at).max(0) as f64 / 1000.0 * speed;
        self.seen_at = now;
        self.age += seconds;
        match self.kind {
            ThingKind::Soil => {
                let rate = if watered { WATERING } else { -DRYING };
                self.level = (self.level + rate * seconds * (1.0 + 0.2 * self.dice.swing())).clamp(3.0, 60.0);
            }
            ThingKind::Temperature => self.drift(MILD, 4.0, 0.1),
            // When it gets warmer, the air gets drier.
            ThingKind::Humidity => self.drift(MOIST, -12.0, 0.3),
            ThingKind::Door => {
                // Open for a minute, closed for ten, on average.
                let half_life = if self.is_open { 60.0 } else { 600.0 };
                if self.dice.roll() < 1.0 - (-seconds / half_life).exp() {
                    self.is_open = !self.is_open;
                }
            }
            ThingKind::Valve => {}
        }
    }

    /// Moves towards the course of a day, with a little noise.
    fn drift(&mut self, middle: f64, swing: f64, noise: f64) {
        let course = middle + swing * (self.age / 86_400.0 * std::f64::consts::TAU).sin();
        self.level += (course - self.level) * 0.1 + noise * self.dice.swing();
    }

    /// What it reports: name of the property, value as JSON text, unit.
    pub(super) fn readings(&self) -> Vec<Reading> {
        let number = |property, unit, value: f64, digits: usize| Reading {
            property,
            unit,
            text: format!("{value:.digits$}"),
            is_text: false,
        };
        match self.kind {
            ThingKind::Soil => vec![number("moisture", "%", self.level, 1)],
            ThingKind::Temperature => vec![number("temperature", "°C", self.level, 1)],
            ThingKind::Humidity => vec![number("humidity", "%", self.level.clamp(5.0, 100.0), 0)],
            ThingKind::Door => {
                vec![Reading { property: "door", unit: "", text: self.state().to_owned(), is_text: true }]
            }
            ThingKind::Valve => vec![
                Reading { property: "valve", unit: "", text: self.state().to_owned(), is_text: true },
                number("flow", "L/min", if self.is_open { FLOW } else { 0.0 }, 1),
            ],
        }
    }

    pub(super) fn state(&self) -> &'static str {
        if self.is_open { "open" } else { "closed" }
    }

    /// How long it takes to carry out a command: one to two seconds.
    pub(super) fn reaction_ms(&mut self) -> i64 {
        1_000 + (self.dice.roll() * 1_000.0) as i64
    }
}

/// One value of a thing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) property: &'static str,
    pub(super) unit: &'static str,
    pub(super) text: String,
    pub(super) is_text: bool,
}
