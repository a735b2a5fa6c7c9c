//! Overload resolution and values, as PostgreSQL 15 answers.

use bumpalo::Bump;
use tidemill_expr::{EvalContext, resolve};
use tidemill_repr::ScalarType::{
    Array, Bool, Bpchar, Date, Float4, Float8, Int2, Int4, Int8, Interval, Jsonb, Numeric, Text,
    Timestamp, TimestampTz, Unknown, Varchar,
};
use tidemill_repr::{Datum, ScalarType};

fn operator(name: &str, left: ScalarType, right: ScalarType) -> String {
    match resolve::operator(name, Some(&left), &right) {
        Ok(found) => found.definition.id.to_owned(),
        Err(error) => format!("{}: {error}", error.code.0),
    }
}

fn function(name: &str, arguments: &[ScalarType]) -> String {
    match resolve::function(name, arguments) {
        Ok(found) => found.definition.id.to_owned(),
        Err(error) => format!("{}: {error}", error.code.0),
    }
}

#[test]
fn operators() {
    for (name, left, right, expected) in [
        ("+", Int4, Int4, "int4pl"),
        ("+", Int2, Int8, "int28pl"),
        ("+", Int4, Unknown, "int4pl"),
        ("+", Int4, Numeric, "numeric_add"),
        ("+", Int4, Float4, "float84pl"),
        ("+", Numeric, Float8, "float8pl"),
        ("+", Date, Interval, "date_pl_interval"),
        ("+", Date, Int4, "date_pli"),
        ("-", Timestamp, Unknown, "timestamp_mi"),
        ("+", Timestamp, Interval, "timestamp_pl_interval"),
        ("*", Interval, Int4, "interval_mul"),
        ("=", Int4, Int8, "int48eq"),
        ("=", Text, Unknown, "text_eq"),
        ("=", Varchar, Unknown, "text_eq"),
        ("=", Varchar, Text, "text_eq"),
        ("=", Bpchar, Unknown, "bpchareq"),
        ("=", Unknown, Unknown, "text_eq"),
        ("=", Date, Timestamp, "timestamp_eq"),
        ("<", Date, TimestampTz, "timestamptz_lt"),
        ("=", Numeric, Int4, "numeric_eq"),
        ("=", Array(Box::new(Int4)), Unknown, "array_eq"),
        ("||", Text, Unknown, "textcat"),
        ("||", Unknown, Unknown, "textcat"),
        ("||", Text, Int4, "textanycat"),
        ("||", Unknown, Int4, "textanycat"),
        ("||", Int4, Text, "anytextcat"),
        ("||", Array(Box::new(Int4)), Int4, "array_append"),
        ("||", Int4, Array(Box::new(Int4)), "array_prepend"),
        ("||", Jsonb, Unknown, "jsonb_concat"),
        ("->", Jsonb, Unknown, "jsonb_object_field"),
        ("->", Jsonb, Int4, "jsonb_array_element"),
        ("~~", Varchar, Unknown, "textlike"),
        ("!=", Int4, Int4, "int4ne"),
        ("+", Int4, Text, "42883: operator does not exist: integer + text"),
        ("+", Unknown, Unknown, "42725: operator is not unique: unknown + unknown"),
        ("=", Int4, Bool, "42883: operator does not exist: integer = boolean"),
    ] {
        let shown = format!("{left} {name} {right}");
        assert_eq!(operator(name, left, right), expected, "{shown}");
    }
}

#[test]
fn functions_by_arguments() {
    for (name, arguments, expected) in [
        ("abs", vec![Unknown], "float8abs"),
        ("abs", vec![Int2], "int2abs"),
        ("round", vec![Int4], "dround"),
        ("round", vec![Numeric, Int4], "numeric_round"),
        ("length", vec![Unknown], "textlen"),
        ("length", vec![Varchar], "textlen"),
        ("lower", vec![Unknown], "text_lower"),
        ("concat", vec![Int4, Text, Bool], "text_concat"),
        ("power", vec![Int4, Int4], "dpow"),
        ("mod", vec![Int4, Int8], "int8_mod"),
        ("date_trunc", vec![Unknown, Timestamp], "timestamp_trunc"),
        ("date_trunc", vec![Unknown, Date], "timestamptz_trunc"),
        ("substring", vec![Text, Int4], "text_substr_no_len"),
        ("foo", vec![Int4, Unknown], "42883: function foo(integer, unknown) does not exist"),
        ("lower", vec![Int4], "42883: function lower(integer) does not exist"),
    ] {
        assert_eq!(function(name, &arguments), expected, "{name}{arguments:?}");
    }
}

#[test]
fn common_types() {
    let common = |types: &[ScalarType]| match resolve::common_type("UNION", types) {
        Ok(typ) => typ.to_string(),
        Err(error) => format!("{}: {error}", error.code.0),
    };
    assert_eq!(common(&[Int4, Int8]), "bigint");
    assert_eq!(common(&[Int4, Numeric, Unknown]), "numeric");
    assert_eq!(common(&[Unknown, Unknown]), "text");
    assert_eq!(common(&[Varchar, Text]), "character varying");
    assert_eq!(common(&[Int4, Text]), "42804: UNION types integer and text cannot be matched");
}

/// Calls a function by SQL name and shows what it gives.
fn call(name: &str, arguments: &[Datum<'_>], types: &[ScalarType]) -> String {
    let found = match resolve::function(name, types) {
        Ok(found) => found,
        Err(error) => return error.to_string(),
    };
    let arena = Bump::new();
    match (found.definition.eval)(arguments, EvalContext { arena: &arena }) {
        Ok(Datum::Numeric(value)) => value.to_string(),
        Ok(datum) => format!("{datum:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn values_of_text_functions() {
    let text = Datum::Text;
    let int = Datum::Int;
    for (name, arguments, types, expected) in [
        (
            "substring",
            vec![text("Thomas"), int(2), int(3)],
            vec![Text, Int4, Int4],
            "Text(\"hom\")",
        ),
        (
            "substring",
            vec![text("Thomas"), int(-1), int(4)],
            vec![Text, Int4, Int4],
            "Text(\"Th\")",
        ),
        ("substring", vec![text("Thomas"), text("...$")], vec![Text, Text], "Text(\"mas\")"),
        ("left", vec![text("abcde"), int(-2)], vec![Text, Int4], "Text(\"abc\")"),
        ("right", vec![text("abcde"), int(2)], vec![Text, Int4], "Text(\"de\")"),
        ("lpad", vec![text("hi"), int(5), text("xy")], vec![Text, Int4, Text], "Text(\"xyxhi\")"),
        ("rpad", vec![text("hi"), int(1), text("xy")], vec![Text, Int4, Text], "Text(\"h\")"),
        (
            "split_part",
            vec![text("a,b,c"), text(","), int(-1)],
            vec![Text, Text, Int4],
            "Text(\"c\")",
        ),
        ("initcap", vec![text("hi THOMAS")], vec![Text], "Text(\"Hi Thomas\")"),
        (
            "translate",
            vec![text("12345"), text("143"), text("ax")],
            vec![Text, Text, Text],
            "Text(\"a2x5\")",
        ),
        ("md5", vec![text("abc")], vec![Text], "Text(\"900150983cd24fb0d6963f7d28e17f72\")"),
        ("md5", vec![text("")], vec![Text], "Text(\"d41d8cd98f00b204e9800998ecf8427e\")"),
        ("strpos", vec![text("high"), text("ig")], vec![Text, Text], "Int(2)"),
        ("quote_ident", vec![text("Foo bar")], vec![Text], "Text(\"\\\"Foo bar\\\"\")"),
        ("quote_ident", vec![text("select")], vec![Text], "Text(\"\\\"select\\\"\")"),
        (
            "overlay",
            vec![text("Txxxxas"), text("hom"), int(2), int(4)],
            vec![Text, Text, Int4, Int4],
            "Text(\"Thomas\")",
        ),
        (
            "regexp_replace",
            vec![text("foobarbaz"), text("b(..)"), text("X\\1Y"), text("g")],
            vec![Text, Text, Text, Text],
            "Text(\"fooXarYXazY\")",
        ),
        (
            "substring",
            vec![text("a"), int(1), int(-1)],
            vec![Text, Int4, Int4],
            "negative substring length not allowed",
        ),
        ("to_char", vec![int(485), text("999")], vec![Int4, Text], "Text(\" 485\")"),
        ("to_char", vec![int(-485), text("999")], vec![Int4, Text], "Text(\"-485\")"),
        ("to_char", vec![int(1485), text("9,999")], vec![Int4, Text], "Text(\" 1,485\")"),
        ("to_char", vec![int(12), text("0000")], vec![Int4, Text], "Text(\" 0012\")"),
        ("to_char", vec![int(12), text("FM9990")], vec![Int4, Text], "Text(\"12\")"),
        ("to_char", vec![int(12), text("9990999.9")], vec![Int4, Text], "Text(\"    0012.0\")"),
        ("to_char", vec![int(-12), text("99999")], vec![Int4, Text], "Text(\"   -12\")"),
        ("to_char", vec![int(-12), text("FM99.90")], vec![Int4, Text], "Text(\"-12.00\")"),
        ("to_char", vec![int(485), text("99")], vec![Int4, Text], "Text(\" ##\")"),
    ] {
        assert_eq!(call(name, &arguments, &types), expected, "{name}{arguments:?}");
    }
}

#[test]
fn values_of_time_functions() {
    // 2024-02-29 13:45:06.5
    let stamp = Datum::Timestamp(762_529_506_500_000);
    let text = Datum::Text;
    for (name, arguments, types, expected) in [
        ("extract", vec![text("epoch"), stamp], vec![Unknown, Timestamp], "1709214306.500000"),
        ("extract", vec![text("second"), stamp], vec![Unknown, Timestamp], "6.500000"),
        ("extract", vec![text("doy"), stamp], vec![Unknown, Timestamp], "60"),
        ("extract", vec![text("isodow"), stamp], vec![Unknown, Timestamp], "4"),
        ("extract", vec![text("week"), stamp], vec![Unknown, Timestamp], "9"),
        ("extract", vec![text("century"), stamp], vec![Unknown, Timestamp], "21"),
        (
            "extract",
            vec![text("foo"), stamp],
            vec![Unknown, Timestamp],
            "unit \"foo\" not recognized for type timestamp without time zone",
        ),
        (
            "to_char",
            vec![stamp, text("YYYY-MM-DD HH24:MI:SS.MS")],
            vec![Timestamp, Unknown],
            "Text(\"2024-02-29 13:45:06.500\")",
        ),
        (
            "to_char",
            vec![stamp, text("FMDay, FMDDth FMMonth Dy HH12 AM")],
            vec![Timestamp, Unknown],
            "Text(\"Thursday, 29th February Thu 01 PM\")",
        ),
        (
            "date_trunc",
            vec![text("quarter"), stamp],
            vec![Unknown, Timestamp],
            "Timestamp(757382400000000)",
        ),
        (
            "date_trunc",
            vec![text("hour"), stamp],
            vec![Unknown, Timestamp],
            "Timestamp(762526800000000)",
        ),
        (
            "make_date",
            vec![Datum::Int(2023), Datum::Int(2), Datum::Int(29)],
            vec![Int4, Int4, Int4],
            "date field value out of range: 2023-02-29",
        ),
        (
            "make_date",
            vec![Datum::Int(2024), Datum::Int(2), Datum::Int(29)],
            vec![Int4, Int4, Int4],
            "Date(8825)",
        ),
        (
            "timezone",
            vec![text("America/New_York"), stamp],
            vec![Text, Timestamp],
            "TimestampTz(762547506500000)",
        ),
    ] {
        assert_eq!(call(name, &arguments, &types), expected, "{name}{arguments:?}");
    }
}
