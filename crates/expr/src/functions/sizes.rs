//! Sizes: in units for people, and of values.

use tidemill_repr::{Datum, Numeric, RowBuilder, ScalarType, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, numeric, text};
use crate::functions::json::types::typed;
use crate::functions::system::UNITS;
use crate::scalar::EvalContext;

/// `1.5 kB` in bytes.
fn size_bytes<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let given = text(a, 0)?;
    let invalid = |detail: Option<String>, hint: Option<&str>| EvalError::Invalid {
        code: SqlState::INVALID_PARAMETER_VALUE.0.to_owned(),
        message: format!("invalid size: \"{given}\""),
        detail,
        hint: hint.map(str::to_owned),
    };
    let written = given.trim();
    let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = usize::from(written.starts_with(['-', '+']));
    let whole = digits(&written[end..]);
    end += whole;
    let mut fraction = 0;
    if written[end..].starts_with('.') {
        fraction = digits(&written[end + 1..]);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return Err(invalid(None, None));
    }
    if written[end..].starts_with(['e', 'E']) {
        let sign = usize::from(written[end + 1..].starts_with(['-', '+']));
        let exponent = digits(&written[end + 1 + sign..]);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let number = Numeric::parse(&written[..end])?;
    let unit = written[end..].trim();
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        lower => match UNITS.iter().skip(1).position(|known| known.to_ascii_lowercase() == lower) {
            Some(at) => at + 1,
            None => {
                return Err(invalid(
                    Some(format!("Invalid size unit: \"{unit}\".")),
                    Some(
                        "Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \
                         \"PB\".",
                    ),
                ));
            }
        },
    };
    let mut bytes = number;
    for _ in 0..power {
        bytes = bytes.mul(&Numeric::from(1024))?;
    }
    match bytes.round(0)?.to_i64() {
        Some(bytes) => Ok(Datum::Int(bytes)),
        None => Err(EvalError::OutOfRange("bigint".to_owned())),
    }
}

/// As [`super::system`] shows integers: from 10240 on in the next unit.
fn size_pretty<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut size = numeric(a, 0)?;
    let limit = Numeric::from(10 * 1024);
    let half_limit = Numeric::from(20 * 1024 - 1);
    if size.abs().sql_cmp(&limit).is_lt() {
        return Ok(context.text(&format!("{size} bytes")));
    }
    // One bit more than shown, so that halves are rounded once.
    size = size.div_trunc(&Numeric::from(512))?;
    let mut unit = 1;
    while unit + 1 < UNITS.len() && !size.abs().sql_cmp(&half_limit).is_lt() {
        size = size.div_trunc(&Numeric::from(1024))?;
        unit += 1;
    }
    let one = Numeric::from(size.signum());
    let shown = size.add(&one)?.div_trunc(&Numeric::from(2))?;
    Ok(context.text(&format!("{shown} {}", UNITS[unit])))
}

/// The bytes of a value: those of its type, or what it takes and a header.
fn column_size<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let (values, known) = typed(a)?;
    let Some(value) = values.first().filter(|value| !value.is_null()) else {
        return Ok(Datum::Null);
    };
    let length = known.typ(0).base().type_length();
    if length > 0 {
        return Ok(Datum::Int(i64::from(length)));
    }
    let bytes = match *value {
        Datum::Text(text) => text.len(),
        Datum::Bytes(bytes) => bytes.len(),
        other => {
            let mut row = RowBuilder::new();
            row.push(other);
            row.bytes().len()
        }
    };
    let header = if *known.typ(0) == ScalarType::Unknown { 1 } else { 4 };
    Ok(Datum::Int(i64::try_from(bytes + header).unwrap_or(i64::MAX)))
}

fn row_size<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let bytes = match a.first() {
        Some(Datum::Record(row)) => row
            .iter()
            .map(|datum| {
                let mut builder = RowBuilder::new();
                builder.push(datum);
                builder.bytes().len()
            })
            .sum::<usize>(),
        _ => 0,
    };
    Ok(Datum::Int(i64::try_from(bytes).unwrap_or(i64::MAX)))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "A size with a unit, in bytes.";
    d.add("pg_size_bytes", "pg_size_bytes(text) -> int8", size_bytes, doc);
    let doc = "A number of bytes in the unit that shows it best.";
    d.add("pg_size_pretty_numeric", "pg_size_pretty(numeric) -> text", size_pretty, doc);
    let doc = "The bytes that a value takes.";
    d.add("pg_column_size", "pg_column_size(any) -> int4", column_size, doc)
        .sees_null()
        .types()
        .zone();
    let doc = "The bytes that the values of a row take.";
    d.add("mz_row_size", "mz_row_size(record) -> int8", row_size, doc);
    let doc = "The bytes that a character of an encoding takes at most.";
    let longest: Eval =
        |a, _| Ok(Datum::Int(if super::arguments::int(a, 0)? == 6 { 4 } else { 1 }));
    d.add("pg_encoding_max_length_sql", "pg_encoding_max_length(int4) -> int4", longest, doc);
}
