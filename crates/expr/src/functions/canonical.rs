//! One representative of all values that SQL calls equal.

use tidemill_repr::range::{MultirangeRef, RangeBound, RangeRef, push_multirange, push_range};
use tidemill_repr::{Datum, Interval, RowBuilder, RowRef};

use crate::functions::Definitions;
use crate::scalar::EvalContext;

/// The representative of a value. A text, or an array's text, loses its trailing blanks: only of
/// `character(n)` is a canonical form asked for. The texts in a record keep them.
pub fn canonical<'a>(datum: Datum<'a>, context: EvalContext<'a>) -> Datum<'a> {
    match datum {
        Datum::Float4(0.0) => Datum::Float4(0.0),
        Datum::Float4(value) if value.is_nan() => Datum::Float4(f32::NAN),
        Datum::Float8(0.0) => Datum::Float8(0.0),
        Datum::Float8(value) if value.is_nan() => Datum::Float8(f64::NAN),
        Datum::Numeric(value) => Datum::Numeric(value.canonical()),
        Datum::Interval(value) => Datum::Interval(canonical_interval(value)),
        Datum::Jsonb(value) => super::jsonb::canonical(value, context),
        Datum::Array(array) => {
            let mut builder = RowBuilder::new();
            let elements = array.elements().map(|element| canonical(element, context));
            builder.push_array(&array.dimensions(), elements);
            context.built(&builder)
        }
        Datum::Range(range) => {
            let mut bytes = Vec::new();
            push_canonical(range, context, &mut bytes);
            Datum::Range(RangeRef::from_bytes(context.arena.alloc_slice_copy(&bytes)))
        }
        Datum::Multirange(ranges) => {
            let encoded: Vec<Vec<u8>> = ranges
                .ranges()
                .map(|range| {
                    let mut bytes = Vec::new();
                    push_canonical(range, context, &mut bytes);
                    bytes
                })
                .collect();
            let mut bytes = Vec::new();
            push_multirange(&mut bytes, encoded.iter().map(|range| RangeRef::from_bytes(range)));
            Datum::Multirange(MultirangeRef::from_bytes(context.arena.alloc_slice_copy(&bytes)))
        }
        Datum::List(elements) => {
            let mut builder = RowBuilder::new();
            builder.extend(elements.iter().map(|element| canonical(element, context)));
            Datum::List(RowRef::from_bytes(context.arena.alloc_slice_copy(builder.bytes())))
        }
        Datum::Map(entries) => {
            let mut builder = RowBuilder::new();
            for (at, datum) in entries.iter().enumerate() {
                // Keys are texts that keep their blanks.
                builder.push(if at % 2 == 0 { datum } else { canonical(datum, context) });
            }
            Datum::Map(RowRef::from_bytes(context.arena.alloc_slice_copy(builder.bytes())))
        }
        Datum::Record(row) => {
            let mut builder = RowBuilder::new();
            builder.push_record(row.iter().map(|field| match field {
                Datum::Text(_) => field,
                _ => canonical(field, context),
            }));
            context.built(&builder)
        }
        Datum::Text(text) => Datum::Text(text.trim_end_matches(' ')),
        other => other,
    }
}

fn push_canonical<'a>(range: RangeRef<'a>, context: EvalContext<'a>, bytes: &mut Vec<u8>) {
    let of = |bound: Option<RangeBound<'a>>| {
        bound.map(|bound| RangeBound { value: canonical(bound.value, context), ..bound })
    };
    let made = (!range.is_empty()).then(|| range.bounds());
    push_range(bytes, made.map(|(lower, upper)| (of(lower), of(upper))));
}

/// As few months as an equal length needs none of: days of 24 hours and the rest.
fn canonical_interval(interval: Interval) -> Interval {
    const DAY: i128 = 86_400_000_000;
    let length = interval.comparison_value();
    let days = length / DAY;
    let micros = i64::try_from(length % DAY).unwrap_or(0);
    match i32::try_from(days) {
        Ok(days) => Interval { months: 0, days, micros },
        // Beyond the days that fit, months hold them.
        Err(_) => Interval {
            months: i32::try_from(days / 30).unwrap_or(i32::MAX),
            days: (days % 30) as i32,
            micros,
        },
    }
}

pub(super) fn define(d: &mut Definitions) {
    d.add(
        "canonical",
        "canonical(anyelement) -> anyelement",
        |a, c| Ok(a.first().map_or(Datum::Null, |datum| canonical(*datum, c))),
        "The one representative of all values equal to this one.",
    )
    .safe();
}
