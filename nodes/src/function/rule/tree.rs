//! Conditions joined by all and any.

use serde_json::Value as Json;
use tidewire_model::value::Path;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::Ctx;

use crate::shared::condition::{Comparison, Given, Op, Surroundings};
use crate::shared::typed_input::message_path;

/// Deepest nesting of a tree.
const DEPTH_MAX: usize = 16;

/// A compiled tree.
pub(super) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Test(Box<Test>),
}

/// One test of a property.
pub(super) struct Test {
    path: Path,
    comparison: Comparison,
    /// The test says something even about a property that is not there.
    about_missing: bool,
}

impl Tree {
    /// Compiles a tree; `None` when there is none.
    ///
    /// # Errors
    /// All findings, each at its JSON pointer.
    pub(super) fn parse(tree: &Json, at: &str) -> Result<Option<Tree>, Vec<Problem>> {
        if tree.is_null() || tree.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(None);
        }
        Tree::branch(tree, at, 0).map(Some)
    }

    fn branch(tree: &Json, at: &str, depth: usize) -> Result<Tree, Vec<Problem>> {
        let refuse = |text: &str| Err(vec![Problem::error(at, text)]);
        if depth > DEPTH_MAX {
            return refuse("conditions are nested too deep");
        }
        if !tree.is_object() {
            return refuse("a condition is {all: […]}, {any: […]} or {property, op, value}");
        }
        let items = |word: &str| {
            let items = tree.get(word)?;
            Some(match items.as_array() {
                Some(items) if !items.is_empty() => Tree::branches(items, &format!("{at}/{word}"), depth),
                _ => Err(vec![Problem::error(
                    format!("{at}/{word}"),
                    format!("\"{word}\" needs at least one condition"),
                )]),
            })
        };
        if let Some(items) = items("all") {
            return items.map(Tree::All);
        }
        if let Some(items) = items("any") {
            return items.map(Tree::Any);
        }
        Test::parse(tree, at).map(|test| Tree::Test(Box::new(test))).map_err(|problem| vec![problem])
    }

    fn branches(items: &[Json], at: &str, depth: usize) -> Result<Vec<Tree>, Vec<Problem>> {
        let (mut trees, mut problems) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match Tree::branch(item, &format!("{at}/{index}"), depth + 1) {
                Ok(tree) => trees.push(tree),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(trees) } else { Err(problems) }
    }

    /// Called when the node starts: environment variables are read now.
    ///
    /// # Errors
    /// What cannot be compared with.
    pub(super) fn start(&mut self, ctx: &Ctx<'_>) -> Result<(), String> {
        match self {
            Tree::All(items) | Tree::Any(items) => items.iter_mut().try_for_each(|item| item.start(ctx)),
            Tree::Test(test) => test.comparison.start(ctx),
        }
    }

    /// Whether it holds for this message; `None` when the message does not say.
    pub(super) fn holds(&self, message: &Message, now_ms: i64) -> Option<bool> {
        let join = |items: &[Tree], decides: bool| {
            let mut all_say = true;
            for item in items {
                match item.holds(message, now_ms) {
                    Some(holds) if holds == decides => return Some(decides),
                    Some(_) => {}
                    None => all_say = false,
                }
            }
            all_say.then_some(!decides)
        };
        match self {
            Tree::All(items) => join(items, false),
            Tree::Any(items) => join(items, true),
            Tree::Test(test) => {
                let value = message.get_path(&test.path).unwrap_or(&Value::Undefined);
                if value.is_undefined() && !test.about_missing {
                    return None;
                }
                let around = Surroundings { message, previous: &Value::Null, now_ms };
                Some(test.comparison.passes(value, &around))
            }
        }
    }

    /// The value of the first property that is tested and there.
    pub(super) fn first_value(&self, message: &Message) -> Option<Value> {
        match self {
            Tree::All(items) | Tree::Any(items) => items.iter().find_map(|item| item.first_value(message)),
            Tree::Test(test) => message.get_path(&test.path).cloned(),
        }
    }
}

impl Test {
    fn parse(test: &Json, at: &str) -> Result<Test, Problem> {
        let text = |key: &str| test.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let path = message_path(text("property").unwrap_or("payload"), &format!("{at}/property"))?;
        let name = text("op").unwrap_or("eq");
        let op = Op::named(name).filter(|op| !matches!(op, Op::Head | Op::Tail | Op::Index));
        let Some(op) = op else {
            return Err(Problem::error(format!("{at}/op"), format!("\"{name}\" is no comparison")));
        };
        let nothing = Json::Null;
        let given = |value: &str, kind: &str| Given {
            value: test.get(value).unwrap_or(&nothing),
            kind: text(kind),
            at: format!("{at}/{value}"),
        };
        if let Some("prev") = text("valueType") {
            let problem = "the value before is not kept by rules; compare with a value or a property";
            return Err(Problem::error(format!("{at}/valueType"), problem));
        }
        let ignore_case = test.get("case").and_then(Json::as_bool).unwrap_or(false);
        let (first, second) = (given("value", "valueType"), given("value2", "valueType2"));
        let comparison = Comparison::compile(op, &first, &second, ignore_case)?;
        let about_missing = matches!(op, Op::Null | Op::Nnull | Op::Istype);
        Ok(Test { path, comparison, about_missing })
    }
}
