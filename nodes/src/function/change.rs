//! `change` sets, changes, deletes and moves properties of messages.

mod action;
mod place;
mod text;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::{Message, Problem};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, State, lenient,
};

use action::Action;

/// Sets, changes, deletes and moves properties of messages, and values of the flow and global context.
///
/// The rules are applied in order. **Set** gives a property a value; **change** searches in text and replaces;
/// **delete** removes; **move** renames or moves. Missing objects on the way are created.
///
/// In a replacement by regular expression `$1` stands for the first group and `$&` for all that was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", into = "Effective")]
pub(crate) struct ChangeConfig {
    /// The rules, applied in order.
    #[serde(default)]
    #[schemars(extend("x-widget" = "change-rules"))]
    rules: Option<Vec<Rule>>,
    /// Old form of one rule: replace, change, delete or move.
    action: String,
    /// Old form of one rule: the property.
    property: String,
    /// Old form of one rule: what is searched for.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    from: String,
    /// Old form of one rule: the value.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    to: String,
    /// Old form of one rule: `from` is a regular expression.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    reg: bool,
}

/// One rule.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Rule {
    /// What to do: set, change, delete or move.
    t: String,
    /// The property.
    #[schemars(extend("x-widget" = "msg-path"))]
    p: String,
    /// Where it is: msg, flow or global.
    #[serde(skip_serializing_if = "Option::is_none")]
    pt: Option<String>,
    /// The new value, or where the property goes.
    #[serde(skip_serializing_if = "Json::is_null")]
    to: Json,
    /// Its type: str num bool json bin date env msg flow or global.
    #[serde(skip_serializing_if = "Option::is_none")]
    tot: Option<String>,
    /// What is searched for.
    #[serde(skip_serializing_if = "Json::is_null")]
    from: Json,
    /// Its type: str num bool re env msg flow or global.
    #[serde(skip_serializing_if = "Option::is_none")]
    fromt: Option<String>,
    /// Old form of the type `re`.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    re: bool,
    /// Copy the value deeply. Values are never shared for writing here, so it changes nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    dc: bool,
}

impl Default for ChangeConfig {
    fn default() -> Self {
        let rule = Rule {
            t: "set".to_owned(),
            p: "payload".to_owned(),
            pt: Some("msg".to_owned()),
            to: Json::String(String::new()),
            tot: Some("str".to_owned()),
            ..Rule::default()
        };
        ChangeConfig {
            rules: Some(vec![rule]),
            action: String::new(),
            property: String::new(),
            from: String::new(),
            to: String::new(),
            reg: false,
        }
    }
}

/// The configuration in its present form.
#[derive(Serialize, JsonSchema)]
struct Effective {
    rules: Vec<Rule>,
}

impl From<ChangeConfig> for Effective {
    fn from(config: ChangeConfig) -> Self {
        Effective { rules: config.all_rules() }
    }
}

impl ChangeConfig {
    /// The rules, made from the old form where there is no list.
    fn all_rules(&self) -> Vec<Rule> {
        match &self.rules {
            Some(rules) => return rules.clone(),
            None if self.action.is_empty() => return Vec::new(),
            None => {}
        }
        let (to, tot) = match (self.action.as_str(), self.to.strip_prefix("msg.")) {
            ("move", _) => (self.to.as_str(), "msg"),
            ("replace" | "set", Some(path)) => (path, "msg"),
            _ => (self.to.as_str(), "str"),
        };
        vec![Rule {
            t: if self.action == "replace" { "set".to_owned() } else { self.action.clone() },
            p: self.property.clone(),
            pt: Some("msg".to_owned()),
            to: Json::String(to.to_owned()),
            tot: Some(tot.to_owned()),
            from: if self.action == "change" { Json::String(self.from.clone()) } else { Json::Null },
            fromt: Some(if self.reg { "re" } else { "str" }.to_owned()),
            ..Rule::default()
        }]
    }
}

pub(crate) struct Change {
    actions: Vec<Action>,
}

impl NodeType for Change {
    type Config = ChangeConfig;

    const META: Meta = Meta {
        icon: "change",
        keywords: &["set", "replace", "delete", "move", "rename", "property", "map"],
        ..Meta::new("change", "Change", Category::Function, Role::Logic, Kind::Pure)
    };

    fn check(config: &ChangeConfig) -> Vec<Problem> {
        Change::compile(config).err().unwrap_or_default()
    }

    fn build(config: ChangeConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Change::compile(&config).map_err(BuildError)
    }
}

impl Change {
    fn compile(config: &ChangeConfig) -> Result<Change, Vec<Problem>> {
        let (mut actions, mut problems) = (Vec::new(), Vec::new());
        for (index, rule) in config.all_rules().iter().enumerate() {
            match Action::compile(rule, index) {
                Ok(action) => actions.push(action),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Change { actions }) } else { Err(problems) }
    }
}

impl Node for Change {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.actions.iter_mut().try_for_each(|action| action.start(ctx))
    }

    fn process(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        for action in &self.actions {
            if let Err(error) = action.apply(&mut message, ctx) {
                return Err(error.on(message));
            }
        }
        ctx.emit(0, message);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
