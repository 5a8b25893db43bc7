//! `switch` sends each message to the outputs whose rule it meets.

mod groups;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use smallvec::SmallVec;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, State, lenient,
};

use crate::shared::condition::{Comparison, Given, Op, Surroundings};
use crate::shared::typed_input::{Operand, comes_later};
use groups::{Groups, Held};

/// Sends each message to the outputs whose rule it meets.
///
/// Each rule has an output of its own, in order. Comparisons are JavaScript's loose ones: the text `"30"` equals the
/// number 30. `otherwise` is met when no rule before it was. With **first match** the later rules are not looked at.
/// A property that is missing counts as undefined.
///
/// The rules `head`, `index` and `tail` look at the place of a message in its sequence (`msg.parts`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SwitchConfig {
    /// What is looked at.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "propertyType", "x-types" = ["msg", "env"]))]
    property: String,
    /// Type of the property: `msg` or `env`.
    property_type: String,
    /// The rules; each has an output.
    #[serde(default)]
    #[schemars(extend("x-widget" = "rules"))]
    rules: Vec<Rule>,
    /// Look at all rules (`true`), or stop at the first that is met (`false`).
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    checkall: bool,
    /// Number the messages of a sequence anew at each output.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    repair: bool,
    /// Number of outputs: that of the rules.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    outputs: f64,
}

/// One rule.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Rule {
    /// The comparison: eq neq lt lte gt gte btwn cont regex hask true false null nnull empty nempty istype head tail
    /// index, or else.
    t: String,
    /// What is compared with.
    #[serde(skip_serializing_if = "Json::is_null")]
    v: Json,
    /// Its type: str, num, msg, env, bool, json or prev (the value of the message before).
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
            checkall: true,
            repair: false,
            outputs: 1.0,
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
    /// Present when messages of a sequence must be held until it is complete.
    groups: Option<Groups>,
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
            kind @ ("msg" | "env") => Operand::compile(&Json::String(config.property.clone()), kind, "/property"),
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
            check_all: config.checkall,
            repair: config.repair,
            groups: holds.then(Groups::default),
            previous: Value::Null,
        })
    }

    /// The outputs of this message.
    fn matches(&mut self, message: &Message, now_ms: i64) -> Matches {
        let value = self.property.value(message, now_ms);
        let around = Surroundings { message, previous: &self.previous, now_ms };
        let (mut matches, mut nothing_yet) = (Matches::new(), true);
        for (port, test) in self.tests.iter().enumerate() {
            let met = match test {
                Test::Else => std::mem::replace(&mut nothing_yet, true),
                Test::Comparison(comparison) => comparison.passes(&value, &around),
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
        matches
    }

    /// Sends one message to its outputs.
    fn route(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        let matches = self.matches(&message, ctx.now_ms());
        let Some((last, others)) = matches.split_last() else {
            ctx.drop_message();
            return;
        };
        for port in others {
            ctx.emit(*port, message.clone());
        }
        ctx.emit(*last, message);
    }

    /// Sends a complete sequence.
    fn release(&mut self, held: Vec<Held>, ctx: &mut Ctx<'_>) {
        if !self.repair {
            for Held { message, token } in held {
                ctx.begin(token, &message);
                self.route(message, ctx);
                ctx.end(Ok(()));
            }
            return;
        }
        let now_ms = ctx.now_ms();
        let routed: Vec<(Matches, Held)> =
            held.into_iter().map(|held| (self.matches(&held.message, now_ms), held)).collect();
        let mut numbering = groups::Numbering::new(self.tests.len(), routed.iter().map(|(ports, _)| ports.as_slice()));
        for (ports, Held { message, token }) in routed {
            ctx.begin(token, &message);
            if ports.is_empty() {
                ctx.drop_message();
            }
            for port in ports {
                let numbered = numbering.number(port, message.clone(), || ctx.next_id());
                ctx.emit(port, numbered);
            }
            ctx.end(Ok(()));
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
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.property.start(ctx);
        for test in &mut self.tests {
            if let Test::Comparison(comparison) = test {
                comparison.start(ctx).map_err(NodeError::new)?;
            }
        }
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let Some(groups) = &mut self.groups else {
            self.route(message, ctx);
            return Ok(());
        };
        if !groups::is_part(&message) {
            self.route(message, ctx);
            return Ok(());
        }
        let token = ctx.take_token();
        match groups.add(Held { message, token }) {
            Ok(None) => Ok(()),
            Ok(Some(complete)) => {
                self.release(complete, ctx);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
