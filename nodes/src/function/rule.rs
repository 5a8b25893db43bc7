//! `rule` raises an alarm when a condition holds, and clears it when it no longer does.

mod alarms;
mod tree;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tidewire_model::{Map, Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Fill, Kind, Meta, Node, NodeError, NodeType, RUNAWAY, Role, Shape, Signal,
    State, Status, StopReason, lenient,
};
use tidewire_script::Script;

use crate::shared::template::Template;
use alarms::{Alarms, Change, Restored, Timing, Told};
use tree::Tree;

/// Raises an alarm when a condition holds, and clears it when it no longer does.
///
/// A message leaves on **fired** when the alarm is raised and on **cleared** when it ends; nothing in between. So ten
/// readings above the limit make one message. What leaves is the message that decided it, with `msg.rule` =
/// `{key, state, since, value, duration}`.
///
/// - **For** waits until the condition has held that long without a break.
/// - **Clear** is a second condition that ends the alarm, such as below 25 where the alarm is above 30. Without it the
///   alarm ends as soon as the condition does not hold.
/// - **Cooldown** is the least time between two alarms. A condition that still holds when it is over raises it then.
/// - **Key** tells alarms apart: each value has an alarm of its own. Empty: one alarm for all messages.
///
/// A message that does not have the property in question says nothing, and changes nothing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RuleConfig {
    /// When the alarm is raised: tests of properties, joined by all (and) or any (or).
    #[serde(default)]
    #[schemars(extend("x-widget" = "conditions"))]
    conditions: Json,
    /// Instead of the conditions, one expression over `msg`, `payload` and `topic` that is true or false, such as
    /// `payload.t > 30`.
    #[schemars(extend("x-widget" = "code", "x-language" = "rhai"))]
    expression: String,
    /// Seconds for which the condition must hold before the alarm is raised.
    #[serde(rename = "for", deserialize_with = "lenient::number")]
    #[schemars(schema_with = "seconds_schema")]
    hold: f64,
    /// When the alarm ends, if not simply when the condition does not hold.
    #[schemars(extend("x-widget" = "conditions"))]
    clear: Json,
    /// Least number of seconds between two alarms.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "seconds_schema")]
    cooldown: f64,
    /// What tells alarms apart, as a template over the message.
    #[schemars(extend("x-widget" = "text"))]
    key: String,
}

fn seconds_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["number", "string", "null"],
        "minimum": 0,
        "pattern": r"^\s*(\d+(\.\d+)?|\$\{[^}]+\})?\s*$",
        "x-widget": "duration"
    })
}

impl Default for RuleConfig {
    fn default() -> Self {
        RuleConfig {
            conditions: json!({"all": [{"property": "payload", "op": "gt", "value": "30", "valueType": "num"}]}),
            expression: String::new(),
            hold: 0.0,
            clear: Json::Null,
            cooldown: 0.0,
            key: "{{topic}}".to_owned(),
        }
    }
}

enum Condition {
    Tree(Tree),
    Expression(Box<Script>),
}

pub(crate) struct Rule {
    condition: Condition,
    clear: Option<Tree>,
    key: Template,
    alarms: Alarms,
    shown: Option<Status>,
}

/// Form in which alarms go to the successor.
const STATE_VERSION: u32 = 2;
const FIRED: usize = 0;
const CLEARED: usize = 1;

impl NodeType for Rule {
    type Config = RuleConfig;

    const META: Meta = Meta {
        icon: "rule",
        outputs: &["fired", "cleared"],
        keywords: &["alarm", "alert", "condition", "threshold", "limit", "hysteresis", "if", "when"],
        ..Meta::new("rule", "Rule", Category::Function, Role::Logic, Kind::Stateful)
    };

    fn check(config: &RuleConfig) -> Vec<Problem> {
        Rule::compile(config).err().unwrap_or_default()
    }

    fn build(config: RuleConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Rule::compile(&config).map_err(BuildError)
    }
}

impl Rule {
    fn compile(config: &RuleConfig) -> Result<Rule, Vec<Problem>> {
        let condition = match config.expression.trim() {
            "" => match Tree::parse(&config.conditions, "/conditions") {
                Ok(Some(tree)) => Ok(Condition::Tree(tree)),
                Ok(None) => Err(vec![Problem::error("/conditions", "give a condition, or an expression")]),
                Err(problems) => Err(problems),
            },
            text => Script::compile_expression(text, &["msg", "payload", "topic"])
                .map(|script| Condition::Expression(Box::new(script)))
                .map_err(|error| vec![Problem::error("/expression", error.to_string())]),
        };
        let clear = Tree::parse(&config.clear, "/clear");
        let key = Template::parse(&config.key, "/key");
        let ms = |seconds: f64| (seconds.max(0.0) * 1000.0) as i64;
        let timing = Timing { hold_ms: ms(config.hold), cooldown_ms: ms(config.cooldown) };
        match (condition, clear, key) {
            (Ok(condition), Ok(clear), Ok(key)) => {
                Ok(Rule { condition, clear, key, alarms: Alarms::new(timing), shown: None })
            }
            (condition, clear, key) => Err([condition.err(), clear.err(), key.err().map(|problem| vec![problem])]
                .into_iter()
                .flatten()
                .flatten()
                .collect()),
        }
    }

    /// Whether the condition holds; `None` when the message says nothing about it.
    fn holds(&self, message: &Message, now_ms: i64) -> Result<Option<bool>, NodeError> {
        match &self.condition {
            Condition::Tree(tree) => Ok(tree.holds(message, now_ms)),
            Condition::Expression(script) => {
                let topic = message.get("topic").cloned().unwrap_or_default();
                match script.call(&[message.to_value(), message.payload().clone(), topic]) {
                    Ok(Value::Null | Value::Undefined) => Ok(None),
                    Ok(value) => Ok(Some(value.is_truthy())),
                    Err(error) if error.runaway => Err(NodeError::new(error.to_string()).with_code(RUNAWAY)),
                    Err(error) => Err(NodeError::new(error.to_string())),
                }
            }
        }
    }

    /// The value that the alarm is about: that of the first property tested, else the payload.
    fn value(&self, message: &Message) -> Value {
        match &self.condition {
            Condition::Tree(tree) => tree.first_value(message).unwrap_or_default(),
            Condition::Expression(_) => message.payload().clone(),
        }
    }

    fn judge(&mut self, message: &Message, ctx: &Ctx<'_>) -> Result<Option<Change>, NodeError> {
        let now = ctx.now_ms();
        let key = self.key.render(message)?;
        let firing = self.alarms.is_firing(&key);
        let met = match (&self.clear, firing) {
            // A raised alarm with a condition of its own to end it looks at nothing else.
            (Some(clear), true) => clear.holds(message, now).map(|ends| !ends),
            _ => self.holds(message, now)?,
        };
        let Some(met) = met else { return Ok(None) };
        let value = if met || firing { self.value(message) } else { Value::Undefined };
        self.alarms.update(&key, met, value, message, now, ctx).map_err(NodeError::new)
    }

    fn tell(&mut self, message: Message, change: Change, ctx: &mut Ctx<'_>) {
        let port = if change.fired { FIRED } else { CLEARED };
        let token = self.alarms.tell(&change, ctx.split_token(), ctx);
        ctx.emit_with(port, telling(message, change), Some(token));
    }

    fn show(&mut self, ctx: &Ctx<'_>) {
        let (firing, pending) = self.alarms.counts();
        let status = match (firing, pending) {
            (0, 0) => Status::new(Fill::Green, Shape::Ring, "normal"),
            (0, 1) => Status::new(Fill::Yellow, Shape::Ring, "pending"),
            (0, n) => Status::new(Fill::Yellow, Shape::Ring, format!("{n} pending")),
            (1, 0) => Status::new(Fill::Red, Shape::Dot, "firing"),
            (n, 0) => Status::new(Fill::Red, Shape::Dot, format!("{n} firing")),
            (n, m) => Status::new(Fill::Red, Shape::Dot, format!("{n} firing, {m} pending")),
        };
        if self.shown.as_ref() != Some(&status) {
            ctx.status(status.clone());
            self.shown = Some(status);
        }
    }
}

/// The message that tells of a change.
fn telling(mut message: Message, change: Change) -> Message {
    let (state, episode) = (if change.fired { "firing" } else { "cleared" }, change.episode);
    let mut rule = Map::with_capacity(5);
    rule.insert("key", episode.key);
    rule.insert("state", state);
    rule.insert("since", episode.since_ms);
    rule.insert("value", episode.value);
    rule.insert("duration", episode.duration_ms as f64 / 1000.0);
    message.set("rule", rule);
    message
}

impl Node for Rule {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Condition::Tree(tree) = &mut self.condition {
            tree.start(ctx).map_err(NodeError::new)?;
        }
        if let Some(clear) = &mut self.clear {
            clear.start(ctx).map_err(NodeError::new)?;
        }
        let restored = match state.filter(|state| state.version == STATE_VERSION) {
            Some(state) => Restored::State(state.data),
            None => Restored::Records(ctx.kept()),
        };
        let now = ctx.now_ms();
        let mut alarms = std::mem::take(&mut self.alarms);
        // What was pending under another condition is judged again by this one.
        alarms.restore(restored, ctx, &|message| match self.holds(message, now) {
            Ok(Some(true)) => Some(self.value(message)),
            _ => None,
        });
        self.alarms = alarms;
        self.show(ctx);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let change = match self.judge(&message, ctx) {
            Ok(change) => change,
            Err(error) => return Err(error.on(message)),
        };
        if let Some(change) = change {
            self.tell(message, change, ctx);
        }
        self.show(ctx);
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Timer(id) => {
                if let Some((change, message)) = self.alarms.due(id, ctx) {
                    let message = message.derive(ctx.next_id(), message.body().clone());
                    self.tell(message, change, ctx);
                }
            }
            Signal::Own(own) => {
                if let Ok(told) = own.downcast::<Told>() {
                    self.alarms.told(&told, ctx);
                }
            }
            _ => {}
        }
        self.show(ctx);
        Ok(())
    }

    fn stop(&mut self, reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        if reason != StopReason::Replaced {
            // After a restart or from the records, what was not told is told again.
            return None;
        }
        self.alarms.settle(ctx);
        Some(State { version: STATE_VERSION, data: self.alarms.to_bytes() })
    }
}

#[cfg(test)]
mod tests;
