//! What CloudEvents 1.0 and the log ask of the attributes of events that come in from outside.

/// The longest text of an attribute, in bytes; the stream, type and id have limits of their own.
const TEXT_MAX: usize = 1_024;

/// Characters that the attribute type *String* excludes.
fn is_excluded(c: char) -> bool {
    c.is_control() || matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE
}

/// What is wrong with a text attribute.
pub(super) fn text(value: &str) -> Option<String> {
    let empty = || value.is_empty().then(|| "is empty; leave it out, or give it a value".to_owned());
    empty().or_else(|| extension(value))
}

/// What is wrong with the text of an extension attribute, which may be empty.
pub(super) fn extension(value: &str) -> Option<String> {
    if value.len() > TEXT_MAX {
        return Some(format!("has {} bytes; shorten it to {TEXT_MAX} or fewer", value.len()));
    }
    let excluded = value.chars().find(|c| is_excluded(*c))?;
    Some(format!("contains the character U+{:04X}, which no attribute may have; remove it", u32::from(excluded)))
}

/// What is wrong with a URI reference.
pub(super) fn uri_reference(value: &str) -> Option<String> {
    let wrong = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`');
    text(value).or_else(|| {
        let found = value.chars().find(|c| wrong(*c))?;
        Some(format!("is no URI reference: it contains '{found}'; write it percent-encoded"))
    })
}

/// What is wrong with a media type.
pub(super) fn media_type(value: &str) -> Option<String> {
    let token = |text: &str| {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(usable)
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    let is_one = essence.split_once('/').is_some_and(|(kind, form)| token(kind) && token(form));
    text(value).or_else(|| (!is_one).then(|| format!("is '{value}', which is no media type such as application/json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_checked_as_cloudevents_says() {
        for (check, good, bad) in [
            (text as fn(&str) -> Option<String>, "user:änn", "a\u{7}b"),
            (text, "x", "\u{FFFF}"),
            (text, "x", ""),
            (uri_reference, "/flow/1#a", "/flow/<1>"),
            (uri_reference, "urn:uuid:6e8bc430", "a b"),
            (media_type, "text/plain; charset=utf-8", "plain"),
            (media_type, "application/vnd.a+json", "text/"),
        ] {
            assert_eq!(check(good), None, "{good}");
            assert!(check(bad).is_some(), "{bad:?}");
        }
        assert!(text(&"x".repeat(1_025)).is_some_and(|problem| problem.contains("1024")));
        assert_eq!(extension(""), None);
    }
}
