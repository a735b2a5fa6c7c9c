//! Columns of the upstream's that a table takes on after others: what old rows have in them.
//!
//! The stream tells a column that was added only with rows that are written later. Old rows have
//! the default that was given with the column, or NULL, as long as nobody wrote them: so the
//! content of the table without the column is that of the table with it, if the column was added
//! while the table was followed, the table's storage is still the one it was, and each row that
//! came since had the default in it ([`Beside`]). Otherwise the table is read again upstream.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_repr::{ObjectId, Row, RowBatch, RowBuilder, RowRef, SqlError};
use tokio::sync::mpsc;

use crate::sink::{IngestSink, Rows};

use super::pgoutput::{Message, TupleValue};
use super::snapshot::SnapshotEvent;
use super::source::TableConfig;
use super::table::{ColumnDecoder, TableBinding, column_decoders, upstream_column};
use super::watch::{Storage, Watch};

/// What is known of the columns that a table does not carry.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    /// The storage, and the columns that were there, when the table was looked at first.
    storage: Storage,
    /// The values that rows brought in columns that came later.
    seen: BTreeMap<i16, Seen>,
}

/// The values of one column in all rows that came.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Null,
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Several,
}

impl Seen {
    fn of(value: Option<TupleValue<'_>>) -> Seen {
        match value {
            Some(TupleValue::Null) => Seen::Null,
            Some(TupleValue::Text(bytes)) => Seen::Text(bytes.to_vec()),
            Some(TupleValue::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Some(TupleValue::Unchanged) | None => Seen::Several,
        }
    }

    fn is(&self, value: Option<&TupleValue<'_>>) -> bool {
        match (self, value) {
            (Seen::Null, Some(TupleValue::Null)) => true,
            (Seen::Text(known), Some(TupleValue::Text(bytes)))
            | (Seen::Binary(known), Some(TupleValue::Binary(bytes))) => known == bytes,
            _ => false,
        }
    }
}

impl Beside {
    /// Takes in how the table's storage is now.
    pub(crate) fn look(known: &mut Option<Beside>, storage: Option<Storage>) {
        match (&*known, storage) {
            (Some(beside), Some(now)) if beside.storage.file == now.file => {}
            (_, Some(storage)) => *known = Some(Beside { storage, seen: BTreeMap::new() }),
            (_, None) => *known = None,
        }
    }

    /// Takes in a change. False: from here on nothing is known any more.
    #[must_use]
    pub(crate) fn note(&mut self, binding: &TableBinding, message: &Message<'_>) -> bool {
        let (Message::Insert { new, .. } | Message::Update { new, .. }) = message else {
            return true;
        };
        let Some(beside) = binding.beside() else { return false };
        for (attnum, place) in beside.iter().filter(|(attnum, _)| *attnum > self.storage.columns) {
            let value = new.iter().nth(*place);
            match self.seen.get_mut(attnum) {
                Some(seen) if *seen == Seen::Several || seen.is(value.as_ref()) => {}
                Some(seen) => *seen = Seen::Several,
                None => {
                    self.seen.insert(*attnum, Seen::of(value));
                }
            }
        }
        true
    }

    /// Whether all rows that came had a value that is this one.
    fn had_only(&self, attnum: i16, decoder: &ColumnDecoder, value: &Row) -> bool {
        let mut row = RowBuilder::new();
        let decoded = match self.seen.get(&attnum) {
            None => return true,
            Some(Seen::Several) => return false,
            Some(Seen::Null) => decoder.null(&mut row),
            Some(Seen::Text(bytes)) => decoder.text(bytes, &mut row),
            Some(Seen::Binary(bytes)) => decoder.binary(bytes, &mut row),
        };
        decoded.is_ok() && row.bytes() == value.bytes()
    }
}

/// Where a value of the new table's rows comes from.
pub(crate) enum Value {
    /// This column of the old row.
    Old(usize),
    /// It is the same for all.
    Same(Row),
}

/// What the rows that are there have in the columns of the new table. None: that is not sure.
pub(crate) async fn values(
    watch: &mut Watch,
    config: &TableConfig,
    columns: &[Option<usize>],
    beside: Option<&Beside>,
) -> Result<Option<Vec<Value>>, SqlError> {
    let decoders = column_decoders(config)?;
    let mut values = Vec::with_capacity(columns.len());
    for ((column, origin), decoder) in config.columns.iter().zip(columns).zip(&decoders) {
        if let Some(old) = origin {
            values.push(Value::Old(*old));
            continue;
        }
        let Some(beside) = beside.filter(|known| known.storage.columns < column.attnum) else {
            return Ok(None);
        };
        let found = watch.added_column(config.upstream.oid, column.attnum).await?;
        let Some(found) = found.filter(|found| found.file == beside.storage.file) else {
            return Ok(None);
        };
        let upstream = upstream_column(config, column.attnum)?;
        let typ = (found.attribute.type_oid, found.attribute.typmod);
        if typ != (upstream.type_oid.0, upstream.typmod) {
            return Ok(None);
        }
        let mut row = RowBuilder::new();
        match &found.missing {
            None => decoder.null(&mut row)?,
            Some(text) => decoder.text(text.as_bytes(), &mut row)?,
        }
        let value = row.finish();
        if !beside.had_only(column.attnum, decoder, &value) {
            return Ok(None);
        }
        values.push(Value::Same(value));
    }
    Ok(Some(values))
}

/// The content of a table on its way into another one.
pub(crate) struct Copying {
    sink: Arc<dyn IngestSink>,
    table: TableConfig,
    rows: Rows,
    values: Vec<Value>,
}

/// How many bytes go to the writer at once.
const BATCH_BYTES: usize = 4 << 20;

impl Copying {
    pub(crate) fn new(
        sink: Arc<dyn IngestSink>,
        table: &TableConfig,
        rows: Rows,
        values: Vec<Value>,
    ) -> Copying {
        Copying { sink, table: table.clone(), rows, values }
    }

    /// Copies, and says how that went.
    pub(crate) async fn run(mut self, events: mpsc::UnboundedSender<SnapshotEvent>) {
        let table: ObjectId = self.table.id;
        let copied = self.copy().await;
        let _ = events.send(SnapshotEvent::Copied { table, copied });
    }

    async fn copy(&mut self) -> Result<(Vec<String>, u64, u64), SqlError> {
        let types: Vec<_> = self.table.columns.iter().map(|column| column.typ.clone()).collect();
        let mut writer = self.sink.part_writer(self.table.id, &types).await?;
        let mut out = RowBatch::new();
        let (mut count, mut bytes) = (0i64, 0u64);
        let mut builder = RowBuilder::new();
        while let Some(batch) = self.rows.recv().await {
            for (row, diff) in batch?.iter() {
                builder.clear();
                self.convert(row, &mut builder)?;
                bytes += builder.bytes().len() as u64;
                count += diff;
                out.push(builder.as_ref(), diff);
                if out.byte_len() >= BATCH_BYTES {
                    writer.push(std::mem::take(&mut out)).await?;
                }
            }
        }
        if !out.is_empty() {
            writer.push(out).await?;
        }
        let parts = writer.finish().await?;
        Ok((parts, u64::try_from(count).unwrap_or(0), bytes))
    }

    fn convert(&self, row: RowRef<'_>, out: &mut RowBuilder) -> Result<(), SqlError> {
        let mut datums = row.iter();
        let mut next = 0;
        for value in &self.values {
            let old = match value {
                Value::Same(value) => {
                    out.push_encoded(value.bytes());
                    continue;
                }
                Value::Old(old) => *old,
            };
            if old < next {
                datums = row.iter();
                next = 0;
            }
            for _ in next..old {
                datums.next_bytes();
            }
            next = old + 1;
            let bytes = datums.next_bytes();
            out.push_encoded(bytes.ok_or_else(|| SqlError::internal("a row is too short"))?);
        }
        Ok(())
    }
}
