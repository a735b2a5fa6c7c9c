//! Values asked from PostgreSQL.

use super::{JsonbRef, parse_jsonb};

fn shown(text: &str) -> String {
    let bytes = parse_jsonb(text).unwrap();
    let mut out = String::new();
    JsonbRef::from_bytes(&bytes).to_text(&mut out);
    out
}

#[test]
fn text() {
    for (input, output) in [
        (r#"{"bb":1,"a":[1,2.50,"x"],"a":null, "c":{}}"#, r#"{"a": null, "c": {}, "bb": 1}"#),
        (" [ ] ", "[]"),
        (r#""a\u00e9\n\ud83d\ude00\/\"""#, "\"aé\\n😀/\\\"\""),
        ("1e2", "100"),
        ("-0.10", "-0.10"),
        ("true", "true"),
    ] {
        assert_eq!(shown(input), output);
    }
    for bad in [
        "",
        "{",
        "[1,]",
        "01",
        "1.",
        "nul",
        "{a:1}",
        "\"\\x\"",
        "1 2",
        "\"a",
        "[1 2]",
        "-",
        "\"\\ud800\"",
    ] {
        assert_eq!(parse_jsonb(bad).unwrap_err().code.0, "22P02", "{bad}");
    }
    assert!(parse_jsonb(&"[".repeat(100_000)).is_err());
}

#[test]
fn walk() {
    let bytes = parse_jsonb(r#"{"a": [1, {"b": "x"}, 3], "zz": true}"#).unwrap();
    let value = JsonbRef::from_bytes(&bytes);
    let array = value.get_field("a").unwrap();
    assert_eq!(
        array.get_index(1).and_then(|v| v.get_field("b")).and_then(|v| v.as_str()),
        Some("x")
    );
    assert_eq!(
        array.get_index(-1).and_then(|v| v.as_number()).map(|n| n.to_string()),
        Some("3".to_owned())
    );
    assert_eq!(value.get_field("zz").and_then(|v| v.as_bool()), Some(true));
    assert!(value.get_field("z").is_none());
}

#[test]
fn order() {
    let ordered = [
        "[]",
        "null",
        "\"\"",
        "\"a\"",
        "-1",
        "2",
        "10",
        "false",
        "true",
        "[1]",
        "[2]",
        "[0, 0]",
        "{}",
        r#"{"a": 1}"#,
        r#"{"a": 2}"#,
        r#"{"a": 1, "b": 0}"#,
    ];
    let values: Vec<Vec<u8>> = ordered.iter().map(|text| parse_jsonb(text).unwrap()).collect();
    for (i, a) in values.iter().enumerate() {
        for (j, b) in values.iter().enumerate() {
            let order = JsonbRef::from_bytes(a).sql_cmp(&JsonbRef::from_bytes(b));
            assert_eq!(order, i.cmp(&j), "{} {}", ordered[i], ordered[j]);
        }
    }
    let one = |text: &str| JsonbRef::from_bytes(&parse_jsonb(text).unwrap()).canonical();
    assert_eq!(one("[1.0, {\"a\": 2.50}]"), one("[1, {\"a\": 2.5}]"));
}
