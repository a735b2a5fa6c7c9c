//! Comparison of every type, and functions over comparison and truth.

use std::cmp::Ordering;

use tidemill_repr::Datum;

use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, boolean, int, text};
use crate::scalar::EvalContext;

/// PostgreSQL's names of the types in its functions of comparison, and our signatures.
const SAME_TYPE: &[(&str, &str)] = &[
    ("bool", "bool"),
    ("int2", "int2"),
    ("int4", "int4"),
    ("int8", "int8"),
    ("oid", "oid"),
    ("float4", "float4"),
    ("float8", "float8"),
    ("numeric_", "numeric"),
    ("text_", "text"),
    ("name", "name"),
    ("char", "char"),
    ("bytea", "bytea"),
    ("date_", "date"),
    ("time_", "time"),
    ("timestamp_", "timestamp"),
    ("timestamptz_", "timestamptz"),
    ("interval_", "interval"),
    ("uuid_", "uuid"),
    ("jsonb_", "jsonb"),
    ("array_", "anyarray"),
    ("record_", "record"),
    ("timetz_", "timetz"),
    ("cash_", "money"),
    ("bit", "bit"),
    ("varbit", "varbit"),
    ("network_", "inet"),
    ("macaddr_", "macaddr"),
    ("macaddr8_", "macaddr8"),
    ("pg_lsn_", "pg_lsn"),
    ("oidvector", "oidvector"),
    ("enum_", "anyenum"),
    ("range_", "anyrange"),
    ("multirange_", "anymultirange"),
    ("list_", "anylist"),
    ("map_", "anymap"),
    ("uint2", "uint2"),
    ("uint4", "uint4"),
    ("uint8", "uint8"),
    ("mz_timestamp_", "mz_timestamp"),
];

/// Types of different width that compare without a cast.
const MIXED: &[(&str, &str, &str)] = &[
    ("int24", "int2", "int4"),
    ("int28", "int2", "int8"),
    ("int42", "int4", "int2"),
    ("int48", "int4", "int8"),
    ("int82", "int8", "int2"),
    ("int84", "int8", "int4"),
];

macro_rules! comparisons {
    ($compare:expr) => {{
        let all: [(&str, &str, Eval, &str); 6] = [
            ("eq", "=", |a, _| holds(a, $compare, |o| o == Ordering::Equal), "Whether equal."),
            ("ne", "<>", |a, _| holds(a, $compare, |o| o != Ordering::Equal), "Whether not equal."),
            ("lt", "<", |a, _| holds(a, $compare, |o| o == Ordering::Less), "Whether less."),
            (
                "le",
                "<=",
                |a, _| holds(a, $compare, |o| o != Ordering::Greater),
                "Whether not greater.",
            ),
            ("gt", ">", |a, _| holds(a, $compare, |o| o == Ordering::Greater), "Whether greater."),
            ("ge", ">=", |a, _| holds(a, $compare, |o| o != Ordering::Less), "Whether not less."),
        ];
        all
    }};
}

#[inline]
fn holds<'a>(
    arguments: &[Datum<'a>],
    compare: impl Fn(&Datum<'a>, &Datum<'a>) -> Ordering,
    test: impl Fn(Ordering) -> bool,
) -> Evaluated<'a> {
    match arguments {
        [left, right, ..] => Ok(Datum::Bool(test(compare(left, right)))),
        _ => Ok(Datum::Null),
    }
}

#[inline]
fn sql_order(left: &Datum<'_>, right: &Datum<'_>) -> Ordering {
    left.sql_cmp(right)
}

/// Trailing blanks do not count in `character(n)`.
fn bpchar_order(left: &Datum<'_>, right: &Datum<'_>) -> Ordering {
    match (left, right) {
        (Datum::Text(left), Datum::Text(right)) => {
            left.trim_end_matches(' ').as_bytes().cmp(right.trim_end_matches(' ').as_bytes())
        }
        _ => left.sql_cmp(right),
    }
}

fn float_order(left: &Datum<'_>, right: &Datum<'_>) -> Ordering {
    let wide = |datum: &Datum<'_>| match datum {
        Datum::Float4(value) => f64::from(*value),
        Datum::Float8(value) => *value,
        _ => 0.0,
    };
    tidemill_repr::datum::float_cmp(wide(left), wide(right))
}

/// What of two values `greatest` or `least` keeps.
fn extreme<'a>(arguments: &[Datum<'a>], wanted: Ordering) -> Evaluated<'a> {
    let mut chosen = Datum::Null;
    for value in arguments.iter().filter(|value| !value.is_null()) {
        if chosen.is_null() || value.sql_cmp(&chosen) == wanted {
            chosen = *value;
        }
    }
    Ok(chosen)
}

pub(super) fn define(d: &mut Definitions) {
    for (suffix, operator, eval, doc) in comparisons!(sql_order) {
        for (prefix, typ) in SAME_TYPE {
            let id = format!("{prefix}{suffix}");
            d.add(&id, &format!("{id}({typ}, {typ}) -> bool"), eval, doc).safe().operator(operator);
        }
        for (prefix, left, right) in MIXED {
            let id = format!("{prefix}{suffix}");
            d.add(&id, &format!("{id}({left}, {right}) -> bool"), eval, doc)
                .safe()
                .operator(operator);
        }
    }
    for (suffix, operator, eval, doc) in comparisons!(sql_order) {
        for (left, right) in [("name", "text"), ("text", "name")] {
            let id = format!("{left}{suffix}{right}");
            d.add(&id, &format!("{id}({left}, {right}) -> bool"), eval, doc)
                .safe()
                .operator(operator);
        }
    }
    for (suffix, operator, eval, doc) in comparisons!(sql_order).into_iter().take(2) {
        let id = if suffix == "ne" { "xidneq".to_owned() } else { format!("xid{suffix}") };
        d.add(&id, &format!("{id}(xid, xid) -> bool"), eval, doc).safe().operator(operator);
        let id = if suffix == "ne" { "xidneqint4" } else { "xideqint4" };
        d.add(id, &format!("{id}(xid, int4) -> bool"), eval, doc).safe().operator(operator);
    }
    for (suffix, operator, eval, doc) in comparisons!(bpchar_order) {
        let id = format!("bpchar{suffix}");
        d.add(&id, &format!("{id}(bpchar, bpchar) -> bool"), eval, doc).safe().operator(operator);
    }
    for (suffix, operator, eval, doc) in comparisons!(float_order) {
        for (prefix, left, right) in
            [("float48", "float4", "float8"), ("float84", "float8", "float4")]
        {
            let id = format!("{prefix}{suffix}");
            d.add(&id, &format!("{id}({left}, {right}) -> bool"), eval, doc)
                .safe()
                .operator(operator);
        }
    }
    define_boolean(d);
}

fn define_boolean(d: &mut Definitions) {
    d.add(
        "greatest",
        "greatest(variadic anyelement) -> anyelement",
        |a, _| extreme(a, Ordering::Greater),
        "The greatest of the values that are not NULL.",
    )
    .sees_null()
    .safe();
    d.add(
        "least",
        "least(variadic anyelement) -> anyelement",
        |a, _| extreme(a, Ordering::Less),
        "The least of the values that are not NULL.",
    )
    .sees_null()
    .safe();
    d.add(
        "is_distinct_from",
        "is_distinct_from(anyelement, anyelement) -> bool",
        |a, _| holds(a, sql_order, |order| order != Ordering::Equal),
        "Whether two values differ, where NULL is a value like others.",
    )
    .sees_null()
    .safe();
    d.add(
        "is_not_distinct_from",
        "is_not_distinct_from(anyelement, anyelement) -> bool",
        |a, _| holds(a, sql_order, |order| order == Ordering::Equal),
        "Whether two values do not differ, where NULL is a value like others.",
    )
    .sees_null()
    .safe();
    d.add(
        "bool_int4",
        "int4(bool) -> int4",
        |a, _| Ok(Datum::Int(i64::from(boolean(a, 0)?))),
        "1 for true, 0 for false.",
    )
    .cast(CastContext::Explicit);
    d.add(
        "int4_bool",
        "bool(int4) -> bool",
        |a, _| Ok(Datum::Bool(int(a, 0)? != 0)),
        "Whether not 0.",
    )
    .cast(CastContext::Explicit);
    d.add(
        "num_nulls",
        "num_nulls(variadic any) -> int4",
        |a, _| Ok(Datum::Int(a.iter().filter(|value| value.is_null()).count() as i64)),
        "How many arguments are NULL.",
    )
    .sees_null();
    d.add(
        "num_nonnulls",
        "num_nonnulls(variadic any) -> int4",
        |a, _| Ok(Datum::Int(a.iter().filter(|value| !value.is_null()).count() as i64)),
        "How many arguments are not NULL.",
    )
    .sees_null();
    define_pattern_order(d);
}

/// `text_pattern_ops`: the order of bytes, which is ours anyway.
fn define_pattern_order(d: &mut Definitions) {
    fn order<'a>(a: &[Datum<'a>], test: fn(Ordering) -> bool) -> Evaluated<'a> {
        Ok(Datum::Bool(test(text(a, 0)?.as_bytes().cmp(text(a, 1)?.as_bytes()))))
    }
    let all: [(&str, &str, Eval); 4] = [
        ("text_pattern_lt", "~<~", |a, _: EvalContext<'_>| order(a, Ordering::is_lt)),
        ("text_pattern_le", "~<=~", |a, _| order(a, Ordering::is_le)),
        ("text_pattern_gt", "~>~", |a, _| order(a, Ordering::is_gt)),
        ("text_pattern_ge", "~>=~", |a, _| order(a, Ordering::is_ge)),
    ];
    for (id, operator, eval) in all {
        d.add(id, &format!("{id}(text, text) -> bool"), eval, "Order of bytes.").operator(operator);
    }
}
