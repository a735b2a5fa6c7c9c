//! The last steps of an answer: order, LIMIT, OFFSET and the columns that remain.

use std::cmp::Ordering;

use tidemill_plan::{ColumnOrder, Finishing};
use tidemill_repr::{Datum, Diff, Row, RowBuilder, SqlError, SqlState};

/// Compares two rows, decoded, by an order.
pub fn compare(order: &[ColumnOrder], left: &[Datum<'_>], right: &[Datum<'_>]) -> Ordering {
    for key in order {
        let (Some(a), Some(b)) = (left.get(key.column), right.get(key.column)) else { continue };
        let ordering = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if key.direction.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if key.direction.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if key.direction.descending => b.sql_cmp(a),
            (false, false) => a.sql_cmp(b),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

/// Puts rows in order, cuts them and leaves the columns asked for.
///
/// # Errors
/// A row is there less than no times.
pub fn finish(rows: Vec<(Row, Diff)>, finishing: &Finishing) -> Result<Vec<Row>, SqlError> {
    let mut expanded = Vec::with_capacity(rows.len());
    for (row, diff) in rows {
        if diff < 0 {
            return Err(negative_count());
        }
        for _ in 1..diff {
            expanded.push(row.clone());
        }
        if diff > 0 {
            expanded.push(row);
        }
    }
    if !finishing.order_by.is_empty() {
        expanded = sort(expanded, &finishing.order_by);
    }
    let offset = usize::try_from(finishing.offset).unwrap_or(usize::MAX);
    let limit = finishing.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let cut = expanded.into_iter().skip(offset).take(limit);
    Ok(project(cut, &finishing.project))
}

/// The error of a collection that lost rows it did not have.
pub fn negative_count() -> SqlError {
    SqlError::new(
        SqlState::DATA_CORRUPTED,
        "invalid data in source: a row was taken away that was not there",
    )
}

fn sort(rows: Vec<Row>, order: &[ColumnOrder]) -> Vec<Row> {
    let mut permutation: Vec<usize> = (0..rows.len()).collect();
    {
        let decoded: Vec<Vec<Datum<'_>>> = rows.iter().map(Row::unpack).collect();
        permutation.sort_by(|a, b| {
            compare(order, &decoded[*a], &decoded[*b]).then_with(|| rows[*a].cmp(&rows[*b]))
        });
    }
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    permutation.into_iter().filter_map(|index| rows[index].take()).collect()
}

fn project(rows: impl Iterator<Item = Row>, columns: &[usize]) -> Vec<Row> {
    let mut builder = RowBuilder::new();
    rows.map(|row| {
        let datums = row.unpack();
        let identity = columns.len() == datums.len() && columns.iter().copied().eq(0..datums.len());
        if identity {
            drop(datums);
            return row;
        }
        builder.extend(columns.iter().filter_map(|column| datums.get(*column).copied()));
        builder.finish()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use tidemill_expr::aggregate::SortDirection;

    use super::*;

    fn key(column: usize, descending: bool, nulls_first: bool) -> ColumnOrder {
        ColumnOrder { column, direction: SortDirection { descending, nulls_first } }
    }

    fn row(a: Option<i64>, b: i64) -> Row {
        Row::pack([a.map_or(Datum::Null, Datum::Int), Datum::Int(b)])
    }

    #[test]
    fn order_limit_offset_and_projection() {
        let rows = vec![(row(Some(1), 10), 2), (row(None, 20), 1), (row(Some(3), 30), 1)];
        let finishing = Finishing {
            order_by: vec![key(0, true, true)],
            limit: Some(2),
            offset: 1,
            project: vec![1],
        };
        let result = finish(rows, &finishing).unwrap();
        assert_eq!(result, [Row::pack([Datum::Int(30)]), Row::pack([Datum::Int(10)])]);
    }

    #[test]
    fn a_negative_count_is_an_error() {
        let error = finish(vec![(row(Some(1), 1), -1)], &Finishing::default()).unwrap_err();
        assert_eq!(error.code, SqlState::DATA_CORRUPTED);
    }
}
