//! Constants: what numbers, texts and typed literals mean.

use std::borrow::Cow;
use std::num::IntErrorKind;

use sqlparser::ast::{Value, ValueWithSpan};
use tidemill_plan::QueryScalar;
use tidemill_repr::text::parse_into;
use tidemill_repr::{ColumnType, Datum, Row, RowBuilder, ScalarType, SqlError, SqlState};

use super::{QueryContext, TypedScalar};

/// A constant of a type.
pub(super) fn literal(datum: Datum<'_>, scalar_type: ScalarType) -> TypedScalar {
    let typ = ColumnType::new(scalar_type).nullable(datum.is_null());
    TypedScalar { expr: QueryScalar::Literal(Ok(Row::pack([datum])), typ.clone()), typ }
}

/// NULL of a type.
pub(super) fn null(scalar_type: ScalarType) -> TypedScalar {
    literal(Datum::Null, scalar_type)
}

/// `true` or `false`.
pub(super) fn boolean(value: bool) -> QueryScalar {
    literal(Datum::Bool(value), ScalarType::Bool).expr
}

/// A text of type `text`.
pub(super) fn text(value: &str) -> TypedScalar {
    literal(Datum::Text(value), ScalarType::Text)
}

/// The text of a literal whose type is not resolved yet; the inner None is NULL.
pub(super) fn unknown_text(scalar: &QueryScalar) -> Option<Option<String>> {
    match scalar {
        QueryScalar::Literal(Ok(row), typ) if typ.scalar_type == ScalarType::Unknown => {
            constant_text(row)
        }
        _ => None,
    }
}

/// The text in a row of one datum, if it is text or NULL.
pub(super) fn constant_text(row: &Row) -> Option<Option<String>> {
    match row.iter().next() {
        Some(Datum::Text(text)) => Some(Some(text.to_owned())),
        Some(Datum::Null) => Some(None),
        _ => None,
    }
}

/// Reads a constant of a type from its text.
pub(super) fn parse(
    ctx: &QueryContext<'_>,
    text: &str,
    typ: &ColumnType,
) -> Result<TypedScalar, SqlError> {
    if typ.scalar_type == ScalarType::Text {
        return Ok(self::text(text));
    }
    let mut row = RowBuilder::new();
    parse_into(typ, text, &ctx.settings, &mut row)?;
    let typ = typ.clone().nullable(false);
    Ok(TypedScalar { expr: QueryScalar::Literal(Ok(row.finish()), typ.clone()), typ })
}

/// A number as written: `int4`, `int8` or `numeric`, whichever is the first that holds it; a
/// sign before it counts. What is too large for our `numeric` is `float8`.
pub(super) fn number(
    ctx: &QueryContext<'_>,
    text: &str,
    negative: bool,
) -> Result<TypedScalar, SqlError> {
    let plain = plain_number(text)?;
    let text = plain.as_ref();
    let signed = if negative { format!("-{text}") } else { text.to_owned() };
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(value) = signed.parse::<i64>()
    {
        let small = i32::try_from(value).is_ok();
        let typ = if small { ScalarType::Int4 } else { ScalarType::Int8 };
        return Ok(literal(Datum::Int(value), typ));
    }
    match parse(ctx, &signed, &ColumnType::new(ScalarType::Numeric)) {
        Err(error) if error.code == SqlState::NUMERIC_VALUE_OUT_OF_RANGE => {
            parse(ctx, &signed, &ColumnType::new(ScalarType::Float8)).map_err(|_| error)
        }
        parsed => parsed,
    }
}

/// A number in decimal digits alone: without `_`, and of `0x1f`, `0o17`, `0b11` the value.
fn plain_number(text: &str) -> Result<Cow<'_, str>, SqlError> {
    let junk = || {
        let message = format!("trailing junk after numeric literal at or near \"{text}\"");
        SqlError::new(SqlState::SYNTAX_ERROR, message)
    };
    let lower = text.to_ascii_lowercase();
    let radix = match lower.get(..2) {
        Some("0x") => Some((16, "hexadecimal")),
        Some("0o") => Some((8, "octal")),
        Some("0b") => Some((2, "binary")),
        _ => None,
    };
    let Some((radix, kind)) = radix else {
        if !text.contains('_') {
            return Ok(Cow::Borrowed(text));
        }
        // Only between digits.
        let bytes = text.as_bytes();
        let between = |at: usize| {
            at > 0
                && bytes[at - 1].is_ascii_digit()
                && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
        };
        return match text.match_indices('_').all(|(at, _)| between(at)) {
            true => Ok(Cow::Owned(text.replace('_', ""))),
            false => Err(junk()),
        };
    };
    let digits = &lower[2..];
    let digits = digits.strip_prefix('_').unwrap_or(digits);
    if digits.is_empty() {
        let message = format!("invalid {kind} integer at or near \"{text}\"");
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    if digits.contains("__") || digits.ends_with('_') {
        return Err(junk());
    }
    match u128::from_str_radix(&digits.replace('_', ""), radix) {
        Ok(value) => Ok(Cow::Owned(value.to_string())),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
            let message = format!("the number {text} is out of range");
            Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message))
        }
        Err(_) => Err(junk()),
    }
}

/// The text of a constant in quotes of any kind; None if it is none.
pub(super) fn quoted(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text)
        | Value::NationalStringLiteral(text) => Some(text),
        Value::DollarQuotedString(quoted) => Some(&quoted.value),
        _ => None,
    }
}

/// A constant as written.
pub(super) fn plan(ctx: &QueryContext<'_>, value: &ValueWithSpan) -> Result<TypedScalar, SqlError> {
    if let Some(text) = quoted(&value.value) {
        if text.contains('\0') {
            return Err(ctx.error(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
                value.span,
            ));
        }
        if let Value::NationalStringLiteral(_) = value.value {
            return Ok(literal(Datum::Text(text), ScalarType::Bpchar));
        }
        return Ok(literal(Datum::Text(text), ScalarType::Unknown));
    }
    match &value.value {
        Value::Number(text, false) => {
            number(ctx, text, false).map_err(|error| ctx.locate(error, value.span))
        }
        Value::SingleQuotedByteStringLiteral(text) => bits(ctx, &format!("b{text}"), value),
        Value::HexStringLiteral(text) => bits(ctx, &format!("x{text}"), value),
        Value::Boolean(value) => Ok(literal(Datum::Bool(*value), ScalarType::Bool)),
        Value::Null => Ok(null(ScalarType::Unknown)),
        Value::Placeholder(text) => parameter(ctx, text, value),
        _ => Err(ctx.unsupported(&format!("the constant {}", value.value), value.span)),
    }
}

/// `B'..'`, `X'..'`
fn bits(
    ctx: &QueryContext<'_>,
    text: &str,
    value: &ValueWithSpan,
) -> Result<TypedScalar, SqlError> {
    parse(ctx, text, &ColumnType::new(ScalarType::Bit))
        .map_err(|error| ctx.locate(error, value.span))
}

/// `$n`
fn parameter(
    ctx: &QueryContext<'_>,
    text: &str,
    value: &ValueWithSpan,
) -> Result<TypedScalar, SqlError> {
    let number = text.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    let Some(number) = number.filter(|number| (1..=65_535).contains(number)) else {
        return Err(ctx.error(
            SqlState::UNDEFINED_PARAMETER,
            format!("there is no parameter {text}"),
            value.span,
        ));
    };
    if ctx.maintained {
        return Err(ctx.error(
            SqlState::UNDEFINED_PARAMETER,
            format!("there is no parameter {text}"),
            value.span,
        ));
    }
    let mut known = ctx.parameters.borrow_mut();
    if known.len() < number {
        known.resize(number, None);
    }
    let typ = known[number - 1].clone().unwrap_or(ScalarType::Unknown);
    let typ = ColumnType::new(typ);
    Ok(TypedScalar { expr: QueryScalar::Parameter(number, typ.clone()), typ })
}
