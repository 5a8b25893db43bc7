//! Topics and filters: what is valid, and how shared subscriptions are written.

/// Whether messages can be published there.
pub(crate) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// A filter taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter<'a> {
    /// Group of a shared subscription.
    pub(crate) group: Option<&'a str>,
    /// The filter itself.
    pub(crate) path: &'a str,
}

impl<'a> Filter<'a> {
    /// `None` when it is not valid.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (group, path) = match text.strip_prefix("$share/") {
            Some(rest) => {
                let (group, path) = rest.split_once('/')?;
                (Some(group).filter(|group| !group.is_empty() && !group.contains(['+', '#'])), path)
            }
            None => (None, text),
        };
        let shared = text.starts_with("$share/") || text == "$share";
        let usable = is_path(path) && (!shared || group.is_some());
        usable.then_some(Filter { group, path })
    }
}

/// Whether wildcards stand where they may.
fn is_path(path: &str) -> bool {
    let mut levels = path.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        if (level.contains('#') && (level != "#" || !last)) || (level.contains('+') && level != "+") {
            return false;
        }
    }
    !path.is_empty() && !path.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_have_their_places() {
        for good in ["a", "/", "a/+/b", "#", "+", "+/#", "a//b", "$SYS/#", "$share/g/a/#", "$share/g//"] {
            assert!(Filter::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a/#/b", "a#", "a+", "+a/b", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share"] {
            assert!(Filter::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Filter::parse("$share/g/a/+"), Some(Filter { group: Some("g"), path: "a/+" }));
    }

    #[test]
    fn topics_have_no_wildcards() {
        assert!(is_topic("a/b") && is_topic("/") && is_topic("$own/x"));
        assert!(!is_topic("") && !is_topic("a/+") && !is_topic("a/#"));
    }
}
