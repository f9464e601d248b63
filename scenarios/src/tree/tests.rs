use super::*;

fn value(text: &str) -> Value {
    parse(SourceId(0), text).map(|node| node.value).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

fn error(text: &str) -> String {
    let error = parse(SourceId(0), text).expect_err(text);
    format!("{}..{}: {}", error.span.start, error.span.end, error.message)
}

#[test]
fn scalars() {
    assert_eq!(value("true"), Value::Bool(true));
    assert_eq!(value("-1_000"), Value::Int(-1000));
    assert_eq!(value("0xFf"), Value::Int(255));
    assert_eq!(value("0b101"), Value::Int(5));
    assert_eq!(value("1.5e3"), Value::Float(1500.0));
    assert_eq!(value(".5"), Value::Float(0.5));
    assert_eq!(value(r#""a\n\x41\u{e9}""#), Value::Str("a\nAé".to_owned()));
    assert_eq!(value(r##"r#"a"b"#"##), Value::Str("a\"b".to_owned()));
    assert_eq!(value(r"'\''"), Value::Char('\''));
    assert_eq!(value("Panic"), Value::Word("Panic".to_owned()));
}

#[test]
fn compounds_keep_their_places() {
    let text = "#![enable(x)] // c\nHba(a: 1, /* /* */ */ b: [2, 3],)";
    let node = parse(SourceId(0), text).unwrap();
    let Value::Struct(Some(name), fields) = &node.value else { panic!("{node:?}") };
    assert_eq!(&text[name.span.start..name.span.end], "Hba");
    assert_eq!(fields[1].0.value, "b");
    assert_eq!(&text[fields[1].1.span.start..fields[1].1.span.end], "[2, 3]");
    assert_eq!(value("()"), Value::Unit);
    assert!(matches!(value("(1, 2)"), Value::Tuple(None, items) if items.len() == 2));
    assert!(matches!(value(r#"{"a": (x: 1)}"#), Value::Map(entries) if entries.len() == 1));
}

#[test]
fn syntax_errors_are_where_they_are() {
    assert_eq!(error("(a: 1"), "0..1: this is never closed: `)` is missing");
    assert_eq!(error("(a: 1 b: 2)"), "5..5: expected `,` or `)` after this field, found `b`");
    assert_eq!(error("[1, ]]"), "5..6: expected the end of the file, found `]`");
    assert_eq!(error("(a = 1)"), "3..4: expected `,` or `)` after this value, found `=`");
    assert_eq!(error("\"abc"), "0..1: this string is never closed");
    assert_eq!(error("10s"), "0..3: `10s` is not a number");
    assert_eq!(error(""), "0..0: expected a value, found the end");
    assert_eq!(error("/* a"), "0..2: this comment is never closed");
    let deep = "[".repeat(200);
    assert!(error(&deep).ends_with("values are nested too deeply"));
}
