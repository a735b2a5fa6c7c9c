//! What PostgreSQL's clients ask of the server: names of types and encodings, sizes for people.

use std::fmt::Write;

use tidemill_repr::{ColumnType, Datum, Oid, ScalarType, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, int, out_of_range, text};
use crate::scalar::EvalContext;

/// The number of the encoding UTF8, the only one there is.
const UTF8: i64 = 6;

/// Units of [`size_pretty`], each with what one is of the one before.
pub(super) const UNITS: &[&str] = &["bytes", "kB", "MB", "GB", "TB", "PB"];

fn format_type<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let Some(Datum::Int(oid)) = a.first() else { return Ok(Datum::Null) };
    let typmod = match a.get(1) {
        Some(Datum::Int(typmod)) => i32::try_from(*typmod).ok(),
        _ => None,
    };
    let oid = u32::try_from(*oid).unwrap_or(0);
    if oid == 0 {
        return Ok(Datum::Text("-"));
    }
    let Some(typ) = ScalarType::from_oid(Oid(oid)) else { return Ok(Datum::Text(pseudo(oid))) };
    Ok(Datum::Text(context.arena.alloc_str(&type_name(typ, typmod))))
}

/// A type as `format_type` shows it: without a modifier given, `character` is `character`.
fn type_name(typ: ScalarType, typmod: Option<i32>) -> String {
    match (typ, typmod) {
        (ScalarType::Array(element), typmod) => format!("{}[]", type_name(*element, typmod)),
        (typ, None) => typ.to_string(),
        (typ, Some(typmod)) => ColumnType::new(typ).with_typmod(typmod).sql_name(),
    }
}

/// Types that are there for signatures only.
fn pseudo(oid: u32) -> &'static str {
    match oid {
        2249 => "record",
        2276 => "\"any\"",
        2277 => "anyarray",
        2278 => "void",
        2283 => "anyelement",
        2776 => "anynonarray",
        3831 => "anyrange",
        16_384 => "list",
        16_385 => "map",
        16_386 => "anylist",
        16_387 => "anymap",
        4537 => "anymultirange",
        _ => "???",
    }
}

/// As PostgreSQL: the next unit from 10240 on, halves rounded away from zero.
fn size_pretty<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut size = i128::from(int(a, 0)?);
    let mut unit = 0;
    // Halves of a unit, so that rounding is done once.
    let mut halves = size * 2;
    while halves.abs() >= 20 * 1024 - 1 && unit + 1 < UNITS.len() {
        halves /= 1024;
        unit += 1;
    }
    if unit > 0 {
        size = (halves + halves.signum()) / 2;
    }
    let mut shown = String::new();
    let _ = write!(shown, "{size} {}", UNITS[unit]);
    Ok(Datum::Text(context.arena.alloc_str(&shown)))
}

/// The error for a name of nothing, in the words that its type has for it.
fn no_such_object<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let (kind, name) = (text(a, 0)?, text(a, 1)?);
    let (code, what) = match kind {
        "regclass" => (SqlState::UNDEFINED_TABLE, "relation"),
        "regtype" => (SqlState::UNDEFINED_OBJECT, "type"),
        "regnamespace" => (SqlState::INVALID_SCHEMA_NAME, "schema"),
        "regrole" => (SqlState::UNDEFINED_OBJECT, "role"),
        "regcollation" => (SqlState::UNDEFINED_OBJECT, "collation"),
        "regoper" | "regoperator" => (SqlState::UNDEFINED_FUNCTION, "operator"),
        _ => (SqlState::UNDEFINED_FUNCTION, "function"),
    };
    Err(EvalError::invalid(code, format!("{what} \"{name}\" does not exist")))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "The error for a name that nothing has.";
    d.add("no_such_object", "no_such_object(text, text) -> oid", no_such_object, doc);
    d.add(
        "mz_now",
        "mz_now() -> mz_timestamp",
        |_, _| {
            let message = "mz_now() cannot be used here";
            Err(EvalError::invalid(SqlState::FEATURE_NOT_SUPPORTED, message))
        },
        "The tick at which the query is read; in what is maintained, each tick.",
    )
    .volatile();
    d.add(
        "format_type",
        "format_type(oid, int4) -> text",
        format_type,
        "The name of a type with its modifier, as SQL writes it.",
    )
    .sees_null()
    .safe();
    let to_char: Eval = |a, c| {
        let code = i8::try_from(int(a, 0)?).map_err(|_| out_of_range("\"char\""))?;
        Ok(match u8::try_from(code) {
            Ok(0) => Datum::Text(""),
            Ok(code) => c.text(&char::from(code).to_string()),
            // Bytes beyond ASCII are shown in octal digits.
            Err(_) => c.text(&format!("\\{:03o}", code.cast_unsigned())),
        })
    };
    let doc = "The character of a code.";
    d.add("i4tochar", "char(int4) -> char", to_char, doc).cast(CastContext::Explicit);
    d.add(
        "pg_is_wal_replay_paused",
        "pg_is_wal_replay_paused() -> bool",
        |_, _| {
            let message = "recovery is not in progress";
            Err(EvalError::invalid(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
        },
        "Whether a standby's recovery is paused: an error, for there is none.",
    )
    .volatile();
    d.add(
        "setting_by_name",
        "setting_by_name(text) -> text",
        |a, _| {
            let message = format!("unrecognized configuration parameter \"{}\"", text(a, 0)?);
            Err(EvalError::invalid(SqlState::UNDEFINED_OBJECT, message))
        },
        "The error of a setting that there is not.",
    );
    d.add(
        "PG_encoding_to_char",
        "pg_encoding_to_char(int4) -> name",
        |a, _| Ok(Datum::Text(if int(a, 0)? == UTF8 { "UTF8" } else { "" })),
        "The name of an encoding.",
    );
    d.add(
        "PG_char_to_encoding",
        "pg_char_to_encoding(name) -> int4",
        |a, _| {
            let name = text(a, 0)?.to_uppercase();
            Ok(Datum::Int(if matches!(name.as_str(), "UTF8" | "UTF-8") { UTF8 } else { -1 }))
        },
        "The number of an encoding; -1 for one that is not known.",
    );
    d.add(
        "getdatabaseencoding",
        "getdatabaseencoding() -> name",
        |_, _| Ok(Datum::Text("UTF8")),
        "The name of the encoding of all databases.",
    )
    .safe();
    d.add(
        "pg_size_pretty",
        "pg_size_pretty(int8) -> text",
        size_pretty,
        "A number of bytes in the unit that shows it best.",
    );
}
