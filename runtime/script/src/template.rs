//! Mustache templates: compiled once, rendered over values.
//!
//! Variables, sections, inverted sections, comments and delimiters are the specification's. Partials and lambdas are
//! not offered: a partial renders as nothing, as in Node-RED.

mod parse;

use std::borrow::Cow;

use tidewire_model::Value;

/// A compiled template.
#[derive(Debug, Clone)]
pub struct Template {
    parts: Vec<Part>,
}

/// What to do to text that `{{x}}` inserts; `{{{x}}}` and `{{&x}}` always insert it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    None,
    Html,
}

/// Text that is no template: what is wrong, and in which line (from 1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid template: {reason} in line {line}")]
pub struct TemplateError {
    pub reason: String,
    pub line: usize,
}

/// A template whose result would be too large, or take too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template makes more than {OUTPUT_MAX} bytes of text or {STEPS_MAX} steps")]
pub struct RenderError;

/// Longest text a template may make, in bytes.
pub const OUTPUT_MAX: usize = 1 << 20;
/// Most parts a template may render, repetitions included.
pub const STEPS_MAX: usize = 1_000_000;

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Variable { name: Name, raw: bool },
    Section { name: Name, inverted: bool, parts: Vec<Part> },
}

/// A dotted name; empty means the current item (`.`).
#[derive(Debug, Clone)]
struct Name(Vec<String>);

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// Says what is wrong and in which line.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        Ok(Template { parts: parse::parse(text)? })
    }

    /// The text, if nothing is inserted into it.
    pub fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The first keys of all names it looks up, for checks.
    pub fn roots(&self) -> Vec<&str> {
        fn collect<'t>(parts: &'t [Part], roots: &mut Vec<&'t str>) {
            for part in parts {
                match part {
                    Part::Text(_) => {}
                    Part::Variable { name, .. } => roots.extend(name.0.first().map(String::as_str)),
                    Part::Section { name, parts, .. } => {
                        roots.extend(name.0.first().map(String::as_str));
                        collect(parts, roots);
                    }
                }
            }
        }
        let mut roots = Vec::new();
        collect(&self.parts, &mut roots);
        roots
    }

    /// Renders over `lookup`, which gives the value of a name's first key. Containers are inserted as JSON; what is
    /// missing, null or undefined as nothing.
    ///
    /// # Errors
    /// The result is too large.
    pub fn render(&self, lookup: &dyn Fn(&str) -> Option<Value>, escape: Escape) -> Result<String, RenderError> {
        let mut renderer = Renderer { lookup, escape, frames: Vec::new(), out: String::new(), steps: 0 };
        renderer.parts(&self.parts)?;
        Ok(renderer.out)
    }

    /// Renders over the properties of an object.
    ///
    /// # Errors
    /// The result is too large.
    pub fn render_value(&self, value: &Value, escape: Escape) -> Result<String, RenderError> {
        let mut renderer =
            Renderer { lookup: &|_| None, escape, frames: vec![value.clone()], out: String::new(), steps: 0 };
        renderer.parts(&self.parts)?;
        Ok(renderer.out)
    }
}

struct Renderer<'a> {
    lookup: &'a dyn Fn(&str) -> Option<Value>,
    escape: Escape,
    frames: Vec<Value>,
    out: String,
    steps: usize,
}

impl Renderer<'_> {
    fn parts(&mut self, parts: &[Part]) -> Result<(), RenderError> {
        for part in parts {
            self.steps += 1;
            if self.out.len() > OUTPUT_MAX || self.steps > STEPS_MAX {
                return Err(RenderError);
            }
            match part {
                Part::Text(text) => self.out.push_str(text),
                Part::Variable { name, raw } => {
                    let value = self.find(name);
                    let text = value.to_text();
                    match self.escape {
                        Escape::Html if !raw => self.out.push_str(&html(&text)),
                        _ => self.out.push_str(&text),
                    }
                }
                Part::Section { name, inverted, parts } => self.section(name, *inverted, parts)?,
            }
        }
        Ok(())
    }

    fn section(&mut self, name: &Name, inverted: bool, parts: &[Part]) -> Result<(), RenderError> {
        let value = self.find(name);
        let items = value.as_array();
        let shown = items.map_or_else(|| value.is_truthy(), |items| !items.is_empty());
        if inverted {
            return if shown { Ok(()) } else { self.parts(parts) };
        }
        if !shown {
            return Ok(());
        }
        match items {
            None => self.within(value, parts),
            Some(items) => items.iter().try_for_each(|item| self.within(item.clone(), parts)),
        }
    }

    fn within(&mut self, frame: Value, parts: &[Part]) -> Result<(), RenderError> {
        self.frames.push(frame);
        let result = self.parts(parts);
        self.frames.pop();
        result
    }

    fn find(&self, name: &Name) -> Value {
        let Some((first, rest)) = name.0.split_first() else {
            return self.frames.last().cloned().unwrap_or_default();
        };
        let framed = self.frames.iter().rev().find_map(|frame| frame.get(first).cloned());
        let Some(mut value) = framed.or_else(|| (self.lookup)(first)) else { return Value::Undefined };
        for key in rest {
            value = match step(&value, key) {
                Some(value) => value,
                None => return Value::Undefined,
            };
        }
        value
    }
}

fn step(value: &Value, key: &str) -> Option<Value> {
    match value.resolved() {
        Value::Object(map) => map.get(key).cloned(),
        Value::Array(items) if key == "length" => Some(Value::from(items.len())),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?).cloned(),
        Value::String(text) if key == "length" => Some(Value::from(text.encode_utf16().count())),
        _ => None,
    }
}

fn html(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'', '/', '`', '=']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '/' => out.push_str("&#x2F;"),
            '`' => out.push_str("&#x60;"),
            '=' => out.push_str("&#x3D;"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
