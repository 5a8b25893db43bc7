#![allow(clippy::unwrap_used)]
use std::time::Instant;

use super::*;

fn value(json: &str) -> Value {
    Value::from_json(json).unwrap()
}

fn expression(text: &str, msg: &str) -> Result<Value, ScriptError> {
    Script::compile_expression(text, &["msg"])?.call(&[value(msg)])
}

#[test]
fn expressions_look_into_messages() {
    let msg = r#"{"topic":"a","payload":{"t":31.5,"list":[1,2,3],"on":true,"n":null}}"#;
    for (text, expected) in [
        ("msg.payload.t > 30", "true"),
        ("msg.payload.t > 30 && msg.topic == \"a\"", "true"),
        ("msg.payload.list[1] + 1", "3"),
        ("msg.payload.list[-1]", "3"),
        ("msg.payload[\"t\"] * 2.0", "63.0"),
        ("msg.payload.n == ()", "true"),
        ("msg.payload.missing.deeper", "null"),
        ("msg.payload.missing > 5", "false"),
        ("msg.payload.list.len", "3"),
        ("2 in msg.payload.list", "true"),
        ("\"t\" in msg.payload", "true"),
        ("if msg.payload.on { \"yes\" } else { \"no\" }", "\"yes\""),
        ("#{a: msg.payload.list, b: [1.5]}", r#"{"a":[1,2,3],"b":[1.5]}"#),
    ] {
        assert_eq!(expression(text, msg).unwrap(), value(expected), "{text}");
    }
}

#[test]
fn functions_fold_state() {
    let text = r#"
        fn apply(state, event) {
            if state == () { state = #{count: 0, sum: 0.0, names: []}; }
            state.count += 1;
            state.sum += event.data.t;
            state.names.push(event.data.name);
            state
        }"#;
    let script = Script::compile_function(text, "apply", 2).unwrap();
    let mut state = Value::Undefined;
    for event in [r#"{"data":{"t":1.5,"name":"a"}}"#, r#"{"data":{"t":2.0,"name":"b"}}"#] {
        state = script.call(&[state, value(event)]).unwrap();
    }
    assert_eq!(state, value(r#"{"count":2,"sum":3.5,"names":["a","b"]}"#));
}

#[test]
fn what_a_script_writes_is_its_own_copy() {
    let script = Script::compile_function("fn f(m) { m.a.b = 9; m.l[0] = 8; m }", "f", 1).unwrap();
    let before = value(r#"{"a":{"b":1},"l":[1,2]}"#);
    assert_eq!(script.call(std::slice::from_ref(&before)).unwrap(), value(r#"{"a":{"b":9},"l":[8,2]}"#));
    assert_eq!(before, value(r#"{"a":{"b":1},"l":[1,2]}"#));
}

#[test]
fn lists_and_objects_are_walked() {
    let text = "fn f(m) { let s = 0; for x in m.l { s += x; } for k in m.o { s += m.o[k]; } s }";
    let script = Script::compile_function(text, "f", 1).unwrap();
    assert_eq!(script.call(&[value(r#"{"l":[1,2],"o":{"a":10,"b":20}}"#)]).unwrap(), Value::Int(33));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let error = Script::compile_expression("msg.payload >", &["msg"]).unwrap_err();
    assert_eq!(error.line, Some(1));
    let error = Script::compile_expression("mgs.payload", &["msg"]).unwrap_err();
    assert!(error.text.contains("mgs"), "{error}");
    let script = Script::compile_function("fn f(m) {\n  let x = 1;\n  throw \"no: \" + m;\n}", "f", 1).unwrap();
    let error = script.call(&[Value::from("why")]).unwrap_err();
    assert_eq!((error.text.as_str(), error.line), ("no: why", Some(3)));
    let error = Script::compile_function("fn f(m) { m }", "apply", 2).unwrap_err();
    assert_eq!(error.to_string(), "the script has no function \"apply\" with 2 arguments");
}

#[test]
fn nothing_runs_away() {
    let attacks = [
        "fn f(m) { loop {} }",
        "fn f(m) { f(m) }",
        "fn f(m) { let s = \"x\"; loop { s += s; } }",
        "fn f(m) { let a = []; loop { a.push(a); } }",
        "fn f(m) { let a = [1]; loop { a = [a]; } }",
        "fn f(m) { let s = \"\"; s.pad(900000000, \"x\"); s }",
        "fn f(m) { loop { m.l.push(m); } }",
        "fn f(m) { loop { m.o = m; } }",
        "fn f(m) { loop { m.l.push(\"0123456789\"); } }",
        "fn f(m) { let i = 0; loop { m[`k${i}`] = i; i += 1; } }",
        "fn f(m) { sleep(1000) }",
        "fn f(m) { let a = []; a.pad(100000000, 0); a }",
        "fn f(m) { for i in 0..1000000000 { m.x = i; } }",
        "fn f(m) { let b = blob(1000000000); b }",
    ];
    for text in attacks {
        let script = Script::compile_function(text, "f", 1).unwrap();
        let from = Instant::now();
        let result = script.call(&[value(r#"{"l":[],"o":{}}"#)]);
        assert!(result.is_err(), "{text}");
        assert!(from.elapsed().as_millis() < 2_000, "{text}: {:?}", from.elapsed());
    }
}

#[test]
fn there_is_no_way_out() {
    for text in ["eval(\"1\")", "import \"x\" as y"] {
        assert!(Script::compile_function(&format!("fn f(m) {{ {text}; }}"), "f", 1).is_err(), "{text}");
    }
    for text in ["timestamp()", "rand()", "open(\"/etc/passwd\")"] {
        let script = Script::compile_function(&format!("fn f(m) {{ {text} }}"), "f", 1).unwrap();
        assert!(script.call(&[Value::Null]).is_err(), "{text}");
    }
}
