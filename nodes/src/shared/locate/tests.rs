//! What is located is compared with what a parser finds.
#![allow(clippy::unwrap_used)]
use tidewire_model::Value;
use tidewire_model::value::Path;

use super::*;
use crate::shared::event_value::parse_at;

/// Whether what is located is what a parser finds; whether anything was.
fn check(json: &[u8], path: &Path) -> bool {
    let parsed = parse_at(json, path).map_err(|error| error.to_string());
    let found = match locate(json, path.segments()) {
        Located::Unsure => return false,
        Located::Nothing => Ok(None),
        // What does not parse is parsed as a whole, for its error.
        Located::At(text) => match serde_json::from_slice::<Value>(text) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(parsed.clone().unwrap_err()),
        },
    };
    let text = String::from_utf8_lossy(json);
    assert_eq!(format!("{found:?}"), format!("{parsed:?}"), "{path} in {text}");
    true
}

const TEXTS: [&str; 12] = [
    r#"{"a":{"b":[{"c":1},2.5,-0]},"n":null,"s":"x\n\u00e4","7":7,"a2":-1.5e+3}"#,
    r#" { "n" : 12345678901234567890 , "a" : [ [ ] , { } , true ] } "#,
    r#"{"temperature":20.142857142857142,"location":{"building":"greenhouse","row":3},"a":"d\\"}"#,
    r#"{"a":1,"a":{"b":2}}"#,
    r#"{"a":1e999,"a":2}"#,
    r#"{"a":{"b":1},"b":1e999}"#,
    "{\"ä\":1,\"a\":\"grüße, tür\",\"b\":\"\u{7f}\"}",
    r#"[1,[2,{"a":3}],"four"]"#,
    r#"{"\u0061":1,"b":2}"#,
    r#"{"a":{"b":{"a":{"b":[0,1,2]}}}}"#,
    "7",
    r#"{"a":tru,"b":01}"#,
];
const PATHS: [&str; 10] = ["a", "a.b", "a.b[0].c", "n", "s", "b", "[7]", "a[2]", "location.row", "ä"];

#[test]
fn what_is_located_is_what_a_parser_finds() {
    for path in PATHS.map(|path| Path::parse(path).unwrap()) {
        for text in TEXTS {
            check(text.as_bytes(), &path);
        }
    }
    let sure = Path::parse("location.row").unwrap();
    assert!(TEXTS.iter().take(3).all(|text| check(text.as_bytes(), &sure)), "the common case takes no parser");
}

#[test]
fn damaged_text_is_never_taken_for_whole() {
    let bytes = b"\"\\{}[],:.-+eE0197atfnu \n\t\x00\x1f\x7f\x80\xc3\xff";
    for path in PATHS.map(|path| Path::parse(path).unwrap()) {
        for text in TEXTS.map(str::as_bytes) {
            for at in 0..text.len() {
                let (before, after) = text.split_at(at);
                check(before, &path);
                check(&[before, after.get(1..).unwrap()].concat(), &path);
                for byte in bytes {
                    check(&[before, &[*byte], after].concat(), &path);
                    check(&[before, &[*byte], after.get(1..).unwrap()].concat(), &path);
                }
            }
        }
    }
}

#[test]
fn every_special_byte_is_found_wherever_it_stands() {
    for byte in 0..=u8::MAX {
        for at in 0..8 {
            for around in [b'a', 0x80, 0xff, 0x21, 0x20, b'#', b'['] {
                let mut word = [around; 8];
                *word.get_mut(at).unwrap() = byte;
                let found = special(u64::from_le_bytes(word));
                let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
                let expected = if is_special { at } else { 8 };
                assert_eq!(found.trailing_zeros() as usize / 8, expected, "{byte} at {at} in {around}");
            }
        }
    }
}

#[test]
fn what_lies_too_deep_is_left_to_a_parser() {
    let path = Path::parse("a").unwrap();
    for depth in [1, 40, 47, 48, 49, 120, 200] {
        let json = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(json.as_bytes(), &path), depth < 48, "{depth}");
    }
}
