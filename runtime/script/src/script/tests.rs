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
        "fn f(m) { let s = \"\"; s.pad(60000, \"x\"); s.replace(\"x\", s); s }",
        "fn f(m) { let s = \"\"; s.pad(60000, \"x\"); let c = s.to_chars(); loop { c.push(s); } }",
        "fn f(m) { loop { let x = m.long.to_upper(); } }",
        "fn f(m) { loop { let x = m.long.len; } }",
        "fn f(m) { loop { let x = m.long.split(\"\"); } }",
        "fn f(m) { loop { let x = m.long + m.long; } }",
        "fn f(m) { let s = \"\"; s.pad(60000, \"x\"); for i in 0..9000 { m.l.push(s); } m }",
        "fn f(m) { let l = []; for i in 0..9000 { l.push(m.l); l[i].push(\"0123456789012345678901234567890123456789\"); } loop { l = [l]; } }",
        "fn f(m) { let o = m; loop { o = #{o: o, p: o}; } }",
        "fn f(m) { let x = 1; while true { try { throw 1; } catch { x += 1; } } }",
        "fn f(m) { let a = [0]; a.pad(9999, 7); loop { a.sort(); a.reverse(); } }",
    ];
    let long = Value::string("x".repeat(4 << 20));
    for text in attacks {
        let script = Script::compile_function(text, "f", 1).unwrap();
        let from = Instant::now();
        let mut message = value(r#"{"l":[],"o":{}}"#);
        message.as_object_mut().unwrap().insert("long", long.clone());
        let result = script.call(&[message]);
        assert!(result.is_err(), "{text}");
        // Ten times the limit: tests run many at a time, and unoptimised.
        assert!(from.elapsed() < TIME_MAX * 10, "{text}: {:?}", from.elapsed());
    }
}

#[test]
fn an_endless_loop_is_said_to_be_one() {
    for text in ["loop {}", "let x = 0; while true { x += 1; if x > 100 { x = 0; } }"] {
        let script = Script::compile_function(&format!("fn f(m) {{ {text} }}"), "f", 1).unwrap();
        let error = script.call(&[Value::Null]).unwrap_err();
        assert!(error.runaway, "{error}");
        let expected = ["the script ran longer than 100 ms", "the script made more than 1000000 steps"];
        assert!(expected.iter().any(|expected| error.text.starts_with(expected)), "{error}");
    }
    let script = Script::compile_function("fn f(m) { m.x.y.z() }", "f", 1).unwrap();
    assert!(!script.call(&[Value::Null]).unwrap_err().runaway);
}

#[test]
fn long_texts_are_looked_into_and_pass_through_uncopied() {
    let mut message = value("{}");
    let long = "ab".repeat(100_000);
    message.as_object_mut().unwrap().insert("long", Value::string(long.as_str()));
    let run = |text: &str| Script::compile_expression(text, &["msg"]).unwrap().call(std::slice::from_ref(&message));
    assert_eq!(run("msg.long.len > 100000 && msg.long.contains(\"ba\")").unwrap(), Value::Bool(true));
    assert_eq!(run("msg.long.sub_string(-3, 2)").unwrap(), Value::string("ba"));
    assert_eq!(run("msg.long").unwrap(), Value::string(long.as_str()));
    let error = run("msg.long.to_string()").unwrap_err();
    assert!(error.text.contains("longer than 65536 bytes"), "{error}");
}

#[test]
fn what_is_too_large_or_too_deep_does_not_leave_a_script() {
    let text =
        "fn f(m) { let s = \"\"; s.pad(60000, \"x\"); let l = []; for i in 0..100 { l += [m.l]; l[i].push(s); } l }";
    let script = Script::compile_function(text, "f", 1).unwrap();
    let error = script.call(&[value(r#"{"l":[]}"#)]).unwrap_err();
    assert!(error.text.contains("made more than 4194304 bytes"), "{error}");
    let text = "fn f(m) { let l = []; for i in 0..40 { l = [l]; } l }";
    let error = Script::compile_function(text, "f", 1).unwrap().call(&[Value::Null]).unwrap_err();
    assert!(error.text.contains("nested more than 32 deep"), "{error}");
    let deep = format!("fn f(m) {{ {}1{} }}", "(".repeat(20_000), ")".repeat(20_000));
    assert!(Script::compile_function(&deep, "f", 1).is_err());
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
