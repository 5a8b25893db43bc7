//! From mustache text to parts.

use super::{Name, Part, TemplateError};

/// Deepest nesting of sections.
const DEPTH_MAX: usize = 32;

struct Open {
    name: String,
    inverted: bool,
    line: usize,
    /// Parts of the level that the section stands in.
    outside: Vec<Part>,
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    open_tag: String,
    close_tag: String,
    parts: Vec<Part>,
    sections: Vec<Open>,
}

/// Parses a whole template.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parser = Parser {
        text,
        at: 0,
        open_tag: "{{".to_owned(),
        close_tag: "}}".to_owned(),
        parts: Vec::new(),
        sections: Vec::new(),
    };
    while parser.next_tag()? {}
    if let Some(section) = parser.sections.pop() {
        let reason = format!("the section \"{}\" is not closed", section.name);
        return Err(TemplateError { reason, line: section.line });
    }
    Ok(parser.parts)
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or("").matches('\n').count() + 1
    }

    fn fail<T>(&self, at: usize, reason: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError { reason: reason.into(), line: self.line(at) })
    }

    fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Text(before)) => before.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    /// Takes the text up to the next tag, and the tag. False at the end.
    fn next_tag(&mut self) -> Result<bool, TemplateError> {
        let rest = self.rest();
        let Some(offset) = rest.find(&self.open_tag) else {
            self.push_text(rest);
            self.at = self.text.len();
            return Ok(false);
        };
        let start = self.at + offset;
        let inside = start + self.open_tag.len();
        let after = self.text.get(inside..).unwrap_or("");
        let sigil = after.chars().next().filter(|c| matches!(c, '{' | '&' | '#' | '^' | '/' | '!' | '=' | '>'));
        let close = match sigil {
            Some('{') => format!("}}{}", self.close_tag),
            Some('=') => format!("={}", self.close_tag),
            _ => self.close_tag.clone(),
        };
        let skip = usize::from(sigil.is_some());
        let body = after.get(skip..).unwrap_or("");
        let Some(length) = body.find(&close) else {
            return self.fail(start, "a tag is not closed");
        };
        let content = body.get(..length).unwrap_or("").trim();
        let end = inside + skip + length + close.len();
        let before = rest.get(..offset).unwrap_or("");
        match sigil {
            None | Some('{' | '&') => {
                self.push_text(before);
                let name = self.name(content, start)?;
                self.parts.push(Part::Variable { name, raw: sigil.is_some() });
                self.at = end;
            }
            Some(sigil) => {
                let (before, end) = self.standalone(before, start, end);
                self.push_text(before);
                self.at = end;
                self.block(sigil, content, start)?;
            }
        }
        Ok(true)
    }

    /// A tag that is alone on its line takes the line with it: the text before it without its indentation, and where
    /// the next line starts.
    fn standalone<'b>(&self, before: &'b str, start: usize, end: usize) -> (&'b str, usize) {
        let line_start = self.text.get(..start).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
        let indentation = self.text.get(line_start..start).unwrap_or("");
        let after = self.text.get(end..).unwrap_or("");
        let (tail, next) = match after.find('\n') {
            Some(at) => (after.get(..at).unwrap_or(""), end + at + 1),
            None => (after, self.text.len()),
        };
        let blank = |text: &str| text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r'));
        if blank(indentation) && blank(tail) {
            (before.get(..before.len().saturating_sub(indentation.len())).unwrap_or(""), next)
        } else {
            (before, end)
        }
    }

    fn block(&mut self, sigil: char, content: &str, start: usize) -> Result<(), TemplateError> {
        match sigil {
            '#' | '^' => {
                if self.sections.len() >= DEPTH_MAX {
                    return self.fail(start, format!("sections are nested more than {DEPTH_MAX} deep"));
                }
                self.name(content, start)?;
                self.sections.push(Open {
                    name: content.to_owned(),
                    inverted: sigil == '^',
                    line: self.line(start),
                    outside: std::mem::take(&mut self.parts),
                });
            }
            '/' => {
                let Some(open) = self.sections.pop() else {
                    return self.fail(start, format!("the section \"{content}\" is closed but was not opened"));
                };
                if open.name != content {
                    let reason = format!("\"{content}\" is closed where \"{}\" is open", open.name);
                    return self.fail(start, reason);
                }
                let parts = std::mem::replace(&mut self.parts, open.outside);
                let name = self.name(content, start)?;
                self.parts.push(Part::Section { name, inverted: open.inverted, parts });
            }
            '=' => match content.split_once(char::is_whitespace) {
                Some((open, close)) if !close.trim().is_empty() && !content.contains('=') => {
                    open.clone_into(&mut self.open_tag);
                    close.trim().clone_into(&mut self.close_tag);
                }
                _ => return self.fail(start, "new delimiters are two, with a blank between them"),
            },
            _ => {}
        }
        Ok(())
    }

    fn name(&self, content: &str, start: usize) -> Result<Name, TemplateError> {
        if content == "." {
            return Ok(Name(Vec::new()));
        }
        // `list[0].x` is read as `list.0.x`, which is how paths are written elsewhere.
        let keys: Vec<String> = content
            .split('.')
            .flat_map(|key| key.split('[').map(|part| part.trim_end_matches(']').trim_matches(['"', '\''])))
            .map(str::to_owned)
            .collect();
        if keys.iter().any(String::is_empty) {
            return self.fail(start, format!("\"{content}\" is no name"));
        }
        Ok(Name(keys))
    }
}
