//! Representative cases of the mustache specification: interpolation, sections, inverted, comments, delimiters.

#![allow(clippy::unwrap_used)]
use super::*;

#[track_caller]
fn check(data: &str, template: &str, expected: &str) {
    let value = Value::from_json(data).unwrap();
    let rendered = Template::parse(template).unwrap().render_value(&value, Escape::Html).unwrap();
    assert_eq!(rendered, expected, "{template}");
}

#[test]
fn interpolation() {
    check("{}", "Hello from {Mustache}!\n", "Hello from {Mustache}!\n");
    check(r#"{"subject":"world"}"#, "Hello, {{subject}}!", "Hello, world!");
    check(r#"{"x":"& \" < >"}"#, "{{x}} {{{x}}} {{&x}}", "&amp; &quot; &lt; &gt; & \" < > & \" < >");
    check(r#"{"mph":85}"#, "\"{{mph}} miles\"", "\"85 miles\"");
    check(r#"{"power":1.21}"#, "{{power}} {{{power}}}", "1.21 1.21");
    check(r#"{"cannot":null}"#, "I ({{cannot}}) be ({{missing}}) seen!", "I () be () seen!");
    check(r#"{"a":{"b":{"c":1}}}"#, "{{a.b.c}}|{{a.b.x}}|{{a.x.c}}", "1||");
    check(r#"{"a":{"b":{}},"b":{"c":"ERROR"}}"#, "{{#a}}{{b.c}}{{/a}}", "");
    check(r#"{"a":{"b":{"X":1}},"b":{"c":{"d":"bad"}}}"#, "{{#a}}{{b.c.d}}{{/a}}", "");
    check(r#"{"string":"---"}"#, "|{{ string }}|{{{ string }}}|{{& string }}|", "|---|---|---|");
    check(r#"{"string":"---"}"#, "  {{string}}\n", "  ---\n");
    check(r#"{"l":[{"x":1},2]}"#, "{{l.0.x}} {{l[1]}} {{l.length}}", "1 2 2");
}

#[test]
fn sections() {
    check(r#"{"boolean":true}"#, "\"{{#boolean}}shown{{/boolean}}\"", "\"shown\"");
    check(r#"{"boolean":false}"#, "\"{{#boolean}}shown{{/boolean}}\"", "\"\"");
    check(r#"{"null":null}"#, "{{#null}}x{{/null}}{{#missing}}x{{/missing}}", "");
    check(r#"{"context":{"name":"Joe"}}"#, "{{#context}}Hi {{name}}.{{/context}}", "Hi Joe.");
    check(r#"{"a":"foo","b":"wrong","sec":{"b":"bar"}}"#, "{{#sec}}{{a}},{{b}}{{/sec}}", "foo,bar");
    check(r#"{"list":[{"item":1},{"item":2},{"item":3}]}"#, "{{#list}}{{item}}{{/list}}", "123");
    check(r#"{"list":[]}"#, "{{#list}}x{{/list}}", "");
    check(r#"{"list":["a","b<"]}"#, "{{#list}}({{.}}){{{.}}}{{/list}}", "(a)a(b&lt;)b<");
    check(r#"{"list":[[1,2],["a"]]}"#, "{{#list}}({{#.}}{{.}}{{/.}}){{/list}}", "(12)(a)");
    check(r#"{"bool":true}"#, "|{{#bool}}A {{#bool}}B{{/bool}} C{{/bool}}|", "|A B C|");
    check(r#"{"a":{"b":{"c":true}}}"#, "{{#a.b.c}}Here{{/a.b.c}}", "Here");
    check(r#"{"a":{}}"#, "{{#a.b.c}}Here{{/a.b.c}}", "");
}

#[test]
fn lines_of_their_own_leave_no_trace() {
    let text = "| This Is\n{{#boolean}}\n|\n{{/boolean}}\n| A Line\n";
    check(r#"{"boolean":true}"#, text, "| This Is\n|\n| A Line\n");
    check(
        r#"{"boolean":true}"#,
        "| This Is\n  {{#boolean}}\n|\n  {{/boolean}}\n| A Line\n",
        "| This Is\n|\n| A Line\n",
    );
    check(r#"{"boolean":true}"#, "|\r\n{{#boolean}}\r\n{{/boolean}}\r\n|", "|\r\n|");
    check(r#"{"boolean":true}"#, "  {{#boolean}}\n#{{/boolean}}\n/", "#\n/");
    check(r#"{"boolean":true}"#, "#{{#boolean}}\n/\n  {{/boolean}}", "#\n/\n");
    check(r#"{"boolean":true}"#, " | {{#boolean}}\t|\t{{/boolean}} | \n", " | \t|\t | \n");
    check("{}", "Begin.\n{{! Comment }}\nEnd.\n", "Begin.\nEnd.\n");
    check("{}", "Begin.\n  {{!\nmany\nlines\n  }}\nEnd.\n", "Begin.\nEnd.\n");
    check("{}", "  12 {{! 34 }}\n", "  12 \n");
    check("{}", "!\n  {{! alone }}", "!\n");
}

#[test]
fn inverted_sections() {
    check(r#"{"boolean":false}"#, "\"{{^boolean}}shown{{/boolean}}\"", "\"shown\"");
    check(r#"{"boolean":true}"#, "{{^boolean}}shown{{/boolean}}", "");
    check(r#"{"list":[{"n":1}]}"#, "{{^list}}shown{{/list}}", "");
    check(r#"{"list":[]}"#, "{{^list}}Yay{{/list}}", "Yay");
    check("{}", "{{^missing}}none{{/missing}}{{^a.b}}!{{/a.b}}", "none!");
}

#[test]
fn comments_delimiters_and_partials() {
    check("{}", "12345{{! Comment Block! }}67890", "1234567890");
    check(r#"{"text":"Hey!"}"#, "{{=<% %>=}}(<%text%>)", "(Hey!)");
    check(r#"{"text":"It worked!"}"#, "({{=[ ]=}}[text])", "(It worked!)");
    check(r#"{"text":"x"}"#, "{{= | | =}}\n|#text||text||/text|", "x");
    check("{}", "[ {{>partial}} ]", "[  ]");
}

#[test]
fn containers_are_json_and_nothing_is_escaped_on_request() {
    let value = Value::from_json(r#"{"o":{"a":[1,"x"]}}"#).unwrap();
    let template = Template::parse("{{o}}").unwrap();
    assert_eq!(template.render_value(&value, Escape::None).unwrap(), r#"{"a":[1,"x"]}"#);
}

#[test]
fn broken_templates_say_where() {
    for (text, line) in
        [("a\n{{#x}}", 2), ("{{x", 1), ("{{/x}}", 1), ("\n\n{{#a}}{{/b}}", 3), ("{{}}", 1), ("{{a..b}}", 1)]
    {
        assert_eq!(Template::parse(text).unwrap_err().line, line, "{text}");
    }
    assert!(Template::parse(&"{{#a}}".repeat(1000)).is_err());
}

#[test]
fn a_template_cannot_run_away() {
    let items = Value::array(vec![Value::Int(1); 1000]);
    let template = Template::parse("{{#l}}{{#l}}{{#l}}{{#l}}x{{/l}}{{/l}}{{/l}}{{/l}}").unwrap();
    let lookup = |key: &str| (key == "l").then(|| items.clone());
    assert_eq!(template.render(&lookup, Escape::None), Err(RenderError));
}
