//! Long texts as a script sees them: looked into, never copied. Functions that would take one apart want shorter ones.

use bytestring::ByteString;
use rhai::{Dynamic, Engine, EvalAltResult, INT, ImmutableString};

use crate::engine::{TEXT_MAX, error};

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// A text that is longer than a script may make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LongText(pub(crate) ByteString);

impl LongText {
    /// Characters from `start` on; negative ones count from the end.
    fn part(&self, start: INT, len: INT) -> Result<ImmutableString> {
        let count = || INT::try_from(self.0.chars().count()).unwrap_or(INT::MAX);
        let start = if start < 0 { (start + count()).max(0) } else { start };
        let (start, len) = (usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(len).unwrap_or(0));
        let part: String = self.0.chars().skip(start).take(len.min(TEXT_MAX + 1)).collect();
        if part.len() > TEXT_MAX { Err(too_long()) } else { Ok(part.into()) }
    }
}

fn too_long() -> Box<EvalAltResult> {
    error(format!("the text is longer than {TEXT_MAX} bytes; take a part of it with sub_string"))
}

/// The text with every `find` replaced, unless that makes it too long.
fn replaced(text: &str, find: &str, by: &str) -> Result<ImmutableString> {
    let times = text.matches(find).count();
    let size = (text.len() - times * find.len()).saturating_add(times.saturating_mul(by.len()));
    if size > TEXT_MAX { Err(too_long()) } else { Ok(text.replace(find, by).into()) }
}

/// Makes long texts known to the engine, and functions safe that would make them.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<LongText>("LongText")
        .register_get("len", |text: &mut LongText| INT::try_from(text.0.chars().count()).unwrap_or(INT::MAX))
        .register_fn("len", |text: &mut LongText| INT::try_from(text.0.chars().count()).unwrap_or(INT::MAX))
        .register_fn("is_empty", |_: &mut LongText| false)
        .register_fn("contains", |text: &mut LongText, part: &str| text.0.contains(part))
        .register_fn("starts_with", |text: &mut LongText, part: &str| text.0.starts_with(part))
        .register_fn("ends_with", |text: &mut LongText, part: &str| text.0.ends_with(part))
        .register_fn("sub_string", |text: &mut LongText, start: INT, len: INT| text.part(start, len))
        .register_fn("to_string", |_: &mut LongText| Err::<ImmutableString, _>(too_long()))
        .register_fn("to_debug", |_: &mut LongText| Err::<ImmutableString, _>(too_long()))
        .register_fn("==", |a: LongText, b: LongText| a == b)
        .register_fn("!=", |a: LongText, b: LongText| a != b);
    // The engine's own check the size only when the memory is gone.
    engine
        .register_fn("replace", |text: &mut ImmutableString, find: &str, by: &str| replace(text, find, by))
        .register_fn("replace", |text: &mut ImmutableString, find: &str, by: char| {
            replace(text, find, by.encode_utf8(&mut [0; 4]))
        })
        .register_fn("replace", |text: &mut ImmutableString, find: char, by: &str| {
            replace(text, find.encode_utf8(&mut [0; 4]), by)
        })
        .register_fn("replace", |text: &mut ImmutableString, find: char, by: char| {
            replace(text, find.encode_utf8(&mut [0; 4]), by.encode_utf8(&mut [0; 4]))
        });
}

fn replace(text: &mut ImmutableString, find: &str, by: &str) -> Result<()> {
    *text = replaced(text, find, by)?;
    Ok(())
}

/// A text for a script.
pub(crate) fn of(text: &ByteString) -> Dynamic {
    if text.len() > TEXT_MAX {
        return Dynamic::from(LongText(text.clone()));
    }
    Dynamic::from(ImmutableString::from(&**text))
}
