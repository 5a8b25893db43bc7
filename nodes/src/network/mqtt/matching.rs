//! Topics and filters: validity, matching, and which filter makes another one superfluous.

/// Whether a message may be published to `topic`.
#[must_use]
pub fn is_valid_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= 65_535 && !topic.contains(['+', '#', '\0'])
}

/// Whether `filter` may be subscribed to.
#[must_use]
pub fn is_valid_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > 65_535 || filter.contains('\0') {
        return false;
    }
    let Some(filter) = unshared(filter) else { return false };
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let wild = level.contains(['+', '#']);
        if wild && (level.len() > 1 || level == "#" && levels.peek().is_some()) {
            return false;
        }
    }
    true
}

/// The filter within a shared subscription, the filter itself otherwise; `None` when the share is malformed.
pub(super) fn unshared(filter: &str) -> Option<&str> {
    let Some(rest) = filter.strip_prefix("$share/") else { return Some(filter) };
    let (group, inner) = rest.split_once('/')?;
    (!group.is_empty() && !group.contains(['+', '#']) && !inner.is_empty()).then_some(inner)
}

/// Whether a message published to `topic` is for a subscription to `filter`.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    let Some(filter) = unshared(filter) else { return false };
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topic_levels.next() {
            Some(topic_level) if level == "+" || level == topic_level => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

/// Whether every topic that `narrow` matches is also matched by `wide`. Shared subscriptions stand for themselves.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    if wide.starts_with("$share/") || narrow.starts_with("$share/") {
        return false;
    }
    if narrow.starts_with('$') && wide.starts_with(['+', '#']) {
        return false;
    }
    let mut narrow_levels = narrow.split('/');
    for level in wide.split('/') {
        if level == "#" {
            return true;
        }
        match narrow_levels.next() {
            Some("#") | None => return false,
            Some(narrow_level) if level == "+" || level == narrow_level => {}
            Some(_) => return false,
        }
    }
    narrow_levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("$share/g/a/+", "a/b", true),
            ("$share/g", "g", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} against {topic}");
        }
    }

    #[test]
    fn invalid_filters_and_topics_are_told_apart() {
        for filter in ["a/b", "+", "#", "a/+/b", "a/#", "$share/g/#", "/", "a//b"] {
            assert!(is_valid_filter(filter), "{filter}");
        }
        for filter in ["", "a/#/b", "a+", "a/b#", "#/a", "$share/g", "$share//a", "$share/+/a", "a\0"] {
            assert!(!is_valid_filter(filter), "{filter}");
        }
        assert!(is_valid_topic("a/b") && !is_valid_topic("") && !is_valid_topic("a/+") && !is_valid_topic("a/#"));
    }

    #[test]
    fn wide_filters_cover_narrow_ones() {
        for (wide, narrow, expected) in [
            ("a/#", "a/b", true),
            ("a/#", "a/+/c", true),
            ("a/#", "a/#", true),
            ("a/#", "a", true),
            ("a/+", "a/b", true),
            ("a/+", "a/#", false),
            ("a/b", "a/+", false),
            ("#", "$SYS/a", false),
            ("#", "a/b", true),
            ("a/+/c", "a/b/+", false),
            ("$share/g/#", "a", false),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} over {narrow}");
        }
    }
}
