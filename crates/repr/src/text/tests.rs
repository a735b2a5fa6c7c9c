//! Values asked from PostgreSQL.

use super::{TextSettings, format, parse_into};
use crate::error::SqlError;
use crate::row::RowBuilder;
use crate::types::{ColumnType, ScalarType};

fn through(typ: &ColumnType, text: &str) -> Result<String, SqlError> {
    let settings = TextSettings::default();
    let mut row = RowBuilder::new();
    parse_into(typ, text, &settings, &mut row)?;
    let row = row.finish();
    Ok(format(&row.iter().next().unwrap(), &typ.scalar_type, &settings))
}

fn shown(typ: ScalarType, text: &str) -> String {
    through(&ColumnType::new(typ), text).unwrap()
}

fn refused(typ: ScalarType, typmod: i32, text: &str) -> (&'static str, String) {
    let error = through(&ColumnType::new(typ).with_typmod(typmod), text).unwrap_err();
    (error.code.0, error.message)
}

#[test]
fn scalars() {
    use ScalarType::{Bool, Bpchar, Bytea, Float4, Float8, Int4, Oid, Timestamp, Uuid};
    for (typ, text, expected) in [
        (Bool, " YES ", "t"),
        (Bool, "of", "f"),
        (Int4, " -42 ", "-42"),
        (Oid, "-1", "4294967295"),
        (Float8, "1e15", "1e+15"),
        (Float8, "100000000000000", "100000000000000"),
        (Float8, "0.0001", "0.0001"),
        (Float8, "0.00001", "1e-05"),
        (Float8, "1.5", "1.5"),
        (Float8, "-0", "-0"),
        (Float8, "inf", "Infinity"),
        (Float8, "123456789012345678", "1.2345678901234568e+17"),
        (Float8, "1e-300", "1e-300"),
        (Float8, "5e-324", "5e-324"),
        (Float8, "1.7976931348623157e308", "1.7976931348623157e+308"),
        (Float8, "9007199254740993", "9.007199254740992e+15"),
        (Float8, "4503599627370496.5", "4.503599627370496e+15"),
        (Float8, "99999999999999.9", "99999999999999.9"),
        (Float8, "999999999999999.9", "999999999999999.9"),
        (Float4, "16777216", "1.6777216e+07"),
        (Float4, "1e-45", "1e-45"),
        (Float4, "999999", "999999"),
        (Float4, "123456", "123456"),
        (Float4, "1234567", "1.234567e+06"),
        (Float4, "0.1", "0.1"),
        (Bytea, "\\xDEad", "\\xdead"),
        (Bytea, "a\\\\b\\001", "\\x615c6201"),
        (Uuid, "{A0EEBC999C0B4EF8-BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (Bpchar, "a ", "a "),
        (Timestamp, "2024-01-01", "2024-01-01 00:00:00"),
    ] {
        assert_eq!(shown(typ, text), expected, "{text}");
    }
    let through = |typ: ScalarType, typmod, text| {
        through(&ColumnType::new(typ).with_typmod(typmod), text).unwrap()
    };
    assert_eq!(through(Bpchar, 9, "ab"), "ab   ");
    assert_eq!(through(ScalarType::Varchar, 7, "abc  "), "abc");
    assert_eq!(through(Timestamp, 3, "2024-01-01 00:00:00.1235"), "2024-01-01 00:00:00.124");
}

#[test]
fn refusals() {
    assert_eq!(
        refused(ScalarType::Int4, -1, "99999999999"),
        ("22003", "value \"99999999999\" is out of range for type integer".to_owned())
    );
    assert_eq!(
        refused(ScalarType::Int2, -1, "x"),
        ("22P02", "invalid input syntax for type smallint: \"x\"".to_owned())
    );
    assert_eq!(
        refused(ScalarType::Varchar, 7, "abcd"),
        ("22001", "value too long for type character varying(3)".to_owned())
    );
    assert_eq!(
        refused(ScalarType::Float8, -1, "1e400"),
        ("22003", "\"1e400\" is out of range for type double precision".to_owned())
    );
    assert_eq!(refused(ScalarType::Text, -1, "a\0").0, "22021");
    assert_eq!(refused(ScalarType::Bool, -1, "o").0, "22P02");
}

#[test]
fn json_details() {
    let detail = |text: &str| {
        through(&ColumnType::new(ScalarType::Jsonb), text).unwrap_err().detail.unwrap()
    };
    assert_eq!(detail("{\"a\":1,}"), "Expected string, but found \"}\".");
    assert_eq!(detail("{\"a\" 1}"), "Expected \":\", but found \"1\".");
    assert_eq!(detail("[1 2]"), "Expected \",\" or \"]\", but found \"2\".");
    assert_eq!(detail("abc"), "Token \"abc\" is invalid.");
    assert_eq!(detail("{"), "The input string ended unexpectedly.");
}

#[test]
fn arrays() {
    let ints = ScalarType::Array(Box::new(ScalarType::Int4));
    let texts = ScalarType::Array(Box::new(ScalarType::Text));
    for (typ, text, expected) in [
        (&ints, "{1, 2,NULL}", "{1,2,NULL}"),
        (&ints, "{}", "{}"),
        (&ints, "{{1,2},{3,4}}", "{{1,2},{3,4}}"),
        (&ints, "[0:1]={7,8}", "[0:1]={7,8}"),
        (
            &texts,
            r#"{a b, "c,d", "", "null", null, \"q, "x\\y"}"#,
            r#"{"a b","c,d","","null",NULL,"\"q","x\\y"}"#,
        ),
    ] {
        assert_eq!(shown(typ.clone(), text), expected);
    }
    for bad in ["", "{", "{1", "{1,}", "{,1}", "{{1},{2,3}}", "{1}x", "{{1},2}", "1", "{{},{}}"] {
        assert_eq!(refused(ints.clone(), -1, bad).0, "22P02", "{bad}");
    }
}
