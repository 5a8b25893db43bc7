//! Text with variables in it.

use std::borrow::Cow;

use crate::value::Value;

/// The value of a typed input of type `env`: `X` is a variable, `${X}` too, its value as it is; `a${X}b` is text with
/// variables in it, each written as `write` says. What is not set is empty text.
pub fn substitute(text: &str, get: impl Fn(&str) -> Option<Value>, write: impl Fn(&Value) -> Cow<'_, str>) -> Value {
    let value = |name: &str| get(name).unwrap_or_else(|| Value::from(""));
    if !text.contains("${") {
        return value(text.trim());
    }
    let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = whole.filter(|name| !name.contains("${")) {
        return value(name);
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            // Never closed: it is just text.
            out.push_str("${");
            out.push_str(after);
            return Value::from(out);
        };
        out.push_str(&write(&value(name)));
        rest = after;
    }
    out.push_str(rest);
    Value::from(out)
}
