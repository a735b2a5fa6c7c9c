//! The tables of definitions hold together, and nothing in them panics.

use std::collections::HashSet;

use bumpalo::Bump;
use tidemill_expr::function::{CastContext, TypePattern};
use tidemill_expr::{EvalContext, functions, resolve};
use tidemill_repr::jsonb::JsonbRef;
use tidemill_repr::text::{TextSettings, parse_into};
use tidemill_repr::{ColumnType, Datum, Interval, Numeric, RangeKind, Row, RowBuilder, ScalarType};

#[test]
fn ids_are_unique() {
    let mut seen = HashSet::new();
    for function in functions::all() {
        assert!(seen.insert(function.id), "{} is defined twice", function.id);
    }
    let mut seen = HashSet::new();
    for function in functions::all_tables() {
        assert!(seen.insert(function.id), "{} is defined twice", function.id);
    }
}

#[test]
fn signatures_name_types() {
    for function in functions::all() {
        for pattern in function.arguments.iter().chain([&function.returns]) {
            assert!(
                !matches!(
                    pattern,
                    TypePattern::Is(ScalarType::Unknown)
                        | TypePattern::ArrayOf(ScalarType::Unknown)
                ),
                "{} names a type that is none",
                function.id
            );
        }
    }
}

#[test]
fn no_two_functions_have_one_signature() {
    let mut seen = HashSet::new();
    for function in functions::all() {
        let signature = format!("{}{:?}", function.name, function.arguments);
        assert!(seen.insert(signature), "{} has the signature of another", function.id);
    }
    let mut seen = HashSet::new();
    for operator in functions::all_operators() {
        let signature = format!("{}{:?}{:?}", operator.name, operator.left, operator.right);
        assert!(seen.insert(signature), "{} is an operator like another", operator.function);
    }
}

#[test]
fn operators_and_casts_name_functions() {
    for operator in functions::all_operators() {
        assert!(functions::by_id(operator.function).is_some(), "{}", operator.function);
    }
    for cast in functions::all_casts() {
        assert!(cast.function.is_none_or(|id| functions::by_id(id).is_some()));
        assert!(resolve::cast(&cast.from, &cast.to, CastContext::Explicit).is_some());
    }
}

/// Values from their texts.
fn read(typ: &ScalarType, texts: &[&str]) -> Vec<Row> {
    let column = ColumnType::new(typ.clone());
    let value = |text: &&str| {
        let mut row = RowBuilder::new();
        parse_into(&column, text, &TextSettings::default(), &mut row).expect("a value");
        row.finish()
    };
    texts.iter().map(value).collect()
}

/// Some values of a type, the extremes among them.
fn samples(typ: &ScalarType) -> Vec<Row> {
    let one = |datum| Row::pack([datum]);
    let ints = |values: &[i64]| values.iter().map(|value| one(Datum::Int(*value))).collect();
    match typ {
        ScalarType::Bool => vec![one(Datum::Bool(true)), one(Datum::Bool(false))],
        ScalarType::Int2 => ints(&[0, 1, -1, i64::from(i16::MIN), i64::from(i16::MAX)]),
        ScalarType::Int4 => ints(&[0, 1, 2, -1, 7, i64::from(i32::MIN), i64::from(i32::MAX)]),
        ScalarType::Int8 => ints(&[0, 1, -1, 100, i64::MIN, i64::MAX]),
        ScalarType::Oid | ScalarType::Xid | ScalarType::UInt4 => ints(&[0, 1, i64::from(u32::MAX)]),
        reg if reg.is_reg() => ints(&[0, 1, i64::from(u32::MAX)]),
        ScalarType::UInt2 => ints(&[0, 1, i64::from(u16::MAX)]),
        ScalarType::Money => ints(&[0, 150, -1, i64::MIN, i64::MAX]),
        ScalarType::UInt8
        | ScalarType::PgLsn
        | ScalarType::MzTimestamp
        | ScalarType::Macaddr
        | ScalarType::Macaddr8 => {
            [0, 1, 1_700_000_000_000, u64::MAX].map(|value| one(Datum::UInt(value))).to_vec()
        }
        ScalarType::TimeTz => read(typ, &["00:00+00", "24:00:00-15:59", "12:34:56.789+02"]),
        ScalarType::Bit | ScalarType::Varbit => read(typ, &["", "1", "010101011"]),
        ScalarType::Inet => read(typ, &["0.0.0.0/0", "255.255.255.255", "::/0", "ffff::1/77"]),
        ScalarType::Cidr => read(typ, &["10", "::/0"]),
        ScalarType::Jsonpath => read(typ, &["$", "$.a[0]"]),
        ScalarType::Json => read(typ, &["1", "{\"a\": [1, null]}"]),
        ScalarType::Int2Vector | ScalarType::OidVector => read(typ, &["", "1 2"]),
        ScalarType::Range(RangeKind::Int4 | RangeKind::Int8 | RangeKind::Numeric) => {
            read(typ, &["empty", "(,)", "[1,5)", "[-3,2]", "(7,)"])
        }
        ScalarType::Range(_) => read(typ, &["empty", "(,)", "[2024-01-01,2024-02-01)"]),
        ScalarType::Multirange(RangeKind::Int4 | RangeKind::Int8 | RangeKind::Numeric) => {
            read(typ, &["{}", "{(,)}", "{[1,5),[7,9)}", "{(7,)}"])
        }
        ScalarType::Multirange(_) => read(typ, &["{}", "{[2024-01-01,2024-02-01)}"]),
        ScalarType::List(_) => read(typ, &["{}", "{1,NULL,2147483647}"]),
        ScalarType::Map(_) => read(typ, &["{}", "{a=>1,b=>NULL}"]),
        ScalarType::Float4 => [
            0.0,
            -0.0,
            1.5,
            -2.5,
            f32::MAX,
            f32::MIN_POSITIVE,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
        ]
        .map(|value| one(Datum::Float4(value)))
        .to_vec(),
        ScalarType::Float8 => [
            0.0,
            -0.0,
            1.5,
            -2.5,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ]
        .map(|value| one(Datum::Float8(value)))
        .to_vec(),
        ScalarType::Numeric => [
            "0",
            "1",
            "-1.50",
            "NaN",
            "Infinity",
            "-Infinity",
            "123456789.123456789",
            "99999999999999999999999999999999999999",
        ]
        .map(|text| one(Datum::Numeric(Numeric::parse(text).expect("a numeric"))))
        .to_vec(),
        ScalarType::Bytea => vec![one(Datum::Bytes(b"")), one(Datum::Bytes(b"a\0\xff\\"))],
        ScalarType::Date => [0, -1, 8000, i32::MAX, i32::MIN, 2_145_031_948, -2_451_545]
            .map(|d| one(Datum::Date(d)))
            .to_vec(),
        ScalarType::Time => {
            [0, 86_400_000_000, 3_600_000_001].map(|t| one(Datum::Time(t))).to_vec()
        }
        ScalarType::Timestamp => {
            [0, -1, i64::MAX, i64::MIN, 9_223_371_331_199_999_999, -211_813_488_000_000_000]
                .map(|t| one(Datum::Timestamp(t)))
                .to_vec()
        }
        ScalarType::TimestampTz => {
            [0, -1, i64::MAX, i64::MIN, 9_223_371_331_199_999_999, -211_813_488_000_000_000]
                .map(|t| one(Datum::TimestampTz(t)))
                .to_vec()
        }
        ScalarType::Interval => {
            [(0, 0, 0), (1, -2, 3), (i32::MAX, i32::MAX, i64::MAX), (i32::MIN, i32::MIN, i64::MIN)]
                .map(|(months, days, micros)| {
                    one(Datum::Interval(Interval { months, days, micros }))
                })
                .to_vec()
        }
        ScalarType::Uuid => vec![one(Datum::Uuid([7; 16]))],
        ScalarType::Jsonb => vec![one(Datum::Jsonb(JsonbRef::from_bytes(&[])))],
        ScalarType::Array(element) => {
            let mut all = Vec::new();
            let elements: Vec<Row> = samples(element);
            for dimensions in [vec![], vec![(2, 1)], vec![(1, -3), (2, 1)]] {
                let mut builder = RowBuilder::new();
                let count = if dimensions.is_empty() { 0 } else { 2 };
                let datums = [elements[0].iter().next().unwrap_or(Datum::Null), Datum::Null];
                builder.push_array(&dimensions, datums.into_iter().take(count));
                all.push(builder.finish());
            }
            all
        }
        ScalarType::Record(_) => {
            let mut builder = RowBuilder::new();
            builder.push_record([Datum::Int(1), Datum::Null, Datum::Text("a")]);
            vec![builder.finish()]
        }
        _ => ["", "a", "1", "%", "\\", "{1,2}", "2024-02-29", "[", "día ", "UTC", "day", "é%_\\"]
            .map(|text| one(Datum::Text(text)))
            .to_vec(),
    }
}

fn concrete(pattern: &TypePattern) -> ScalarType {
    match pattern {
        TypePattern::Is(typ) => typ.clone(),
        TypePattern::ArrayOf(typ) => ScalarType::Array(Box::new(typ.clone())),
        TypePattern::AnyArray => ScalarType::Array(Box::new(ScalarType::Int4)),
        TypePattern::AnyRange => ScalarType::Range(RangeKind::Int4),
        TypePattern::AnyMultirange => ScalarType::Multirange(RangeKind::Int4),
        TypePattern::AnyList => ScalarType::List(Box::new(ScalarType::Int4)),
        TypePattern::AnyMap => ScalarType::Map(Box::new(ScalarType::Int4)),
        _ => ScalarType::Int4,
    }
}

/// Every list of one choice for each place, thinned out where there would be too many.
fn combinations(choices: &[Vec<Row>]) -> Vec<Vec<Row>> {
    let mut all: Vec<Vec<Row>> = vec![Vec::new()];
    for choice in choices {
        let mut next = Vec::new();
        for (at, start) in all.iter().enumerate() {
            for (place, row) in choice.iter().enumerate() {
                if all.len() * choice.len() > 200 && (at + place) % 7 != 0 {
                    continue;
                }
                let mut list = start.clone();
                list.push(row.clone());
                next.push(list);
            }
        }
        all = next;
    }
    all
}

#[test]
fn nothing_panics() {
    for function in functions::all() {
        let mut choices: Vec<Vec<Row>> = function
            .arguments
            .iter()
            .map(|pattern| {
                let mut rows = samples(&concrete(pattern));
                if !function.strict {
                    rows.push(Row::pack([Datum::Null]));
                }
                rows
            })
            .collect();
        if function.needs_types {
            let types: Vec<ScalarType> = function.arguments.iter().map(concrete).collect();
            let types = functions::json::argument_types(&types);
            choices.push(vec![Row::pack([Datum::Text(&types)])]);
        }
        if function.needs_time_zone {
            choices.push(
                ["UTC", "America/New_York", "+03"]
                    .map(|zone| Row::pack([Datum::Text(zone)]))
                    .to_vec(),
            );
        }
        for rows in combinations(&choices) {
            let arena = Bump::new();
            let datums: Vec<Datum<'_>> =
                rows.iter().map(|row| row.iter().next().unwrap_or(Datum::Null)).collect();
            // `repeat`, `lpad` and the like would fill the memory.
            let large = |datum: &Datum<'_>| matches!(datum, Datum::Int(value) if *value > 1 << 20);
            if matches!(function.name, "lpad" | "rpad" | "repeat" | "format")
                && datums.iter().any(large)
            {
                continue;
            }
            let result = (function.eval)(&datums, EvalContext { arena: &arena });
            if let Err(error) = result {
                assert!(
                    !error.to_string().contains("of another type than planned"),
                    "{}{datums:?}: {error}",
                    function.id
                );
            }
        }
    }
}
