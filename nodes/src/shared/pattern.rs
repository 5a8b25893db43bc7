//! Regular expressions as JavaScript writes them.

use regex::Regex;

/// Compiles a regular expression as JavaScript writes it.
///
/// # Errors
/// What is wrong; look-around and back references are not offered, as they can take for ever.
pub(crate) fn pattern(text: &str, ignore_case: bool) -> Result<Regex, String> {
    if repeats_nothing(text) {
        return Err("the regular expression cannot be used: nothing to repeat".to_owned());
    }
    // JavaScript's `\/` is a plain slash, and a lone `[^]` any character.
    let text = text.replace("\\/", "/").replace("[^]", r"[\s\S]");
    regex::RegexBuilder::new(&text).case_insensitive(ignore_case).size_limit(1 << 20).build().map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
        format!("the regular expression cannot be used: {last}")
    })
}

/// Whether a repetition is repeated (`a**`), which JavaScript refuses.
fn repeats_nothing(text: &str) -> bool {
    let mut rest = text;
    // How many signs of repetition came just before: a second one may only be a `?`.
    let mut signs = 0;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            '[' => class_length(rest),
            '(' if rest.starts_with("(?") => 2,
            '{' => counted_length(rest).unwrap_or(1),
            c => c.len_utf8(),
        };
        signs = match c {
            '*' | '+' if signs > 0 => return true,
            '{' if length > 1 && signs > 0 => return true,
            '?' if signs > 1 => return true,
            '*' | '+' | '?' => signs + 1,
            '{' if length > 1 => 1,
            _ => 0,
        };
        rest = rest.get(length..).unwrap_or("");
    }
    false
}

/// Length of `[…]` at the beginning of the text.
fn class_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of `{2}`, `{2,}` or `{2,3}` at the beginning of the text.
fn counted_length(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inner = text.get(1..end)?;
    let is_count = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    (!least.is_empty() && is_count(least) && is_count(most)).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_cannot_be_repeated() {
        for wrong in ["\\+**+", "a**", "a+*", "a{2}{3}", "a*??", "a?+"] {
            assert!(pattern(wrong, false).is_err(), "{wrong}");
        }
        for right in ["a*?b+?", "\\+*", "[*+]+", "(?:a)+", "(?i)a?", "a{2,}?", "x{", "[\\]*]*", "a{b}+"] {
            assert!(!repeats_nothing(right), "{right}");
        }
    }
}
