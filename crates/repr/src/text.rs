//! PostgreSQL's text formats: to row bytes and back.
//!
//! [`parse_into`] and [`format_into`] dispatch on the type; numbers lie in [`number`], strings,
//! bytea and uuid in [`string`], arrays and records in [`composite`], each other family in a
//! file of its own.

use std::fmt::Write;

use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::id::Oid;
use crate::interval::{parse_interval_within, styled_interval};
use crate::jsonb::{JsonbRef, parse_jsonb};
use crate::jsonpath::parse_jsonpath;
use crate::numeric::Numeric;
use crate::row::RowBuilder;
use crate::time::{
    DAY, Reading, TimeTz, TimeZone, UNIX_EPOCH_DAYS, format_time, format_timetz, is_timestamp,
    parse_date, parse_time, parse_timestamp, parse_timestamptz, parse_timetz, round_micros,
    styled_date, styled_timestamp,
};
use crate::types::{ColumnType, ScalarType};

pub mod bits;
mod collection;
pub mod composite;
pub mod money;
pub mod network;
pub mod number;
mod range;
mod record;
pub mod settings;
pub mod string;

pub use settings::{DateOrder, DateStyle, IntervalStyle, OidNames, TextSettings};
pub(crate) use string::push_character;

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
        ScalarType::Date => {
            Datum::Date(settings.with_zone(|zone| parse_date(text, &reading(settings, zone)))?)
        }
        ScalarType::Time => {
            let micros = settings.with_zone(|zone| parse_time(text, &reading(settings, zone)))?;
            Datum::Time(round_micros(micros, typmod))
        }
        ScalarType::Timestamp => {
            let micros =
                settings.with_zone(|zone| parse_timestamp(text, &reading(settings, zone)))?;
            Datum::Timestamp(round_micros(micros, typmod))
        }
        ScalarType::TimestampTz => {
            let micros =
                settings.with_zone(|zone| parse_timestamptz(text, &reading(settings, zone)))?;
            Datum::TimestampTz(round_micros(micros, typmod))
        }
        ScalarType::Interval => Datum::Interval(parse_interval_within(text, typmod)?),
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
        ScalarType::Composite(definition) => {
            return record::parse_record_into(definition, text, settings, row);
        }
        ScalarType::Record(_) => {
            return Err(SqlError::unsupported("input of anonymous composite types"));
        }
        _ => return parse_rare_into(typ, typmod, text, settings, row),
    };
    row.push(datum);
    Ok(())
}

fn reading<'z>(settings: &TextSettings, zone: &'z TimeZone) -> Reading<'z> {
    Reading { order: settings.date_order, now: settings.now, zone }
}

/// Types that are seldom met.
fn parse_rare_into(
    typ: &ScalarType,
    typmod: i32,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let datum = match typ {
        ScalarType::Json => {
            parse_jsonb(text)?;
            Datum::Text(text)
        }
        ScalarType::Jsonpath => {
            row.push(Datum::Text(&parse_jsonpath(text)?.to_string()));
            return Ok(());
        }
        ScalarType::TimeTz => {
            let time = settings.with_zone(|zone| parse_timetz(text, &reading(settings, zone)))?;
            Datum::TimeTz(TimeTz { micros: round_micros(time.micros, typmod), ..time })
        }
        ScalarType::Money => Datum::Int(money::parse_money(text)?),
        ScalarType::Bit | ScalarType::Varbit => {
            row.push(Datum::Bits(bits::parse_bits(typ, typmod, text)?.as_ref()));
            return Ok(());
        }
        ScalarType::Inet => Datum::Inet(network::parse_inet(text, false)?),
        ScalarType::Cidr => Datum::Inet(network::parse_inet(text, true)?),
        ScalarType::Macaddr => Datum::UInt(network::parse_macaddr(text)?),
        ScalarType::Macaddr8 => Datum::UInt(network::parse_macaddr8(text)?),
        ScalarType::Xid => Datum::Int(number::parse_oid(typ, text)?),
        ScalarType::PgLsn => Datum::UInt(number::parse_lsn(text)?),
        ScalarType::UInt2 | ScalarType::UInt4 => {
            // Below 2^32.
            Datum::Int(number::parse_unsigned(typ, text)? as i64)
        }
        ScalarType::UInt8 => Datum::UInt(number::parse_unsigned(typ, text)?),
        ScalarType::MzTimestamp => Datum::UInt(parse_mz_timestamp(text, settings)?),
        ScalarType::Int2Vector | ScalarType::OidVector => {
            return collection::parse_vector_into(typ, text, row);
        }
        ScalarType::Range(kind) => return range::parse_range_into(*kind, text, settings, row),
        ScalarType::Multirange(kind) => {
            return range::parse_multirange_into(*kind, text, settings, row);
        }
        ScalarType::List(element) => {
            return collection::parse_list_into(element, text, settings, row);
        }
        ScalarType::Map(value) => return collection::parse_map_into(value, text, settings, row),
        reg if reg.is_reg() => Datum::Int(parse_registered(typ, text)?),
        _ => return Err(SqlError::unsupported(format!("input of type {typ}"))),
    };
    row.push(datum);
    Ok(())
}

/// A number; types also have names that are known without a catalog.
fn parse_registered(typ: &ScalarType, text: &str) -> Result<i64, SqlError> {
    let named = ScalarType::ALL
        .iter()
        .find(|named| named.pg_name() == text.trim() || named.to_string() == text.trim());
    match named {
        Some(named) if *typ == ScalarType::Regtype => Ok(i64::from(named.oid().0)),
        _ => number::parse_oid(typ, text),
    }
}

/// A number of milliseconds since 1970, or a timestamp.
fn parse_mz_timestamp(text: &str, settings: &TextSettings) -> Result<u64, SqlError> {
    let typ = ScalarType::MzTimestamp;
    number::parse_unsigned(&typ, text).or_else(|error| {
        let micros = settings.with_zone(|zone| parse_timestamptz(text, &reading(settings, zone)));
        let millis = micros.ok().and_then(timestamp_to_ticks);
        millis.ok_or(error)
    })
}

/// The tick of a timestamp; None before 1970 and for infinities.
pub fn timestamp_to_ticks(micros: i64) -> Option<u64> {
    if !is_timestamp(micros) || matches!(micros, i64::MIN | i64::MAX) {
        return None;
    }
    u64::try_from(micros.div_euclid(1000) + UNIX_EPOCH_DAYS * (DAY / 1000)).ok()
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

/// Appends the text of a value that is not NULL to `out`.
pub fn format_into(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings, out: &mut String) {
    if let ScalarType::Domain(_) = typ {
        return format_into(datum, typ.base(), settings, out);
    }
    // Only a number that is an oid by its type has more than one text.
    if typ.is_reg() && matches!(datum, Datum::Int(0)) {
        return out.push('-');
    }
    if typ.is_reg()
        && let Datum::Int(oid) = datum
        && let Ok(oid) = u32::try_from(*oid)
        && let Some(name) = settings.names.name(typ, oid)
    {
        return out.push_str(&name);
    }
    if *typ == ScalarType::Regtype
        && let Datum::Int(oid) = datum
        && let Some(named) = u32::try_from(*oid).ok().and_then(|oid| ScalarType::from_oid(Oid(oid)))
    {
        let _ = write!(out, "{named}");
        return;
    }
    // They have one oid each, whatever is in them.
    if let (ScalarType::Regtype, Datum::Int(oid @ (16_384 | 16_385))) = (typ, datum) {
        return out.push_str(if *oid == 16_384 { "list" } else { "map" });
    }
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(if *value { 't' } else { 'f' }),
        Datum::Int(value) if *typ == ScalarType::Money => money::format_money(*value, out),
        Datum::Int(value) => number::format_int(*value, out),
        Datum::Float4(value) => {
            number::format_float4_digits(*value, settings.extra_float_digits, out);
        }
        Datum::Float8(value) => {
            number::format_float8_digits(*value, settings.extra_float_digits, out);
        }
        Datum::Numeric(value) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
        }
        Datum::Text(text) => out.push_str(text),
        Datum::Bytes(bytes) if settings.bytea_escape => string::escape_bytea(bytes, out),
        Datum::Bytes(bytes) => string::format_bytea(bytes, out),
        Datum::Date(days) => {
            styled_date(*days, settings.date_style, settings.date_order, out);
        }
        Datum::Time(micros) => format_time(*micros, out),
        Datum::Timestamp(micros) => {
            styled_timestamp(*micros, None, settings.date_style, settings.date_order, out);
        }
        Datum::TimestampTz(micros) => {
            settings.with_zone(|zone| {
                let (style, order) = (settings.date_style, settings.date_order);
                styled_timestamp(*micros, Some(zone), style, order, out);
            });
        }
        Datum::Interval(interval) => {
            styled_interval(interval, settings.interval_style, out);
        }
        Datum::Uuid(uuid) => string::format_uuid(uuid, out),
        Datum::Jsonb(value) => value.to_text(out),
        Datum::Array(array) => match typ {
            ScalarType::Int2Vector | ScalarType::OidVector => collection::format_vector(array, out),
            _ => composite::format_array(array, typ, settings, out),
        },
        Datum::Record(row) => composite::format_record(*row, typ, settings, out),
        Datum::UInt(value) => format_unsigned(*value, typ, out),
        Datum::Enum { label, .. } => out.push_str(label),
        Datum::TimeTz(time) => format_timetz(time, out),
        Datum::Bits(bits) => bits::format_bits(bits, out),
        Datum::Inet(inet) => network::format_inet(inet, *typ == ScalarType::Cidr, out),
        Datum::Range(range) => range::format_range(range, &subtype(typ), settings, out),
        Datum::Multirange(ranges) => {
            range::format_multirange(ranges, &subtype(typ), settings, out);
        }
        Datum::List(elements) => collection::format_list(*elements, typ, settings, out),
        Datum::Map(entries) => collection::format_map(*entries, typ, settings, out),
    }
}

/// The type of a range's bounds. Their text depends on it no more than on the datum.
fn subtype(typ: &ScalarType) -> ScalarType {
    match typ {
        ScalarType::Range(kind) | ScalarType::Multirange(kind) => kind.subtype(),
        _ => ScalarType::Unknown,
    }
}

fn format_unsigned(value: u64, typ: &ScalarType, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match typ {
        ScalarType::Macaddr => {
            network::format_hardware(value, 6, out);
            Ok(())
        }
        ScalarType::Macaddr8 => {
            network::format_hardware(value, 8, out);
            Ok(())
        }
        ScalarType::PgLsn => write!(out, "{:X}/{:X}", value >> 32, value & 0xffff_ffff),
        _ => write!(out, "{value}"),
    };
}

/// The text of a value; empty for NULL.
pub fn format(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings) -> String {
    let mut out = String::new();
    format_into(datum, typ, settings, &mut out);
    out
}

#[cfg(test)]
mod tests;
