//! Minimum and maximum, in a tree of buckets, so that one change in a big group looks at few
//! values only.
//!
//! ```text
//! (key, value)  →  one of 4096 buckets by the value's hash  →  best of each
//!               →  one of 64 buckets                        →  best of each  →  best
//! ```

use std::cmp::Ordering;

use differential_dataflow::Hashable;
use tidemill_expr::EvalError;
use tidemill_repr::{Datum, Diff, Row, RowBuilder, RowRef};

use crate::render::Context;
use crate::render::bundle::{arrange, read_spans};
use crate::render::errors::tag;
use crate::render::reduce::reduce_rows;
use crate::render::time::RenderTime;
use crate::typedefs::{KeyedRows, RowArranged};

/// Buckets of each level.
const LEVELS: [u64; 2] = [4096, 64];

/// The least or greatest value of each key; NULL only if there is nothing else.
pub fn render<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    input: KeyedRows<'scope, T>,
    greatest: bool,
) -> RowArranged<'scope, T> {
    let mut current = input;
    for buckets in LEVELS {
        // The key goes last, because its end is not marked; the bucket has a fixed length.
        let mut builder = RowBuilder::new();
        let bucketed = current.map(move |(key, value)| {
            let bucket = (value.hashed() % buckets) as u16;
            builder.push_encoded(&bucket.to_be_bytes());
            builder.push_encoded(key.bytes());
            (builder.finish(), value)
        });
        let best = reduce_rows(
            arrange(bucketed, "Arrange: bucket"),
            "Reduce: bucket",
            move |_, input, output| {
                // Errors travel on as values that are no row: see `best`.
                if let Some(value) = best(input, greatest) {
                    output.push((value, 1));
                }
            },
        );
        let (stream, _) =
            read_spans(best.stream, "Bucket", None, context.bounds, |key, value, emit| {
                let key = Row::from_bytes(key.bytes().get(2..).unwrap_or_default());
                emit(Ok((key, value.to_owned())));
            });
        current = stream;
    }
    reduce_rows(arrange(current, "Arrange: extreme"), "Reduce: extreme", move |_, input, output| {
        let Some(value) = best(input, greatest) else { return };
        let result = if value.bytes().first() == Some(&NEGATIVE) {
            Err(EvalError::NegativeMultiplicity)
        } else {
            Ok(value)
        };
        output.push((tag(&result), 1));
    })
}

/// Stands in a value's place if a count was negative; no datum starts with it.
const NEGATIVE: u8 = 0;

fn best(input: &[(RowRef<'_>, Diff)], greatest: bool) -> Option<Row> {
    let negative = |(value, count): &(RowRef<'_>, Diff)| {
        *count < 0 || value.bytes().first() == Some(&NEGATIVE)
    };
    if input.iter().any(negative) {
        return Some(Row::from_bytes(&[NEGATIVE]));
    }
    let values = input.iter().map(|(value, _)| *value);
    // NULL is the last in order of bytes.
    let mut present = values.clone().filter(|value| !is_null(*value));
    let chosen = if input.first().is_some_and(|(value, _)| is_byte_ordered(*value)) {
        if greatest { present.next_back() } else { present.next() }
    } else if greatest {
        present.max_by(|a, b| compare(*a, *b))
    } else {
        present.min_by(|a, b| compare(*a, *b))
    };
    chosen.or_else(|| values.into_iter().next()).map(|value| value.to_owned())
}

fn is_null(value: RowRef<'_>) -> bool {
    value.iter().next().is_none_or(|datum| datum.is_null())
}

fn is_byte_ordered(value: RowRef<'_>) -> bool {
    !matches!(
        value.iter().next(),
        Some(
            Datum::Bytes(_)
                | Datum::Jsonb(_)
                | Datum::Array(_)
                | Datum::Record(_)
                | Datum::Bits(_)
                | Datum::Inet(_)
                | Datum::Range(_)
                | Datum::Multirange(_)
                | Datum::List(_)
                | Datum::Map(_)
        )
    )
}

fn compare(left: RowRef<'_>, right: RowRef<'_>) -> Ordering {
    match (left.iter().next(), right.iter().next()) {
        (Some(left_datum), Some(right_datum)) => {
            left_datum.sql_cmp(&right_datum).then_with(|| left.cmp(&right))
        }
        _ => left.cmp(&right),
    }
}
