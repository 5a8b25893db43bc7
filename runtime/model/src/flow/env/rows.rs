//! The rows of an `env` list: `{name, type, value}`, evaluated together because one may be made of another.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::Value as Json;

use super::Outside;
use super::text::substitute;
use crate::problem::Problem;
use crate::value::Value;

/// One definition of a variable.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub name: &'a str,
    /// Source id of who defines it.
    owner: &'a str,
    /// Place in the owner's list.
    index: usize,
    kind: &'a str,
    value: &'a Json,
}

/// The rows of a list, without those that have no name.
pub fn read<'a>(owner: &'a str, list: &'a Json) -> impl Iterator<Item = Row<'a>> {
    list.as_array().into_iter().flatten().enumerate().filter_map(move |(index, row)| {
        let text = |key: &str| row.get(key).and_then(Json::as_str);
        let name = text("name").filter(|name| !name.is_empty())?;
        let value = row.get("value").unwrap_or(&Json::Null);
        Some(Row { name, owner, index, kind: text("type").unwrap_or(""), value })
    })
}

/// The evaluation of all variables of one scope.
pub struct Evaluation<'a> {
    /// Per name, the last one counts; those before it are looked into for secrets only.
    rows: BTreeMap<&'a str, Vec<Row<'a>>>,
    outside: &'a Outside<'a>,
    /// What the scope sees of itself and of what is around it, without the variables evaluated here.
    around: &'a dyn Fn(&str) -> Option<Value>,
    values: HashMap<String, Value>,
    /// Being evaluated: who asks for one of these again sees what is around.
    pending: Vec<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> Evaluation<'a> {
    pub fn new(
        rows: BTreeMap<&'a str, Vec<Row<'a>>>,
        outside: &'a Outside<'a>,
        around: &'a dyn Fn(&str) -> Option<Value>,
    ) -> Self {
        let (values, pending, problems) = Default::default();
        Evaluation { rows, outside, around, values, pending, problems }
    }

    pub fn run(mut self) -> (HashMap<String, Value>, Vec<Problem>) {
        let names: Vec<&str> = self.rows.keys().copied().collect();
        for name in names {
            self.variable(name);
        }
        (self.values, self.problems)
    }

    /// Evaluates a variable of this scope, unless that was done before; `None` if it is not one of its own.
    fn variable(&mut self, name: &str) -> Option<Value> {
        if let Some(value) = self.values.get(name) {
            return Some(value.clone());
        }
        let (name, rows) = self.rows.get_key_value(name).map(|(name, rows)| (*name, rows.clone()))?;
        if self.pending.contains(&name) {
            return None;
        }
        self.pending.push(name);
        let value = self.row(&rows);
        self.pending.pop();
        self.values.insert(name.to_owned(), value.clone());
        Some(value)
    }

    fn row(&mut self, rows: &[Row<'a>]) -> Value {
        let Some(row) = rows.last() else { return Value::Undefined };
        let text = Value::from(row.value).to_text().into_owned();
        let value = match row.kind {
            "env" => return substitute_in(self, &text),
            "conf-type" if text.starts_with("${") && text.ends_with('}') => return substitute_in(self, &text),
            "cred" => {
                let secret = rows.iter().rev().find_map(|row| (self.outside.secret)(row.owner, row.name));
                Ok(secret.map_or_else(|| Value::from(row.value), Value::from))
            }
            kind => plain(kind, row.value, &text, self.outside.now_ms),
        };
        value.unwrap_or_else(|reason| {
            let text = format!("variable \"{}\" has no value: {reason}", row.name);
            self.problems.push(Problem::error(format!("/env/{}/value", row.index), text).of(row.owner));
            Value::Undefined
        })
    }
}

/// A row made of other variables: those of its own scope, then those around it.
fn substitute_in(evaluation: &mut Evaluation<'_>, text: &str) -> Value {
    let cell = std::cell::RefCell::new(evaluation);
    let get = |name: &str| {
        let mut evaluation = cell.borrow_mut();
        let own = evaluation.variable(name).filter(|value| !value.is_undefined());
        own.or_else(|| (evaluation.around)(name))
    };
    substitute(text, get, Value::to_text)
}

/// A row that needs no other variable.
fn plain(kind: &str, value: &Json, text: &str, now_ms: i64) -> Result<Value, String> {
    Ok(match kind {
        "" => Value::from(value),
        // A pattern stays text: whoever uses it compiles it.
        "str" | "re" | "conf-type" => Value::string(text),
        "bool" => Value::Bool(matches!(value, Json::Bool(true)) || text == "true"),
        "num" => number(text).ok_or_else(|| format!("\"{text}\" is no number"))?,
        "json" => json(value, text)?,
        "bin" => Value::Bytes(bytes(&json(value, text)?)?),
        "date" => match text {
            "object" => Value::Date(now_ms),
            "iso" => Value::from(Value::Date(now_ms).to_text().into_owned()),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => Value::Int(now_ms),
            other => return Err(format!("the date format \"{other}\" is not supported; use empty, iso or object")),
        },
        "jsonata" => return Err("JSONata expressions are not supported yet".to_owned()),
        other => return Err(format!("the type \"{other}\" cannot be used for variables")),
    })
}

fn number(text: &str) -> Option<Value> {
    if let Ok(integer) = text.trim().parse::<i64>() {
        return Some(Value::Int(integer));
    }
    let number = Value::string(text).to_number();
    if number.is_nan() { None } else { Some(Value::Float(number)) }
}

fn json(value: &Json, text: &str) -> Result<Value, String> {
    match value {
        Json::String(_) => Value::from_json(text).map_err(|error| error.to_string()),
        other => Ok(Value::from(other)),
    }
}

fn bytes(value: &Value) -> Result<Bytes, String> {
    let refused = || "binary data is a JSON array of numbers from 0 to 255, or a JSON string".to_owned();
    if let Some(text) = value.as_str() {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    let byte = |item: &Value| item.as_i64().and_then(|number| u8::try_from(number).ok());
    let bytes: Option<Vec<u8>> = value.as_array().and_then(|items| items.iter().map(byte).collect());
    bytes.map(Bytes::from).ok_or_else(refused)
}
