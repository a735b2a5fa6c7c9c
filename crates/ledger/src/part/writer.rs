//! Writing parts: row bytes go datum by datum into Arrow builders, and in batches into Parquet.
//!
//! Speed matters here: a snapshot of a large table waits for it. So there are no dictionaries, no
//! statistics, and no copy of a value between its row and its builder.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Date32Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt32Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use tidemill_repr::row::push_datum;
use tidemill_repr::{Datum, Diff, ObjectId, RowBatch, RowRef};

use crate::directory::sync_directory;
use crate::entry::PartName;
use crate::error::LedgerError;
use crate::ledger::Shared;
use crate::part::column::{self, ColumnKind, PartColumn};
use crate::part::text::{interval_to_text, numeric_to_text};

/// Rows that go to Parquet together.
const BATCH_ROWS: usize = 16 * 1024;
/// Rows of a row group, and about its bytes.
const GROUP_ROWS: usize = 512 * 1024;
/// A part is followed by another after this many bytes of rows.
const PART_BYTES: u64 = 512 << 20;
/// The metadata that says how to read a part back.
pub const METADATA_KEY: &str = "tidemill.part";
/// Days from 1970 to 2000.
pub const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970 to 2000.
pub const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Writes a collection's bulk data. Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct PartWriter {
    shared: Arc<Shared>,
    collection: ObjectId,
    /// None: whole rows.
    columns: Option<Vec<PartColumn>>,
    with_diffs: bool,
    /// Boxed, since it is taken out and put back for each row.
    open: Option<Box<OpenPart>>,
    finished: Vec<PartName>,
}

struct OpenPart {
    file: String,
    path: PathBuf,
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    builders: Vec<Builder>,
    diffs: Int64Builder,
    pending: usize,
    rows: u64,
    row_bytes: u64,
}

impl std::fmt::Debug for OpenPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenPart({}, {} rows)", self.file, self.rows)
    }
}

impl PartWriter {
    pub(crate) fn new(
        shared: Arc<Shared>,
        collection: ObjectId,
        columns: Option<Vec<PartColumn>>,
        with_diffs: bool,
    ) -> PartWriter {
        // Parquet has no file without columns.
        let columns = columns.filter(|columns| !columns.is_empty());
        PartWriter { shared, collection, columns, with_diffs, open: None, finished: Vec::new() }
    }

    /// Writes updates.
    ///
    /// # Errors
    /// The disk says no.
    pub fn push(&mut self, batch: &RowBatch) -> Result<(), LedgerError> {
        batch.iter().try_for_each(|(row, diff)| self.push_row(row, diff))
    }

    /// Writes one update.
    ///
    /// # Errors
    /// The disk says no.
    pub fn push_row(&mut self, row: RowRef<'_>, diff: Diff) -> Result<(), LedgerError> {
        if diff != 1 && !self.with_diffs {
            self.finish_part()?;
            self.with_diffs = true;
        }
        if !self.open()?.append(row, diff) {
            // A value that does not fit its column: whole rows from here on.
            self.finish_part()?;
            self.columns = None;
            self.open()?.append(row, diff);
        }
        let open = self.open()?;
        if open.pending >= BATCH_ROWS {
            open.flush()?;
        }
        if open.row_bytes >= PART_BYTES {
            self.finish_part()?;
        }
        Ok(())
    }

    /// Makes all of it durable, and tells the parts that an entry may now name.
    ///
    /// # Errors
    /// The disk says no.
    pub fn finish(mut self) -> Result<Vec<PartName>, LedgerError> {
        self.finish_part()?;
        sync_directory(&self.shared.directory.parts())?;
        Ok(std::mem::take(&mut self.finished))
    }

    fn open(&mut self) -> Result<&mut OpenPart, LedgerError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => Box::new(self.create()?),
        };
        Ok(self.open.insert(open))
    }

    fn create(&self) -> Result<OpenPart, LedgerError> {
        let file = self.shared.directory.new_part_file(self.collection);
        let path = self.shared.directory.part(&file);
        let columns = self.columns.as_deref();
        let handle = File::options()
            .create_new(true)
            .write(true)
            .open(&path)
            .map_err(|error| LedgerError::io("create file", &path, error))?;
        let kinds: Option<Vec<ColumnKind>> =
            columns.map(|columns| columns.iter().map(|column| column.kind).collect());
        let layout = serde_json::json!({"version": 1, "columns": kinds, "diffs": self.with_diffs});
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(vec![KeyValue::new(
                METADATA_KEY.to_owned(),
                layout.to_string(),
            )]))
            .build();
        let schema = column::schema(columns, self.with_diffs);
        let writer = ArrowWriter::try_new(handle, Arc::clone(&schema), Some(properties))
            .map_err(|error| LedgerError::part(&path, error))?;
        let builders = match columns {
            Some(columns) => columns.iter().map(Builder::new).collect(),
            None => vec![Builder::of_rows()],
        };
        let diffs = Int64Builder::new();
        let (pending, rows, row_bytes) = (0, 0, 0);
        Ok(OpenPart { file, path, writer, schema, builders, diffs, pending, rows, row_bytes })
    }

    fn finish_part(&mut self) -> Result<(), LedgerError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let path = open.path.clone();
        let name = open.flush().and_then(|()| open.close());
        match name {
            Ok(Some(name)) => self.finished.push(name),
            Ok(None) => remove(&path),
            Err(error) => {
                remove(&path);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            remove(&open.path);
        }
        for part in &self.finished {
            remove(&self.shared.directory.part(&part.file));
        }
    }
}

fn remove(path: &std::path::Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(file = %path.display(), %error, "could not remove an unfinished part");
    }
}

impl OpenPart {
    /// Appends a row; false, and nothing appended, if it does not fit the columns.
    fn append(&mut self, row: RowRef<'_>, diff: Diff) -> bool {
        let fits = match &mut self.builders[..] {
            [Builder { kind: None, values: Values::Binary(rows), .. }] => {
                rows.append_value(row.bytes());
                true
            }
            builders => {
                let mut datums = row.iter();
                let fits = builders
                    .iter_mut()
                    .all(|builder| datums.next().is_some_and(|datum| builder.append(datum)));
                fits && datums.rest().is_empty()
            }
        };
        if fits {
            self.diffs.append_value(diff);
            self.pending += 1;
            self.rows += 1;
            self.row_bytes += row.bytes().len() as u64;
        }
        fits
    }

    /// Hands what is pending to Parquet. Columns may hold one value more, of a row that did not
    /// fit; it is left out.
    fn flush(&mut self) -> Result<(), LedgerError> {
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for builder in &mut self.builders {
            arrays.push(builder.values.finish().slice(0, self.pending));
        }
        let diffs: ArrayRef = Arc::new(self.diffs.finish());
        if self.pending == 0 {
            return Ok(());
        }
        self.pending = 0;
        let schema = Arc::clone(&self.schema);
        if schema.fields().len() > arrays.len() {
            arrays.push(diffs);
        }
        let failed = |error: String| LedgerError::part(&self.path, error);
        let batch =
            RecordBatch::try_new(schema, arrays).map_err(|error| failed(error.to_string()))?;
        self.writer.write(&batch).map_err(|error| failed(error.to_string()))
    }

    /// None if nothing was written.
    fn close(self) -> Result<Option<PartName>, LedgerError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let path = self.path;
        let file = self.writer.into_inner().map_err(|error| LedgerError::part(&path, error))?;
        let failed = |error| LedgerError::io("sync file", &path, error);
        file.sync_all().map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        Ok(Some(PartName { file: self.file, rows: self.rows, bytes }))
    }
}

/// Collects the values of one column.
struct Builder {
    /// None: whole rows.
    kind: Option<ColumnKind>,
    nullable: bool,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Oid(UInt32Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Uuid(FixedSizeBinaryBuilder),
}

macro_rules! each_values {
    ($values:expr, $builder:ident => $body:expr) => {
        match $values {
            Values::Bool($builder) => $body,
            Values::Int2($builder) => $body,
            Values::Int4($builder) => $body,
            Values::Int8($builder) => $body,
            Values::Oid($builder) => $body,
            Values::Float4($builder) => $body,
            Values::Float8($builder) => $body,
            Values::Text($builder) => $body,
            Values::Binary($builder) => $body,
            Values::Date($builder) => $body,
            Values::Time($builder) => $body,
            Values::Timestamp($builder) => $body,
            Values::Uuid($builder) => $body,
        }
    };
}

impl Values {
    fn finish(&mut self) -> ArrayRef {
        each_values!(self, builder => ArrayBuilder::finish(builder))
    }
}

impl Builder {
    fn of_rows() -> Builder {
        Builder { kind: None, nullable: false, values: Values::Binary(BinaryBuilder::new()) }
    }

    fn new(column: &PartColumn) -> Builder {
        let values = match column.kind {
            ColumnKind::Bool => Values::Bool(BooleanBuilder::new()),
            ColumnKind::Int2 => Values::Int2(Int16Builder::new()),
            ColumnKind::Int4 => Values::Int4(Int32Builder::new()),
            ColumnKind::Int8 => Values::Int8(Int64Builder::new()),
            ColumnKind::Oid => Values::Oid(UInt32Builder::new()),
            ColumnKind::Float4 => Values::Float4(Float32Builder::new()),
            ColumnKind::Float8 => Values::Float8(Float64Builder::new()),
            ColumnKind::Numeric | ColumnKind::Text | ColumnKind::Interval => {
                Values::Text(StringBuilder::new())
            }
            ColumnKind::Bytes | ColumnKind::Datum => Values::Binary(BinaryBuilder::new()),
            ColumnKind::Date => Values::Date(Date32Builder::new()),
            ColumnKind::Time => Values::Time(Time64MicrosecondBuilder::new()),
            ColumnKind::Timestamp => Values::Timestamp(TimestampMicrosecondBuilder::new()),
            ColumnKind::TimestampTz => Values::Timestamp(
                TimestampMicrosecondBuilder::new().with_data_type(column.kind.arrow_type()),
            ),
            ColumnKind::Uuid => Values::Uuid(FixedSizeBinaryBuilder::new(16)),
        };
        Builder { kind: Some(column.kind), nullable: column.nullable, values }
    }

    /// Appends a value; false, and nothing appended, if it does not fit.
    fn append(&mut self, datum: Datum<'_>) -> bool {
        if datum.is_null() {
            if self.nullable {
                each_values!(&mut self.values, builder => builder.append_null());
            }
            return self.nullable;
        }
        self.append_value(datum).is_some()
    }

    fn append_value(&mut self, datum: Datum<'_>) -> Option<()> {
        match (&mut self.values, datum) {
            (Values::Int4(values), Datum::Int(value)) => {
                values.append_value(value.try_into().ok()?)
            }
            (Values::Text(values), Datum::Text(text)) if self.kind == Some(ColumnKind::Text) => {
                values.append_value(text);
            }
            (Values::Int8(values), Datum::Int(value)) => values.append_value(value),
            (Values::Int2(values), Datum::Int(value)) => {
                values.append_value(value.try_into().ok()?)
            }
            (Values::Oid(values), Datum::Int(value)) => values.append_value(value.try_into().ok()?),
            (Values::Bool(values), Datum::Bool(value)) => values.append_value(value),
            (Values::Float4(values), Datum::Float4(value)) => values.append_value(value),
            (Values::Float8(values), Datum::Float8(value)) => values.append_value(value),
            (Values::Text(values), Datum::Numeric(value))
                if self.kind == Some(ColumnKind::Numeric) =>
            {
                values.append_value(numeric_to_text(&value));
            }
            (Values::Text(values), Datum::Interval(value))
                if self.kind == Some(ColumnKind::Interval) =>
            {
                values.append_value(interval_to_text(&value));
            }
            (Values::Binary(values), Datum::Bytes(bytes))
                if self.kind == Some(ColumnKind::Bytes) =>
            {
                values.append_value(bytes);
            }
            (Values::Binary(values), datum) if self.kind == Some(ColumnKind::Datum) => {
                let mut bytes = Vec::new();
                push_datum(&mut bytes, datum);
                values.append_value(bytes);
            }
            (Values::Date(values), Datum::Date(days)) => values.append_value(days_to_1970(days)?),
            (Values::Time(values), Datum::Time(micros)) => values.append_value(micros),
            (Values::Timestamp(values), Datum::Timestamp(micros))
                if self.kind == Some(ColumnKind::Timestamp) =>
            {
                values.append_value(micros_to_1970(micros)?);
            }
            (Values::Timestamp(values), Datum::TimestampTz(micros))
                if self.kind == Some(ColumnKind::TimestampTz) =>
            {
                values.append_value(micros_to_1970(micros)?);
            }
            (Values::Uuid(values), Datum::Uuid(uuid)) => values.append_value(uuid).ok()?,
            _ => return None,
        }
        Some(())
    }
}

fn days_to_1970(days: i32) -> Option<i32> {
    if matches!(days, i32::MIN | i32::MAX) {
        return Some(days);
    }
    days.checked_add(EPOCH_DAYS).filter(|days| *days != i32::MAX)
}

fn micros_to_1970(micros: i64) -> Option<i64> {
    if matches!(micros, i64::MIN | i64::MAX) {
        return Some(micros);
    }
    micros.checked_add(EPOCH_MICROS).filter(|micros| *micros != i64::MAX)
}
