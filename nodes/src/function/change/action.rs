//! One compiled rule of a change node.

use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{Ctx, NodeError};

use super::Rule;
use super::place::{From, Place};
use super::text::Replacement;
use crate::shared::pattern::pattern;
use crate::shared::typed_input::{Operand, comes_later, config_text};

/// What is searched for.
enum Search {
    Fixed(Box<Replacement>),
    /// Read for each message, but for the environment; acts by the type it has then.
    Value(Operand),
}

/// One rule.
pub(super) enum Action {
    Set { place: Place, value: From },
    Change(Box<ChangeText>),
    Delete(Place),
    Move { from: Place, to: Place },
}

/// The rule that searches and replaces.
pub(super) struct ChangeText {
    place: Place,
    search: Search,
    to: From,
    to_bool: bool,
}

impl Action {
    /// Compiles a rule; `index` is its place in the list, for problems.
    ///
    /// # Errors
    /// All findings.
    pub(super) fn compile(rule: &Rule, index: usize) -> Result<Action, Vec<Problem>> {
        let at = |key: &str| format!("/rules/{index}/{key}");
        let to_text = config_text(&rule.to);
        let to_kind = match rule.tot.as_deref() {
            Some(kind) if !kind.is_empty() => kind,
            _ if rule.t == "set" && to_text.starts_with("msg.") => "msg",
            _ if rule.t == "move" => "msg",
            _ => "str",
        };
        let place = Place::parse(&rule.p, rule.pt.as_deref(), &at("p"));
        let one = |problem: Problem| vec![problem];
        match rule.t.as_str() {
            "set" => {
                let (place, value) = both(place, From::parse(&rule.to, to_kind, &at("to")))?;
                Ok(Action::Set { place, value })
            }
            "delete" => place.map(Action::Delete).map_err(one),
            "move" => {
                let (from, to) = both(place, Place::parse(&to_text, Some(to_kind), &at("to")))?;
                Ok(Action::Move { from, to })
            }
            "change" => {
                let to = From::parse(&rule.to, to_kind, &at("to"));
                let (place, (search, to)) = match (place, both(Search::compile(rule, &at("from")), to)) {
                    (Ok(place), Ok(both)) => (place, both),
                    (place, both) => {
                        return Err(place.err().into_iter().chain(both.err().into_iter().flatten()).collect());
                    }
                };
                let to_bool = to_kind == "bool" && !place.is_context();
                Ok(Action::Change(Box::new(ChangeText { place, search, to, to_bool })))
            }
            other => Err(vec![Problem::error(at("t"), format!("\"{other}\" is none of set, change, delete and move"))]),
        }
    }

    /// Called when the node starts: environment variables are read now.
    ///
    /// # Errors
    /// What cannot be searched for.
    pub(super) fn start(&mut self, ctx: &Ctx<'_>) -> Result<(), NodeError> {
        match self {
            Action::Set { place, value } => {
                place.start(ctx);
                value.start(ctx);
            }
            Action::Change(change) => change.start(ctx)?,
            Action::Delete(place) => place.start(ctx),
            Action::Move { from, to } => {
                from.start(ctx);
                to.start(ctx);
            }
        }
        Ok(())
    }

    /// Applies the rule.
    ///
    /// # Errors
    /// The message cannot be changed this way and goes to the catch nodes.
    pub(super) fn apply(&self, message: &mut Message, ctx: &Ctx<'_>) -> Result<(), NodeError> {
        match self {
            Action::Set { place, value } => match value.read(message, ctx) {
                Some(value) => place.set(message, value, ctx),
                None => Ok(()),
            },
            Action::Delete(place) => place.remove(message),
            Action::Move { from, to } => match from.read(message) {
                Some(value) => {
                    from.remove(message)?;
                    to.set(message, value, ctx)
                }
                None => Ok(()),
            },
            Action::Change(change) => change.apply(message, ctx),
        }
    }
}

/// Both, or the problems of both.
fn both<A, B>(a: Result<A, Problem>, b: Result<B, Problem>) -> Result<(A, B), Vec<Problem>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(a.err().into_iter().chain(b.err()).collect()),
    }
}

impl Search {
    fn fixed(replacement: Replacement) -> Search {
        Search::Fixed(Box::new(replacement))
    }

    fn compile(rule: &Rule, at: &str) -> Result<Search, Problem> {
        let from = config_text(&rule.from);
        let kind = rule.fromt.as_deref().filter(|kind| !kind.is_empty());
        match kind.unwrap_or(if rule.re { "re" } else { "str" }) {
            "str" => Ok(Search::fixed(Replacement::text(&from))),
            "num" => Ok(Search::fixed(Replacement::number(&from))),
            "bool" => Ok(Search::fixed(Replacement::boolean(&from))),
            "re" => pattern(&from, false)
                .map(|pattern| Search::fixed(Replacement::pattern(pattern)))
                .map_err(|text| Problem::error(at, format!("Invalid 'from' property: {text}"))),
            kind @ ("msg" | "flow" | "global" | "env") => Operand::compile(&rule.from, kind, at).map(Search::Value),
            kind => Err(comes_later(kind, at)),
        }
    }
}

fn of_value(value: &Value) -> Result<Replacement, NodeError> {
    Replacement::of_value(value).map_err(|text| NodeError::new(text).with_code("change.errors.invalid-from"))
}

impl ChangeText {
    fn start(&mut self, ctx: &Ctx<'_>) -> Result<(), NodeError> {
        self.place.start(ctx);
        self.to.start(ctx);
        if let Search::Value(operand) = &mut self.search {
            operand.start(ctx);
            if let Operand::Const(value) = operand {
                self.search = Search::fixed(of_value(value)?);
            }
        }
        Ok(())
    }

    fn apply(&self, message: &mut Message, ctx: &Ctx<'_>) -> Result<(), NodeError> {
        let of_message;
        let replacement = match &self.search {
            Search::Fixed(replacement) => replacement,
            Search::Value(operand) => {
                of_message = of_value(&operand.value(message, ctx.now_ms()))?;
                &of_message
            }
        };
        let read;
        let current = match &self.place {
            Place::Message(target, _) => target.current(message),
            Place::Context(key) => {
                read = key.get(message);
                Some(&read)
            }
        };
        let Some(current) = current else { return Ok(()) };
        let new = match &self.to {
            From::Operand(Operand::Const(to)) => replacement.apply(current, to, self.to_bool),
            to => to.read(message, ctx).and_then(|to| replacement.apply(current, &to, self.to_bool)),
        };
        match new {
            Some(new) => self.place.set(message, new, ctx),
            None => Ok(()),
        }
    }
}
