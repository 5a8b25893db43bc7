//! Values to and from the script engine. Containers go in as they are, without being copied.

use rhai::{Array, Blob, Dynamic, EvalAltResult, FLOAT, INT, ImmutableString, Map as RhaiMap};
use tidewire_model::{Map, Value};

use crate::engine::error;
use crate::text::{self, LongText};
use crate::tree::Tree;

/// Deepest nesting that a script may build.
const DEPTH_MAX: usize = 32;

/// Most that a script may make at a time, in bytes. What it only passes on does not count.
const OUTPUT_MAX: usize = 4 << 20;

/// What a script sees of a value: null and undefined are `()`, dates milliseconds since 1970.
pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
    match value.resolved() {
        Value::Undefined | Value::Null => Dynamic::UNIT,
        Value::Bool(value) => Dynamic::from(*value),
        Value::Int(value) => Dynamic::from(*value),
        Value::Float(value) => Dynamic::from(*value),
        Value::Date(ms) => Dynamic::from(*ms),
        Value::String(text) => text::of(text),
        Value::Bytes(bytes) => Dynamic::from_blob(bytes.to_vec()),
        container => Dynamic::from(Tree::new(container.clone())),
    }
}

/// What a script has made.
///
/// # Errors
/// It is no data (a function, a range), too large, or nested too deep.
pub(crate) fn from_dynamic(value: Dynamic) -> Result<Value, Box<EvalAltResult>> {
    convert(value, DEPTH_MAX, &mut { OUTPUT_MAX })
}

/// Takes the size of something from what may still be made.
fn charge(left: &mut usize, size: usize) -> Result<(), Box<EvalAltResult>> {
    match left.checked_sub(size) {
        Some(rest) => *left = rest,
        None => return Err(error(format!("the script made more than {OUTPUT_MAX} bytes of data"))),
    }
    Ok(())
}

fn convert(value: Dynamic, depth: usize, left: &mut usize) -> Result<Value, Box<EvalAltResult>> {
    charge(left, size_of::<Value>())?;
    let Some(depth) = depth.checked_sub(1) else {
        return Err(error(format!("the value is nested more than {DEPTH_MAX} deep")));
    };
    if value.is_unit() {
        return Ok(Value::Null);
    }
    let kind = value.type_name();
    if let Some(text) = value.read_lock::<LongText>() {
        return Ok(Value::String(text.0.clone()));
    }
    if let Some(value) = value.read_lock::<Tree>() {
        let inner = value.value().clone();
        charge(left, value.grown())?;
        return if deeper_than(&inner, depth) {
            Err(error(format!("the value is nested more than {DEPTH_MAX} deep")))
        } else {
            Ok(inner)
        };
    }
    let value = match convert_plain(value, left)? {
        Ok(plain) => return Ok(plain),
        Err(value) => value,
    };
    let value = match value.try_cast_result::<RhaiMap>() {
        Ok(map) => {
            let mut out = Map::with_capacity(map.len());
            for (key, item) in map {
                charge(left, key.len())?;
                out.insert(key.as_str(), convert(item, depth, left)?);
            }
            return Ok(Value::object(out));
        }
        Err(value) => value,
    };
    let value = match value.try_cast_result::<Array>() {
        Ok(items) => {
            let items = items.into_iter().map(|item| convert(item, depth, left));
            return items.collect::<Result<Vec<_>, _>>().map(Value::array);
        }
        Err(value) => value,
    };
    if let Ok(number) = value.as_decimal() {
        return Ok(Value::Float(number.to_string().parse().unwrap_or(f64::NAN)));
    }
    match value.as_char() {
        Ok(c) => Ok(Value::from(c.to_string())),
        Err(_) => Err(error(format!("a value of type {kind} cannot leave a script"))),
    }
}

/// Numbers, truths, texts and bytes; everything else comes back as it is.
fn convert_plain(value: Dynamic, left: &mut usize) -> Result<Result<Value, Dynamic>, Box<EvalAltResult>> {
    let value = match value.try_cast_result::<INT>() {
        Ok(number) => return Ok(Ok(Value::Int(number))),
        Err(value) => value,
    };
    let value = match value.try_cast_result::<FLOAT>() {
        Ok(number) => return Ok(Ok(Value::Float(number))),
        Err(value) => value,
    };
    let value = match value.try_cast_result::<bool>() {
        Ok(truth) => return Ok(Ok(Value::Bool(truth))),
        Err(value) => value,
    };
    let value = match value.try_cast_result::<ImmutableString>() {
        Ok(text) => {
            charge(left, text.len())?;
            return Ok(Ok(Value::string(text.as_str())));
        }
        Err(value) => value,
    };
    match value.try_cast_result::<Blob>() {
        Ok(bytes) => {
            charge(left, bytes.len())?;
            Ok(Ok(Value::Bytes(bytes.into())))
        }
        Err(value) => Ok(Err(value)),
    }
}

fn deeper_than(value: &Value, depth: usize) -> bool {
    let Some(inside) = depth.checked_sub(1) else { return true };
    match value.resolved() {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, inside)),
        Value::Object(map) => map.iter().any(|(_, item)| deeper_than(item, inside)),
        _ => false,
    }
}
