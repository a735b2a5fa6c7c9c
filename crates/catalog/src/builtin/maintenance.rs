//! `mz_internal`: how and how long content is kept.

use tidemill_repr::{ColumnType, Datum, Interval, Row, RowBuilder, ScalarType, text};

use super::{Builtin, Content};
use crate::item::{Definition, Item};
use crate::refresh::Refresh;
use crate::snapshot::Catalog;

/// How much history is kept of what says nothing else, in milliseconds.
const USUAL_HISTORY: u64 = 2_000;

/// The relations.
pub(super) const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 1101,
        schema: "mz_internal",
        name: "mz_materialized_view_refresh_strategies",
        columns: "materialized_view_id text, type text, interval interval?, \
                  aligned_to timestamptz?, at timestamptz?",
        content: Content::Items(refresh_strategies),
    },
    Builtin {
        number: 1102,
        schema: "mz_internal",
        name: "mz_history_retention_strategies",
        columns: "id text, strategy text, value jsonb",
        content: Content::Items(retention_strategies),
    },
];

/// Milliseconds from 1970 to 2000.
const EPOCH_MILLIS: i64 = 946_684_800_000;

fn time(millis: u64) -> Datum<'static> {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    Datum::TimestampTz(millis.saturating_sub(EPOCH_MILLIS).saturating_mul(1000))
}

/// A time span in milliseconds as an interval.
pub(super) fn span(millis: u64) -> Datum<'static> {
    let days = i32::try_from(millis / 86_400_000).unwrap_or(i32::MAX);
    let micros = i64::try_from(millis % 86_400_000).unwrap_or(0) * 1000;
    Datum::Interval(Interval { months: 0, days, micros })
}

fn refresh_strategies(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let Definition::MaterializedView(view) = &item.definition else { return };
    let id = item.id.to_string();
    let mut push = |kind: &str, rest: [Datum<'_>; 3]| {
        rows.push(Row::pack([Datum::Text(&id), Datum::Text(kind)].into_iter().chain(rest)));
    };
    let Some(refresh) = &view.refresh else {
        push("on-commit", [Datum::Null; 3]);
        return;
    };
    let Refresh { created, at_creation, at, every } = refresh;
    let created = *created;
    for at in at.iter().copied().chain(at_creation.then_some(created)) {
        push("at", [Datum::Null, Datum::Null, time(at)]);
    }
    for every in every {
        let aligned_to = every.aligned_to.unwrap_or(created);
        push("every", [span(every.interval), time(aligned_to), Datum::Null]);
    }
}

fn retention_strategies(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let keeps = matches!(
        item.definition,
        Definition::Table(_) | Definition::MaterializedView(_) | Definition::Index(_)
    );
    if !keeps {
        return;
    }
    let value = item.retain_history().unwrap_or(USUAL_HISTORY).to_string();
    let mut row = RowBuilder::new();
    row.push(Datum::Text(&item.id.to_string()));
    row.push(Datum::Text("FOR"));
    let typ = ColumnType::new(ScalarType::Jsonb);
    let settings = text::TextSettings::default();
    if text::parse_into(&typ, &value, &settings, &mut row).is_ok() {
        rows.push(row.finish());
    }
}
