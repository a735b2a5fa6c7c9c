//! PostgreSQL's text formats: to row bytes and back.
//!
//! [`parse_into`] and [`format_into`] dispatch on the type; numbers lie in [`number`], strings,
//! bytea and uuid in [`string`], arrays and records in [`composite`].

use std::cell::RefCell;
use std::fmt::Write;

use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::interval::{format_interval, parse_interval};
use crate::jsonb::{JsonbRef, parse_jsonb};
use crate::numeric::Numeric;
use crate::row::RowBuilder;
use crate::time::{
    TimeZone, format_date, format_time, format_timestamp, format_timestamptz, parse_date,
    parse_time, parse_timestamp, parse_timestamptz, round_micros,
};
use crate::types::{ColumnType, ScalarType};

pub mod composite;
pub mod number;
pub mod string;

pub(crate) use string::push_character;

/// The settings of a session that change how values are read and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSettings {
    /// `timezone`, as an IANA name or a POSIX offset.
    pub time_zone: String,
}

impl Default for TextSettings {
    fn default() -> Self {
        TextSettings { time_zone: "UTC".to_owned() }
    }
}

thread_local! {
    /// The zone that was asked for last: one session asks for the same again and again.
    static LAST_ZONE: RefCell<(String, TimeZone)> =
        RefCell::new(("UTC".to_owned(), TimeZone::utc()));
}

impl TextSettings {
    /// Runs `with` with the session's time zone; UTC if its name is not known.
    pub fn with_zone<T>(&self, with: impl FnOnce(&TimeZone) -> T) -> T {
        LAST_ZONE.with_borrow_mut(|(name, zone)| {
            if *name != self.time_zone {
                *zone = TimeZone::parse(&self.time_zone).unwrap_or_else(|_| TimeZone::utc());
                name.clone_from(&self.time_zone);
            }
            with(zone)
        })
    }
}

/// Reads one value of a type from its text and appends it to `row`, after applying the type's
/// modifier as an assignment does. On an error nothing is appended.
///
/// # Errors
/// The text is no value of the type (`22P02` and others, in PostgreSQL's words).
pub fn parse_into(
    typ: &ColumnType,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    parse_scalar_into(&typ.scalar_type, typ.typmod, text, settings, row)
}

pub(crate) fn parse_scalar_into(
    typ: &ScalarType,
    typmod: i32,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let datum = match typ {
        ScalarType::Bool => Datum::Bool(number::parse_bool(text)?),
        ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8 => {
            Datum::Int(number::parse_int(typ, text)?)
        }
        ScalarType::Oid => Datum::Int(number::parse_oid(typ, text)?),
        ScalarType::Float4 => Datum::Float4(number::parse_float4(text)?),
        ScalarType::Float8 => Datum::Float8(number::parse_float8(text)?),
        ScalarType::Numeric => Datum::Numeric(apply_numeric(Numeric::parse(text)?, typmod)?),
        ScalarType::Text
        | ScalarType::Varchar
        | ScalarType::Bpchar
        | ScalarType::InternalChar
        | ScalarType::Name
        | ScalarType::Unknown => return push_character(typ, typmod, text, row),
        ScalarType::Bytea => {
            row.push(Datum::Bytes(&string::parse_bytea(text)?));
            return Ok(());
        }
        ScalarType::Date => Datum::Date(parse_date(text)?),
        ScalarType::Time => Datum::Time(round_micros(parse_time(text)?, typmod)),
        ScalarType::Timestamp => Datum::Timestamp(round_micros(parse_timestamp(text)?, typmod)),
        ScalarType::TimestampTz => {
            let micros = settings.with_zone(|zone| parse_timestamptz(text, zone))?;
            Datum::TimestampTz(round_micros(micros, typmod))
        }
        ScalarType::Interval => Datum::Interval(apply_interval(parse_interval(text)?, typmod)),
        ScalarType::Uuid => Datum::Uuid(string::parse_uuid(text)?),
        ScalarType::Jsonb => {
            row.push(Datum::Jsonb(JsonbRef::from_bytes(&parse_jsonb(text)?)));
            return Ok(());
        }
        ScalarType::Array(element) => {
            return composite::parse_array_into(element, typmod, text, settings, row);
        }
        ScalarType::Domain(definition) => {
            let base = &definition.base;
            return parse_scalar_into(&base.scalar_type, base.typmod, text, settings, row);
        }
        ScalarType::Enum(definition) => match definition.order_of(text) {
            Some(order) => Datum::Enum { order, label: text },
            None => {
                return Err(SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    format!("invalid input value for enum {typ}: \"{text}\""),
                ));
            }
        },
        ScalarType::Record(_) => {
            return Err(SqlError::unsupported("input of anonymous composite types"));
        }
        reg if reg.is_reg() => Datum::Int(number::parse_oid(typ, text)?),
        _ => return Err(SqlError::unsupported(format!("input of type {typ}"))),
    };
    row.push(datum);
    Ok(())
}

/// Fits a numeric to a modifier.
pub(crate) fn apply_numeric(value: Numeric, typmod: i32) -> Result<Numeric, SqlError> {
    if typmod < 4 {
        return Ok(value);
    }
    let typ = ColumnType::new(ScalarType::Numeric).with_typmod(typmod);
    match typ.numeric_precision_scale() {
        Some((precision, scale)) => Ok(value.apply_modifier(precision, scale)?),
        None => Ok(value),
    }
}

/// Rounds an interval's seconds to the precision in the low 16 bits of a modifier.
pub(crate) fn apply_interval(value: crate::Interval, typmod: i32) -> crate::Interval {
    let precision = typmod & 0xffff;
    if typmod < 0 || precision > 6 {
        return value;
    }
    crate::Interval { micros: round_micros(value.micros, precision), ..value }
}

/// Appends the text of a value that is not NULL to `out`.
pub fn format_into(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings, out: &mut String) {
    // Only a number that is an oid by its type has more than one text.
    if typ.is_reg() && matches!(datum, Datum::Int(0)) {
        return out.push('-');
    }
    if *typ == ScalarType::Regtype
        && let Datum::Int(oid) = datum
        && let Some(named) = ScalarType::ALL.iter().find(|named| i64::from(named.oid().0) == *oid)
    {
        let _ = write!(out, "{named}");
        return;
    }
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(if *value { 't' } else { 'f' }),
        Datum::Int(value) => number::format_int(*value, out),
        Datum::Float4(value) => number::format_float4(*value, out),
        Datum::Float8(value) => number::format_float8(*value, out),
        Datum::Numeric(value) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
        }
        Datum::Text(text) => out.push_str(text),
        Datum::Bytes(bytes) => string::format_bytea(bytes, out),
        Datum::Date(days) => format_date(*days, out),
        Datum::Time(micros) => format_time(*micros, out),
        Datum::Timestamp(micros) => format_timestamp(*micros, out),
        Datum::TimestampTz(micros) => {
            settings.with_zone(|zone| format_timestamptz(*micros, zone, out));
        }
        Datum::Interval(interval) => format_interval(interval, out),
        Datum::Uuid(uuid) => string::format_uuid(uuid, out),
        Datum::Jsonb(value) => value.to_text(out),
        Datum::Array(array) => composite::format_array(array, typ, settings, out),
        Datum::Record(row) => composite::format_record(*row, typ, settings, out),
        Datum::UInt(value) => {
            let _ = write!(out, "{value}");
        }
        Datum::Enum { label, .. } => out.push_str(label),
        Datum::TimeTz(_)
        | Datum::Bits(_)
        | Datum::Inet(_)
        | Datum::Range(_)
        | Datum::Multirange(_)
        | Datum::List(_)
        | Datum::Map(_) => {}
    }
}

/// The text of a value; empty for NULL.
pub fn format(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings) -> String {
    let mut out = String::new();
    format_into(datum, typ, settings, &mut out);
    out
}

#[cfg(test)]
mod tests;
