//! `switch` sends each message to the outputs whose rule it meets.

mod groups;

use compact_str::CompactString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use smallvec::SmallVec;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Outcome, Role, Signal, State,
    StopReason, lenient,
};

use crate::shared::condition::{Comparison, Given, Op, Surroundings};
use crate::shared::held::{Ack, Entry, Held, Holder, NEVER};
use crate::shared::typed_input::{Operand, comes_later};
use groups::Groups;

/// Most messages held at a time, where no setting says so.
const HELD_MAX: usize = 100_000;

/// Key of the timer that lets go of what a restart found ready.
const READY: u64 = 0;

/// Sends each message to the outputs whose rule it meets.
///
/// Each rule has an output of its own, in order. Comparisons are JavaScript's loose ones: the text `"30"` equals the
/// number 30. `otherwise` is met when no rule before it was. With **first match** the later rules are not looked at.
/// A property that is missing counts as undefined.
///
/// The rules `head`, `index` and `tail` look at the place of a message in its sequence (`msg.parts`). With `tail`, and
/// when sequences are numbered anew, messages wait until their sequence is complete; they are kept through restarts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SwitchConfig {
    /// What is looked at.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "propertyType", "x-types" = ["msg", "flow", "global", "env"]))]
    property: String,
    /// Type of the property: `msg`, `flow`, `global` or `env`.
    property_type: String,
    /// The rules; each has an output.
    #[serde(default)]
    #[schemars(extend("x-widget" = "rules"))]
    rules: Vec<Rule>,
    /// Whether the rules after one that is met are looked at.
    #[schemars(schema_with = "check_all_schema")]
    checkall: CheckAll,
    /// Number the messages of a sequence anew at each output.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    repair: bool,
    /// Number of outputs: that of the rules.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    outputs: f64,
    /// When the source of a message that waits hears that it is in good hands.
    #[schemars(extend("x-widget" = "select", "x-show-if" = {"repair": true}))]
    ack: Ack,
}

/// Text in the file, as Node-RED writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "LenientBool", into = "&'static str")]
struct CheckAll(bool);

#[derive(Deserialize)]
struct LenientBool(#[serde(deserialize_with = "lenient::boolean")] bool);

impl From<LenientBool> for CheckAll {
    fn from(LenientBool(all): LenientBool) -> Self {
        CheckAll(all)
    }
}

impl From<CheckAll> for &'static str {
    fn from(CheckAll(all): CheckAll) -> Self {
        if all { "true" } else { "false" }
    }
}

fn check_all_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "const": "true", "title": "All rules" },
            { "const": "false", "title": "First match" },
            { "type": ["boolean", "string", "number", "null"] }
        ]
    })
}

/// One rule.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Rule {
    /// The comparison: eq neq lt lte gt gte btwn cont regex hask true false null nnull empty nempty istype head tail
    /// index, or else.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    t: String,
    /// What is compared with.
    #[serde(skip_serializing_if = "Json::is_null")]
    v: Json,
    /// Its type: str, num, msg, flow, global, env, bool, json or prev (the value of the message before).
    #[serde(skip_serializing_if = "Option::is_none")]
    vt: Option<String>,
    /// The second bound of `btwn` and `index`.
    #[serde(skip_serializing_if = "Json::is_null")]
    v2: Json,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    v2t: Option<String>,
    /// `regex` ignores upper and lower case.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    case: bool,
}

impl Default for SwitchConfig {
    fn default() -> Self {
        let rule =
            Rule { t: "eq".to_owned(), v: Json::String(String::new()), vt: Some("str".to_owned()), ..Rule::default() };
        SwitchConfig {
            property: "payload".to_owned(),
            property_type: "msg".to_owned(),
            rules: vec![rule],
            checkall: CheckAll(true),
            repair: false,
            outputs: 1.0,
            ack: Ack::default(),
        }
    }
}

enum Test {
    Else,
    Comparison(Comparison),
}

/// Outputs a message goes to; few.
type Matches = SmallVec<[usize; 8]>;

pub(crate) struct Switch {
    property: Operand,
    tests: Vec<Test>,
    check_all: bool,
    repair: bool,
    /// Messages of a sequence must be held until it is complete.
    holds: bool,
    groups: Groups,
    holder: Holder,
    /// What a restart found ready to leave.
    ready: Vec<Vec<Held>>,
    /// Place of the next message in the order of those that are held.
    rank: i64,
    previous: Value,
    keeps_previous: bool,
}

impl NodeType for Switch {
    type Config = SwitchConfig;

    const META: Meta = Meta {
        icon: "switch",
        keywords: &["if", "condition", "route", "filter", "compare", "threshold", "else"],
        ..Meta::new("switch", "Switch", Category::Function, Role::Logic, Kind::Stateful)
    };

    fn check(config: &SwitchConfig) -> Vec<Problem> {
        Switch::compile(config).err().unwrap_or_default()
    }

    fn build(config: SwitchConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Switch::compile(&config).map_err(BuildError)
    }
}

impl Switch {
    fn compile(config: &SwitchConfig) -> Result<Switch, Vec<Problem>> {
        let mut problems = Vec::new();
        let property = match config.property_type.as_str() {
            kind @ ("msg" | "flow" | "global" | "env") => {
                Operand::compile(&Json::String(config.property.clone()), kind, "/property")
            }
            kind => Err(comes_later(kind, "/property")),
        };
        let mut tests = Vec::with_capacity(config.rules.len());
        for (index, rule) in config.rules.iter().enumerate() {
            match rule.compile(index) {
                Ok(test) => tests.push(test),
                Err(problem) => problems.push(problem),
            }
        }
        let property = property.map_err(|problem| problems.insert(0, problem));
        let (Ok(property), true) = (property, problems.is_empty()) else { return Err(problems) };
        let holds = config.repair
            || tests.iter().any(|test| matches!(test, Test::Comparison(comparison) if comparison.needs_count()));
        Ok(Switch {
            property,
            keeps_previous: config
                .rules
                .iter()
                .any(|rule| [&rule.vt, &rule.v2t].into_iter().any(|kind| kind.as_deref() == Some("prev"))),
            tests,
            check_all: config.checkall.0,
            repair: config.repair,
            holds,
            groups: Groups::default(),
            holder: Holder::new(config.ack),
            ready: Vec::new(),
            rank: 0,
            previous: Value::Null,
        })
    }

    /// The outputs of this message.
    ///
    /// # Errors
    /// A value to compare with that makes no comparison, such as a broken regular expression.
    fn matches(&mut self, message: &Message, now_ms: i64) -> Result<Matches, NodeError> {
        let value = self.property.value(message, now_ms);
        let around = Surroundings { message, previous: &self.previous, now_ms };
        let (mut matches, mut nothing_yet) = (Matches::new(), true);
        for (port, test) in self.tests.iter().enumerate() {
            let met = match test {
                Test::Else => std::mem::replace(&mut nothing_yet, true),
                Test::Comparison(comparison) => comparison.test(&value, &around).map_err(NodeError::new)?,
            };
            if met {
                nothing_yet = false;
                matches.push(port);
                if !self.check_all {
                    break;
                }
            }
        }
        if self.keeps_previous {
            let value = value.into_owned();
            self.previous = value;
        }
        Ok(matches)
    }

    /// Sends one message to its outputs.
    fn route(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.never_completes();
        let matches = match self.matches(&message, ctx.now_ms()) {
            Ok(matches) => matches,
            Err(error) => return Err(error.on(message)),
        };
        let Some((last, others)) = matches.split_last() else {
            ctx.drop_message();
            return Ok(());
        };
        for port in others {
            ctx.emit(*port, message.clone());
        }
        ctx.emit(*last, message);
        Ok(())
    }

    /// Sends a complete sequence.
    fn release(&mut self, sequence: Vec<Held>, ctx: &mut Ctx<'_>) {
        if !self.repair {
            for mut held in sequence {
                ctx.begin(Some(self.holder.token(&mut held)), &held.entry.message);
                let result = self.route(held.entry.message, ctx);
                ctx.end(result);
            }
            return;
        }
        let now_ms = ctx.now_ms();
        let routed: Vec<(Result<Matches, NodeError>, Held)> =
            sequence.into_iter().map(|held| (self.matches(&held.entry.message, now_ms), held)).collect();
        let met = routed.iter().filter_map(|(ports, _)| ports.as_deref().ok());
        let mut numbering = groups::Numbering::new(self.tests.len(), met);
        for (ports, mut held) in routed {
            ctx.begin(Some(self.holder.token(&mut held)), &held.entry.message);
            ctx.never_completes();
            let message = held.entry.message;
            let result = ports.map_err(|error| error.on(message.clone())).map(|ports| {
                if ports.is_empty() {
                    ctx.drop_message();
                }
                for port in ports {
                    let numbered = numbering.number(port, message.clone(), || ctx.next_id());
                    ctx.emit(port, numbered);
                }
            });
            ctx.end(result);
        }
    }

    /// Most messages held at a time.
    fn held_max(ctx: &Ctx<'_>) -> usize {
        let set = ctx.setting("nodeMessageBufferMaxLength").and_then(|max| usize::try_from(max.as_i64()?).ok());
        set.filter(|max| *max > 0).unwrap_or(HELD_MAX)
    }

    /// Holds a part of a sequence until all of it is there.
    fn hold(&mut self, message: Message, label: CompactString, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if self.groups.total() >= Switch::held_max(ctx) {
            for held in self.groups.take_all() {
                self.holder.drop_quietly(held, Outcome::Failed, ctx);
            }
            let error = NodeError::new("too many pending messages in switch node");
            return Err(error.with_code("switch.errors.too-many").on(message));
        }
        let token = ctx.take_token();
        self.rank += 1;
        let entry = Entry { id: ctx.next_id(), rank: self.rank, due: NEVER, label, message };
        if let Some(sequence) = self.groups.add(self.holder.hold(entry, token, ctx)) {
            self.release(sequence, ctx);
        }
        Ok(())
    }

    /// Takes up again what was held when the node last ended.
    fn resume(&mut self, entries: Vec<Entry>, ctx: &mut Ctx<'_>) {
        for entry in entries {
            self.rank = self.rank.max(entry.rank);
            let held = Held { entry, token: None };
            match self.holds {
                true => self.ready.extend(self.groups.add(held)),
                // The rules have changed: nothing needs to wait any more.
                false => self.ready.push(vec![held]),
            }
        }
        if !self.ready.is_empty() {
            ctx.set_timer(READY, ctx.now_ms());
        }
    }
}

impl Rule {
    fn compile(&self, index: usize) -> Result<Test, Problem> {
        if self.t == "else" {
            return Ok(Test::Else);
        }
        let at = format!("/rules/{index}");
        let Some(op) = Op::named(&self.t) else {
            return Err(match self.t.as_str() {
                "jsonata_exp" => comes_later("jsonata", &format!("{at}/v")),
                other => Problem::error(format!("{at}/t"), format!("\"{other}\" is no comparison")),
            });
        };
        let first = Given { value: &self.v, kind: self.vt.as_deref(), at: format!("{at}/v") };
        let second = Given { value: &self.v2, kind: self.v2t.as_deref(), at: format!("{at}/v2") };
        Comparison::compile(op, &first, &second, self.case).map(Test::Comparison)
    }
}

impl Node for Switch {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.property.start(ctx);
        for test in &mut self.tests {
            if let Test::Comparison(comparison) = test {
                comparison.start(ctx).map_err(NodeError::new)?;
            }
        }
        let entries = self.holder.start(state.as_ref(), ctx);
        self.resume(entries, ctx);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match self.holds.then(|| groups::sequence(&message)).flatten() {
            Some(sequence) => {
                ctx.never_completes();
                self.hold(message, sequence, ctx)
            }
            None => self.route(message, ctx),
        }
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if matches!(signal, Signal::Timer(READY)) {
            for sequence in std::mem::take(&mut self.ready) {
                self.release(sequence, ctx);
            }
        }
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        for held in self.groups.take_all() {
            self.holder.put_away(held, ctx);
        }
        self.holder.stop()
    }
}

#[cfg(test)]
mod tests;
