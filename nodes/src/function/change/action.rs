//! One compiled rule of a change node.

use compact_str::CompactString;
use serde_json::Value as Json;
use smallvec::SmallVec;
use tidewire_model::value::{Path, Segment};
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::Ctx;

use super::Rule;
use super::text::Replacement;
use crate::shared::condition;
use crate::shared::typed_input::{Operand, comes_later, config_text, message_path};

/// A property that is written.
pub(super) struct Target {
    path: Path,
    /// The path's keys, when it has nothing but keys.
    keys: SmallVec<[CompactString; 3]>,
}

/// A property that is read.
pub(super) struct Source {
    path: Path,
    /// What must exist for the property to be readable at all.
    parent: Option<Path>,
}

/// Where a new value comes from.
pub(super) enum From {
    Source(Source),
    Operand(Operand),
}

/// What is searched for.
enum Search {
    Fixed(Box<Replacement>),
    /// Taken from the message; acts by the type it has there.
    Message(Path),
    /// From the environment; fixed at start.
    Environment(Operand),
}

impl Search {
    fn fixed(replacement: Replacement) -> Search {
        Search::Fixed(Box::new(replacement))
    }
}

/// One rule.
pub(super) enum Action {
    Set { target: Target, value: From },
    Change(Box<ChangeText>),
    Delete(Path),
    Move { source: Source, target: Target },
}

/// The rule that searches and replaces.
pub(super) struct ChangeText {
    target: Target,
    search: Search,
    to: From,
    to_bool: bool,
}

impl Target {
    fn parse(text: &str, at: &str) -> Result<Target, Problem> {
        let path = message_path(text, at)?;
        let keys: Option<_> = path
            .segments()
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => Some(key.clone()),
                _ => None,
            })
            .collect();
        Ok(Target { keys: keys.unwrap_or_default(), path })
    }

    /// Sets the property; false where something on the way is no object.
    fn set(&self, message: &mut Message, value: Value) -> bool {
        if value.is_undefined() {
            return message.set_path(&self.path, value, true);
        }
        match self.keys.as_slice() {
            [] => message.set_path(&self.path, value, true),
            [key] => {
                message.set(key, value);
                true
            }
            // In place, without any copy, where everything on the way is there.
            [first, middle @ .., last] => {
                let mut here = message.body_mut().get_mut(first).and_then(Value::as_object_mut);
                for key in middle {
                    here = here.and_then(|map| map.get_mut(key)).and_then(Value::as_object_mut);
                }
                match here {
                    Some(map) => {
                        map.insert(last.as_str(), value);
                        true
                    }
                    None => message.set_path(&self.path, value, true),
                }
            }
        }
    }
}

impl Source {
    fn parse(text: &str, at: &str) -> Result<Source, Problem> {
        let path = message_path(text, at)?;
        let parent = path.segments().split_last().map_or(&[] as &[Segment], |(_, parents)| parents);
        let text = text.strip_prefix("msg.").unwrap_or(text);
        let parent = (1..text.len())
            .rev()
            .filter_map(|end| Path::parse(text.get(..end)?).ok())
            .find(|prefix| prefix.segments() == parent);
        Ok(Source { path, parent })
    }

    /// The value, undefined if only the last step is missing; `None` if its parent is.
    fn read(&self, message: &Message) -> Option<Value> {
        if let Some(value) = message.get_path(&self.path) {
            return Some(value.clone());
        }
        match &self.parent {
            None => Some(Value::Undefined),
            Some(parent) => message.get_path(parent).filter(|value| !value.is_nullish()).map(|_| Value::Undefined),
        }
    }
}

impl From {
    fn parse(value: &Json, kind: &str, at: &str) -> Result<From, Problem> {
        match kind {
            "msg" => Source::parse(&config_text(value), at).map(From::Source),
            kind => Operand::compile(value, kind, at).map(From::Operand),
        }
    }

    fn start(&mut self, ctx: &Ctx<'_>) {
        if let From::Operand(operand) = self {
            operand.start(ctx);
        }
    }

    fn read(&self, message: &Message, ctx: &Ctx<'_>) -> Option<Value> {
        match self {
            From::Operand(Operand::Const(value)) => Some(value.clone()),
            From::Operand(operand) => Some(operand.value(message, ctx.now_ms()).into_owned()),
            From::Source(source) => source.read(message),
        }
    }
}

impl Action {
    /// Compiles a rule; `index` is its place in the list, for problems.
    ///
    /// # Errors
    /// All findings.
    pub(super) fn compile(rule: &Rule, index: usize) -> Result<Action, Vec<Problem>> {
        let at = |key: &str| format!("/rules/{index}/{key}");
        if let Some(kind @ ("flow" | "global")) = rule.pt.as_deref() {
            return Err(vec![comes_later(kind, &at("p"))]);
        }
        let to_text = config_text(&rule.to);
        let to_kind = match rule.tot.as_deref() {
            Some(kind) if !kind.is_empty() => kind,
            _ if to_text.starts_with("msg.") => "msg",
            _ if rule.t == "move" => "msg",
            _ => "str",
        };
        let one = |problem: Problem| vec![problem];
        match rule.t.as_str() {
            "set" => match (Target::parse(&rule.p, &at("p")), From::parse(&rule.to, to_kind, &at("to"))) {
                (Ok(target), Ok(value)) => Ok(Action::Set { target, value }),
                (target, value) => Err(target.err().into_iter().chain(value.err()).collect()),
            },
            "delete" => message_path(&rule.p, &at("p")).map(Action::Delete).map_err(one),
            "move" if to_kind != "msg" => Err(vec![comes_later(to_kind, &at("to"))]),
            "move" => match (Source::parse(&rule.p, &at("p")), Target::parse(&to_text, &at("to"))) {
                (Ok(source), Ok(target)) => Ok(Action::Move { source, target }),
                (source, target) => Err(source.err().into_iter().chain(target.err()).collect()),
            },
            "change" => ChangeText::compile(rule, to_kind, &at).map(|change| Action::Change(Box::new(change))),
            other => Err(vec![Problem::error(at("t"), format!("\"{other}\" is none of set, change, delete and move"))]),
        }
    }

    /// Called when the node starts: environment variables are read now.
    ///
    /// # Errors
    /// What cannot be searched for.
    pub(super) fn start(&mut self, ctx: &Ctx<'_>) -> Result<(), String> {
        match self {
            Action::Set { value, .. } => value.start(ctx),
            Action::Change(change) => change.start(ctx)?,
            Action::Delete(_) | Action::Move { .. } => {}
        }
        Ok(())
    }

    /// Applies the rule.
    ///
    /// # Errors
    /// The message cannot be changed this way and goes to the catch nodes.
    pub(super) fn apply(&self, message: &mut Message, ctx: &Ctx<'_>) -> Result<(), String> {
        match self {
            Action::Set { target, value } => {
                if let Some(value) = value.read(message, ctx) {
                    set(target, message, value, ctx);
                }
            }
            Action::Delete(path) => {
                path.remove(message.body_mut());
            }
            Action::Move { source, target } => {
                if let Some(value) = source.read(message) {
                    source.path.remove(message.body_mut());
                    set(target, message, value, ctx);
                }
            }
            Action::Change(change) => return change.apply(message, ctx),
        }
        Ok(())
    }
}

fn set(target: &Target, message: &mut Message, value: Value, ctx: &Ctx<'_>) {
    if !target.set(message, value) {
        ctx.warn(format!("Cannot set property of non-object type: {}", target.path));
    }
}

impl ChangeText {
    fn compile(rule: &Rule, to_kind: &str, at: &dyn Fn(&str) -> String) -> Result<ChangeText, Vec<Problem>> {
        let target = Target::parse(&rule.p, &at("p"));
        let to = From::parse(&rule.to, to_kind, &at("to"));
        let from = config_text(&rule.from);
        let search = match rule.fromt.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("str") {
            "str" => Ok(Search::fixed(Replacement::text(&from))),
            "num" => Ok(Search::fixed(Replacement::number(&from))),
            "bool" => Ok(Search::fixed(Replacement::boolean(&from))),
            "re" => condition::pattern(&from, false)
                .map(|pattern| Search::fixed(Replacement::pattern(pattern)))
                .map_err(|text| Problem::error(at("from"), text)),
            "msg" => message_path(&from, &at("from")).map(Search::Message),
            "env" => Operand::compile(&rule.from, "env", &at("from")).map(Search::Environment),
            kind => Err(comes_later(kind, &at("from"))),
        };
        match (target, search, to) {
            (Ok(target), Ok(search), Ok(to)) => Ok(ChangeText { target, search, to, to_bool: to_kind == "bool" }),
            (target, search, to) => Err(target.err().into_iter().chain(search.err()).chain(to.err()).collect()),
        }
    }

    fn start(&mut self, ctx: &Ctx<'_>) -> Result<(), String> {
        self.to.start(ctx);
        if let Search::Environment(operand) = &mut self.search {
            operand.start(ctx);
            if let Operand::Const(value) = operand {
                self.search = Search::fixed(Replacement::of_value(value)?);
            }
        }
        Ok(())
    }

    fn apply(&self, message: &mut Message, ctx: &Ctx<'_>) -> Result<(), String> {
        let of_message;
        let replacement = match &self.search {
            Search::Fixed(replacement) => replacement,
            Search::Message(path) => {
                of_message = Replacement::of_value(message.get_path(path).unwrap_or(&Value::Undefined))?;
                &of_message
            }
            Search::Environment(_) => return Ok(()),
        };
        let Some(current) = message.get_path(&self.target.path) else { return Ok(()) };
        let new = match &self.to {
            From::Operand(Operand::Const(to)) => replacement.apply(current, to, self.to_bool),
            to => match to.read(message, ctx) {
                Some(to) => replacement.apply(current, &to, self.to_bool),
                None => None,
            },
        };
        if let Some(new) = new {
            set(&self.target, message, new, ctx);
        }
        Ok(())
    }
}
