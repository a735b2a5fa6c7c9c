//! Every type from its text and to its text, by the formats of `repr::text`.

use std::cell::RefCell;
use std::sync::LazyLock;

use tidemill_repr::text::{TextSettings, format_into, parse_into};
use tidemill_repr::{ColumnType, Datum, RangeKind, RowBuilder, ScalarType, SqlError};

use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, text};
use crate::resolve;
use crate::scalar::EvalContext;

static NO_ZONE: LazyLock<TextSettings> = LazyLock::new(TextSettings::default);
static CIDR: LazyLock<ColumnType> = LazyLock::new(|| ColumnType::new(ScalarType::Cidr));

thread_local! {
    /// The type that was asked for last, and how it is written.
    static LAST_TYPE: RefCell<(String, ColumnType)> =
        RefCell::new((String::new(), ColumnType::new(ScalarType::Text)));
}

/// Runs with the type that the second argument writes, and the settings of the third.
fn with_type<'a>(
    a: &[Datum<'a>],
    run: impl FnOnce(&ColumnType, &TextSettings) -> Evaluated<'a>,
) -> Evaluated<'a> {
    let written = text(a, 1)?;
    let settings = settings(a.get(1..).unwrap_or_default());
    LAST_TYPE.with_borrow_mut(|(last, typ)| {
        if last != written {
            let read = serde_json::from_str(written).map_err(SqlError::internal)?;
            *typ = ColumnType::new(read);
            written.clone_into(last);
        }
        run(typ, settings.as_ref().unwrap_or(&NO_ZONE))
    })
}

/// The type that a datum's text is made by, where only the datum is known.
fn apparent_type(datum: &Datum<'_>) -> ScalarType {
    match datum {
        Datum::Null | Datum::Text(_) => ScalarType::Text,
        Datum::Bool(_) => ScalarType::Bool,
        Datum::Int(_) => ScalarType::Int8,
        Datum::Float4(_) => ScalarType::Float4,
        Datum::Float8(_) => ScalarType::Float8,
        Datum::Numeric(_) => ScalarType::Numeric,
        Datum::Bytes(_) => ScalarType::Bytea,
        Datum::Date(_) => ScalarType::Date,
        Datum::Time(_) => ScalarType::Time,
        Datum::Timestamp(_) => ScalarType::Timestamp,
        Datum::TimestampTz(_) => ScalarType::TimestampTz,
        Datum::Interval(_) => ScalarType::Interval,
        Datum::Uuid(_) => ScalarType::Uuid,
        Datum::Jsonb(_) => ScalarType::Jsonb,
        Datum::Array(array) => {
            let element = array.elements().find(|element| !element.is_null());
            ScalarType::Array(Box::new(apparent_type(&element.unwrap_or(Datum::Null))))
        }
        Datum::Record(row) => {
            ScalarType::Record(row.iter().map(|field| apparent_type(&field)).collect())
        }
        Datum::UInt(_) => ScalarType::UInt8,
        Datum::TimeTz(_) => ScalarType::TimeTz,
        Datum::Bits(_) => ScalarType::Varbit,
        Datum::Inet(_) => ScalarType::Inet,
        // The text of a bound does not depend on the kind of range.
        Datum::Range(_) => ScalarType::Range(RangeKind::Numeric),
        Datum::Multirange(_) => ScalarType::Multirange(RangeKind::Numeric),
        Datum::List(elements) => {
            let element = elements.iter().find(|element| !element.is_null());
            ScalarType::List(Box::new(apparent_type(&element.unwrap_or(Datum::Null))))
        }
        Datum::Map(entries) => {
            let value = entries.iter().skip(1).step_by(2).find(|value| !value.is_null());
            ScalarType::Map(Box::new(apparent_type(&value.unwrap_or(Datum::Null))))
        }
        // The label is the text of every enum.
        Datum::Enum { .. } => ScalarType::Text,
    }
}

/// Appends a value's text as its type's output gives it; nothing for NULL. Times with a zone are
/// shown in UTC.
pub(crate) fn datum_text(datum: &Datum<'_>, out: &mut String) {
    match datum {
        Datum::Null => {}
        Datum::Text(text) => out.push_str(text),
        other => format_into(other, &apparent_type(other), &NO_ZONE, out),
    }
}

/// The settings with the zone that the planner gives as the last argument.
fn settings(a: &[Datum<'_>]) -> Option<TextSettings> {
    match a.get(1) {
        Some(Datum::Text(written)) => Some(TextSettings::from_argument(written)),
        _ => None,
    }
}

fn read<'a>(typ: &ColumnType, a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut builder = RowBuilder::new();
    let settings = settings(a);
    parse_into(typ, text(a, 0)?, settings.as_ref().unwrap_or(&NO_ZONE), &mut builder)?;
    Ok(context.built(&builder))
}

fn show<'a>(typ: &ColumnType, a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut out = String::new();
    let settings = settings(a);
    if let Some(datum) = a.first() {
        format_into(datum, &typ.scalar_type, settings.as_ref().unwrap_or(&NO_ZONE), &mut out);
    }
    Ok(context.text(&out))
}

/// Input and output of a type and of its arrays.
macro_rules! values {
    ($d:ident: $($variant:ident $(($kind:ident))?)*) => {
        $({
            static ONE: LazyLock<ColumnType> =
                LazyLock::new(|| ColumnType::new(ScalarType::$variant $((RangeKind::$kind))?));
            static MANY: LazyLock<ColumnType> = LazyLock::new(|| {
                let element = ScalarType::$variant $((RangeKind::$kind))?;
                ColumnType::new(ScalarType::Array(Box::new(element)))
            });
            let typ = ONE.scalar_type.clone();
            let show_one: Eval = match &typ {
                // With the length of the prefix always.
                ScalarType::Inet => |a, c| show(&CIDR, a, c),
                ScalarType::Bool => |a, c| match a.first() {
                    Some(Datum::Bool(true)) => Ok(c.text("true")),
                    _ => Ok(c.text("false")),
                },
                _ => |a, c| show(&ONE, a, c),
            };
            add($d, &typ, |a, c| read(&ONE, a, c), show_one);
            add_array($d, &typ, |a, c| read(&MANY, a, c), |a, c| show(&MANY, a, c));
        })*
    };
}

/// Whether the text of a type depends on the session's settings.
fn needs_zone(typ: &ScalarType) -> bool {
    matches!(
        typ,
        ScalarType::TimestampTz
            | ScalarType::TimeTz
            | ScalarType::MzTimestamp
            | ScalarType::Date
            | ScalarType::Time
            | ScalarType::Timestamp
            | ScalarType::Interval
            | ScalarType::Bytea
            | ScalarType::Float4
            | ScalarType::Float8
            | ScalarType::Range(RangeKind::TimestampTz | RangeKind::Timestamp | RangeKind::Date)
            | ScalarType::Multirange(
                RangeKind::TimestampTz | RangeKind::Timestamp | RangeKind::Date
            )
    )
}

fn add(d: &mut Definitions, typ: &ScalarType, read: Eval, show: Eval) {
    let name = typ.pg_name();
    let zone = needs_zone(typ);
    let id = format!("text_to_{name}");
    let added = d.add(&id, &format!("{id}(text) -> {name}"), read, "A value from its text.");
    if zone {
        added.zone();
    }
    if *typ == ScalarType::Text {
        return;
    }
    let id = format!("{name}_to_text");
    let added = d.add(&id, &format!("{id}({name}) -> text"), show, "The text of a value.");
    if zone {
        added.zone();
    }
}

fn add_array(d: &mut Definitions, typ: &ScalarType, read: Eval, show: Eval) {
    let name = typ.pg_name();
    let zone = needs_zone(typ);
    let id = format!("text_to__{name}");
    let added = d.add(&id, &format!("{id}(text) -> {name}[]"), read, "An array from its text.");
    if zone {
        added.zone();
    }
    let id = format!("_{name}_to_text");
    let added = d.add(&id, &format!("{id}({name}[]) -> text"), show, "The text of an array.");
    if zone {
        added.zone();
    }
}

pub(super) fn define(d: &mut Definitions) {
    values!(d: Bool Bytea InternalChar Name Int8 Int2 Int4 Regproc Text Oid Float4 Float8);
    values!(d: Bpchar Varchar Date Time Timestamp TimestampTz Interval Numeric Regclass Regtype);
    values!(d: Uuid Jsonb Json Jsonpath TimeTz Money Bit Varbit Inet Cidr Macaddr Macaddr8 Xid PgLsn);
    values!(d: UInt2 UInt4 UInt8 MzTimestamp Int2Vector OidVector Regprocedure Regnamespace);
    values!(d: Regrole Regoper Regoperator Regcollation);
    values!(d: Range(Int4) Range(Int8) Range(Numeric) Range(Date) Range(Timestamp));
    values!(d: Multirange(Int4) Multirange(Int8) Multirange(Numeric) Multirange(Date));
    values!(d: Multirange(Timestamp) Range(TimestampTz) Multirange(TimestampTz));
    d.add(
        resolve::TEXT_TO_TYPED,
        "text_to_typed(text, text) -> anyelement",
        |a, c| {
            with_type(a, |typ, settings| {
                let mut builder = RowBuilder::new();
                parse_into(typ, text(a, 0)?, settings, &mut builder)?;
                Ok(c.built(&builder))
            })
        },
        "A value from its text and its type.",
    )
    .zone();
    d.add(
        resolve::TYPED_TO_TEXT,
        "typed_to_text(any, text) -> text",
        |a, c| {
            with_type(a, |typ, settings| {
                let mut out = String::new();
                if let Some(datum) = a.first() {
                    format_into(datum, &typ.scalar_type, settings, &mut out);
                }
                Ok(c.text(&out))
            })
        },
        "The text of a value of a type.",
    )
    .zone();
    let record: Eval = |a, c| {
        let mut out = String::new();
        a.iter().take(1).for_each(|datum| datum_text(datum, &mut out));
        Ok(c.text(&out))
    };
    d.add("record_to_text", "record_to_text(record) -> text", record, "The text of a record.");
}
