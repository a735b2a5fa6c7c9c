//! What the changes of one moment look like to the client of a subscription.

use std::collections::BTreeMap;

use tidemill_repr::{Datum, Diff, Row, RowBuilder, Tick};
use tidemill_sql::plan::{SubscribeForm, SubscribeKey};

use super::tick_datum;
use crate::finish::compare;

/// The columns that all rows begin with: `mz_timestamp, [mz_progressed]`.
pub(super) fn begin(builder: &mut RowBuilder, tick: Tick, progress: Option<bool>) {
    builder.push(tick_datum(tick));
    if let Some(progressed) = progress {
        builder.push(Datum::Bool(progressed));
    }
}

/// The rows for all changes of one tick.
pub(super) fn rows(
    form: &SubscribeForm,
    tick: Tick,
    progress: Option<bool>,
    changes: &[(Row, Tick, Diff)],
) -> Vec<Row> {
    match form {
        SubscribeForm::Diffs(order) => {
            let mut rows: Vec<Row> =
                changes.iter().map(|(row, _, diff)| with_diff(row, *diff)).collect();
            if !order.is_empty() {
                rows.sort_by(|a, b| compare(order, &a.unpack(), &b.unpack()));
            }
            let behind = |row: Row| {
                let mut builder = RowBuilder::new();
                begin(&mut builder, tick, progress);
                builder.push_encoded(row.bytes());
                builder.finish()
            };
            rows.into_iter().map(behind).collect()
        }
        SubscribeForm::Upsert(key) => by_key(key, changes, |state, key_row, change| {
            let mut builder = RowBuilder::new();
            begin(&mut builder, tick, progress);
            builder.push(Datum::Text(if state == "insert" { "upsert" } else { state }));
            builder.push_encoded(key_row.bytes());
            push_others(&mut builder, key, change.after);
            builder.finish()
        }),
        SubscribeForm::Debezium(key) => by_key(key, changes, |state, key_row, change| {
            let mut builder = RowBuilder::new();
            begin(&mut builder, tick, progress);
            builder.push(Datum::Text(state));
            builder.push_encoded(key_row.bytes());
            push_others(&mut builder, key, change.before);
            push_others(&mut builder, key, change.after);
            builder.finish()
        }),
    }
}

fn with_diff(row: &Row, diff: Diff) -> Row {
    let mut builder = RowBuilder::new();
    builder.push(Datum::Int(diff));
    builder.push_encoded(row.bytes());
    builder.finish()
}

/// The rows of one key that went and came in one tick, while it has at most one at a time.
#[derive(Clone, Copy, Default)]
struct Change<'r> {
    before: Option<&'r Row>,
    after: Option<&'r Row>,
    /// There were several.
    is_violated: bool,
}

/// One row for each key, in their order.
fn by_key(
    key: &SubscribeKey,
    changes: &[(Row, Tick, Diff)],
    make: impl Fn(&'static str, &Row, Change<'_>) -> Row,
) -> Vec<Row> {
    let mut keys: BTreeMap<Row, Change<'_>> = BTreeMap::new();
    for (row, _, diff) in changes {
        let datums = row.unpack();
        let own = key.key.iter().filter_map(|column| datums.get(*column).copied());
        let change = keys.entry(Row::pack(own)).or_default();
        let place = if *diff > 0 { &mut change.after } else { &mut change.before };
        change.is_violated |= diff.abs() != 1 || place.is_some();
        *place = Some(row);
    }
    let state = |change: &Change<'_>| match (change.before, change.after) {
        _ if change.is_violated => "key_violation",
        (_, None) => "delete",
        (None, Some(_)) => "insert",
        (Some(_), Some(_)) => "upsert",
    };
    keys.iter()
        .map(|(key, change)| match state(change) {
            "key_violation" => make("key_violation", key, Change::default()),
            state => make(state, key, *change),
        })
        .collect()
}

/// The columns beside the key; NULLs for no row.
fn push_others(builder: &mut RowBuilder, key: &SubscribeKey, row: Option<&Row>) {
    match row {
        None => builder.extend(key.others.iter().map(|_| Datum::Null)),
        Some(row) => {
            let datums = row.unpack();
            builder.extend(key.others.iter().filter_map(|column| datums.get(*column).copied()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int_row(values: &[i64]) -> Row {
        Row::pack(values.iter().map(|value| Datum::Int(*value)))
    }

    fn changes(of: &[(&[i64], Diff)]) -> Vec<(Row, Tick, Diff)> {
        of.iter().map(|(values, diff)| (int_row(values), Tick(7), *diff)).collect()
    }

    fn shown(form: &SubscribeForm, of: &[(&[i64], Diff)]) -> Vec<String> {
        let rows = rows(form, Tick(7), None, &changes(of));
        rows.iter().map(|row| format!("{:?}", &row.unpack()[1..])).collect()
    }

    #[test]
    fn keys_have_one_row_or_violate() {
        let key = SubscribeKey { key: vec![1], others: vec![0] };
        let of: [(&[i64], Diff); 8] = [
            (&[10, 1], 1),
            (&[20, 2], -1),
            (&[30, 3], -1),
            (&[31, 3], 1),
            (&[40, 4], 1),
            (&[41, 4], 1),
            (&[50, 5], 2),
            (&[60, 6], -2),
        ];
        assert_eq!(
            shown(&SubscribeForm::Upsert(key.clone()), &of),
            [
                "[Text(\"upsert\"), Int(1), Int(10)]",
                "[Text(\"delete\"), Int(2), Null]",
                "[Text(\"upsert\"), Int(3), Int(31)]",
                "[Text(\"key_violation\"), Int(4), Null]",
                "[Text(\"key_violation\"), Int(5), Null]",
                "[Text(\"key_violation\"), Int(6), Null]",
            ]
        );
        assert_eq!(
            shown(&SubscribeForm::Debezium(key), &of[..4]),
            [
                "[Text(\"insert\"), Int(1), Null, Int(10)]",
                "[Text(\"delete\"), Int(2), Int(20), Null]",
                "[Text(\"upsert\"), Int(3), Int(30), Int(31)]",
            ]
        );
    }
}
