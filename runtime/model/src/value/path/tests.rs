#![allow(clippy::unwrap_used)]
use super::*;

fn map(text: &str) -> Map {
    Value::from_json(text).unwrap().as_object().unwrap().clone()
}

fn read(path: &str, text: &str) -> Option<Value> {
    Path::parse(path).unwrap().get(&map(text)).cloned()
}

#[test]
fn reads_every_notation() {
    let text = r#"{"a":{"b":[{"c d":1},2]},"k":"b","n":1}"#;
    assert_eq!(read(r#"a.b[0]["c d"]"#, text), Some(Value::Int(1)));
    assert_eq!(read("a['b'][1]", text), Some(Value::Int(2)));
    assert_eq!(read("a.b.1", text), Some(Value::Int(2)));
    assert_eq!(read("a[msg.k][msg.n]", text), Some(Value::Int(2)));
    assert_eq!(read("a.x.y", text), None);
}

#[test]
fn sets_and_creates_what_is_missing() {
    let mut root = map(r#"{"a":1}"#);
    assert!(Path::parse("b.c[1].d").unwrap().set(&mut root, Value::Int(5), true));
    assert_eq!(Value::object(root.clone()).to_json(), r#"{"a":1,"b":{"c":[null,{"d":5}]}}"#);
    assert!(!Path::parse("a.b").unwrap().set(&mut root, Value::Int(1), true), "a number has no properties");
    assert!(!Path::parse("x.y").unwrap().set(&mut root, Value::Int(1), false));
    assert!(root.get("x").is_none());
    assert!(Path::parse("b.c[0]").unwrap().remove(&mut root));
    assert_eq!(Value::object(root).to_json(), r#"{"a":1,"b":{"c":[{"d":5}]}}"#);
}

#[test]
fn bad_paths_say_where() {
    for bad in ["", ".a", "a.", "a..b", "a[", "a[\"x]", "a[b]", "a b", "a[0]b", "a]"] {
        assert!(Path::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(Path::parse("a b").unwrap_err().at, 1);
}

#[test]
fn an_index_far_beyond_the_end_is_refused_and_a_number_as_a_name_is_not() {
    let mut root: Map = [("list", Value::array(vec![])), ("map", Value::object(Map::new()))].into_iter().collect();
    let set = |root: &mut Map, path: &str| Path::parse(path).unwrap().set(root, Value::Int(1), true);
    assert!(!set(&mut root, "list[4000000000]") && !set(&mut root, "new.list[4000000000]"));
    assert_eq!(root.len(), 2, "nothing half made");
    assert!(set(&mut root, "list[3]") && set(&mut root, "map[1700000000000]"));
    assert_eq!(root.get("list").and_then(Value::as_array).map(<[Value]>::len), Some(4));
}
