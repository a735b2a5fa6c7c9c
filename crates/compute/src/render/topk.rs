//! The first rows of each group in an order.
//!
//! With a small limit it works in a tree of buckets, like `extreme`: each bucket passes on the
//! rows that may be among the first of the group, so that one change in a big group looks at few
//! rows only.

use std::cmp::Ordering;

use bumpalo::Bump;
use differential_dataflow::Hashable;
use tidemill_expr::{EvalContext, EvalError, ScalarExpr};
use tidemill_plan::ColumnOrder;
use tidemill_repr::{Datum, Diff, Row, RowBuilder, RowRef};

use crate::render::Context;
use crate::render::bundle::{Bundle, arrange, read_spans};
use crate::render::errors::{decode_error, encode_error, split_map};
use crate::render::evaluator::{RowEvaluator, decode, guard};
use crate::render::reduce::reduce_rows;
use crate::render::time::RenderTime;
use crate::typedefs::{Errors, KeyedRows, Rows};

/// Buckets of each level.
const LEVELS: [u64; 2] = [4096, 64];
/// Above this many rows buckets do not pay.
const SMALL: u64 = 256;

/// What to keep of each group.
#[derive(Clone)]
pub struct Shape {
    group_key: Vec<usize>,
    order_by: Vec<ColumnOrder>,
    limit: Option<ScalarExpr>,
    offset: u64,
}

impl Shape {
    /// The parts of a plan's TopK.
    pub fn new(
        group_key: &[usize],
        order_by: &[ColumnOrder],
        limit: Option<&ScalarExpr>,
        offset: u64,
    ) -> Shape {
        Shape {
            group_key: group_key.to_vec(),
            order_by: order_by.to_vec(),
            limit: limit.cloned(),
            offset,
        }
    }

    /// The limit of the group that has this row.
    fn limit_of(&self, row: RowRef<'_>) -> Result<Option<u64>, EvalError> {
        let Some(limit) = &self.limit else { return Ok(None) };
        guard(|| {
            let arena = Bump::new();
            let datums = decode(&[row]);
            Ok(match limit.eval(&datums, EvalContext { arena: &arena })? {
                Datum::Int(limit) => Some(u64::try_from(limit).unwrap_or(0)),
                _ => None,
            })
        })
    }

    /// How many rows a bucket must pass on, if that is the same small number for all groups.
    fn bucket_rows(&self) -> Option<u64> {
        let literal = matches!(self.limit, Some(ScalarExpr::Literal(..)));
        let limit =
            if literal { self.limit_of(Row::default().as_ref()).ok()?? } else { return None };
        limit.checked_add(self.offset).filter(|rows| *rows <= SMALL)
    }

    /// The order of two rows: by the keys, then by bytes.
    fn compare(&self, left: &Sorted<'_>, right: &Sorted<'_>) -> Ordering {
        for (order, (a, b)) in self.order_by.iter().zip(left.keys.iter().zip(&right.keys)) {
            let ordering = match (a.is_null(), b.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) if order.direction.nulls_first => Ordering::Less,
                (true, false) => Ordering::Greater,
                (false, true) if order.direction.nulls_first => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if order.direction.descending => b.sql_cmp(a),
                (false, false) => a.sql_cmp(b),
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        left.row.cmp(&right.row)
    }
}

/// A row with the values it is ordered by.
struct Sorted<'a> {
    keys: Vec<Datum<'a>>,
    row: RowRef<'a>,
    count: Diff,
}

/// Keeps the first rows of each group.
pub fn render<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    (rows, errors): (Rows<'scope, T>, Errors<'scope, T>),
    shape: &Shape,
) -> Bundle<'scope, T> {
    let columns: Vec<_> =
        shape.group_key.iter().map(|column| ScalarExpr::Column(*column)).collect();
    let mut group = RowEvaluator::new(&columns);
    let (keyed, more) = split_map(rows, "TopK: group", move |row: Row, emit| {
        emit(group.evaluate(&[row.as_ref()]).map(|key| (key, row)));
    });
    let mut current = keyed;
    if let Some(keep) = shape.bucket_rows() {
        for buckets in LEVELS {
            current = render_level(context, current, shape, buckets, keep);
        }
    }
    let last = shape.clone();
    let chosen = reduce_rows(arrange(current, "Arrange: TopK"), "TopK", move |_, input, output| {
        choose(&last, input, last.offset, None, output);
    });
    let (rows, late) =
        read_spans(chosen.stream, "TopK: rows", None, context.bounds, |_, row, emit| {
            emit(from_marked(row));
        });
    Bundle::from_stream(rows, errors.concat(more).concat(late))
}

fn render_level<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    input: KeyedRows<'scope, T>,
    shape: &Shape,
    buckets: u64,
    keep: u64,
) -> KeyedRows<'scope, T> {
    let mut builder = RowBuilder::new();
    let bucketed = input.map(move |(key, row)| {
        let bucket = (row.hashed() % buckets) as u16;
        builder.push_encoded(&bucket.to_be_bytes());
        builder.push_encoded(key.bytes());
        (builder.finish(), row)
    });
    let shape = shape.clone();
    let kept = reduce_rows(
        arrange(bucketed, "Arrange: TopK bucket"),
        "TopK bucket",
        move |_, input, output| choose(&shape, input, 0, Some(keep), output),
    );
    let (stream, _) =
        read_spans(kept.stream, "TopK bucket", None, context.bounds, |key, row, emit| {
            let key = Row::from_bytes(key.bytes().get(2..).unwrap_or_default());
            emit(Ok((key, row.to_owned())));
        });
    stream
}

/// Puts out the rows after the first `offset`, up to the limit (`keep`, or the shape's own).
fn choose(
    shape: &Shape,
    input: &[(RowRef<'_>, Diff)],
    offset: u64,
    keep: Option<u64>,
    output: &mut Vec<(Row, Diff)>,
) {
    let Some((first, _)) = input.first() else { return };
    if input.iter().any(|(_, count)| *count < 0) {
        output.push((marked(&EvalError::NegativeMultiplicity), 1));
        return;
    }
    if first.bytes().first() == Some(&MARK) {
        output.push((first.to_owned(), 1));
        return;
    }
    let limit = match keep {
        Some(keep) => Some(keep),
        None => match shape.limit_of(*first) {
            Ok(limit) => limit,
            Err(error) => {
                output.push((marked(&error), 1));
                return;
            }
        },
    };
    let mut rows: Vec<Sorted<'_>> = input
        .iter()
        .map(|(row, count)| {
            let datums = decode(&[*row]);
            let key =
                |order: &ColumnOrder| datums.get(order.column).copied().unwrap_or(Datum::Null);
            Sorted { keys: shape.order_by.iter().map(key).collect(), row: *row, count: *count }
        })
        .collect();
    rows.sort_by(|a, b| shape.compare(a, b));
    let mut skip = offset;
    let mut left = limit.unwrap_or(u64::MAX);
    for sorted in rows {
        // Counts are positive here.
        let mut count = sorted.count.unsigned_abs();
        let skipped = count.min(skip);
        skip -= skipped;
        count = (count - skipped).min(left);
        left -= count;
        if count > 0 {
            output.push((sorted.row.to_owned(), i64::try_from(count).unwrap_or(i64::MAX)));
        }
        if left == 0 {
            break;
        }
    }
}

/// Marks an error in the place of a row; no row starts with it.
const MARK: u8 = 0;

fn marked(error: &EvalError) -> Row {
    let mut bytes = vec![MARK];
    bytes.extend_from_slice(encode_error(error).bytes());
    Row::from_bytes(&bytes)
}

fn from_marked(row: RowRef<'_>) -> Result<Row, EvalError> {
    match row.bytes().split_first() {
        Some((&MARK, error)) => Err(decode_error(RowRef::from_bytes(error))),
        _ => Ok(row.to_owned()),
    }
}
