//! Reading parts back into row bytes.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde::Deserialize;

use tidemill_repr::row::push_datum;
use tidemill_repr::{Datum, RowBatch};

use crate::error::LedgerError;
use crate::part::column::ColumnKind;
use crate::part::text::{interval_from_text, numeric_from_text};
use crate::part::writer::{EPOCH_DAYS, EPOCH_MICROS, METADATA_KEY};

/// Rows that are read together.
const BATCH_ROWS: usize = 8 * 1024;

/// Reads one part, batch by batch.
#[derive(Debug)]
pub struct PartReader {
    path: PathBuf,
    layout: Layout,
    batches: ParquetRecordBatchReader,
    row: Vec<u8>,
}

/// What the part's metadata says about its columns.
#[derive(Debug, Deserialize)]
struct Layout {
    version: u32,
    columns: Option<Vec<ColumnKind>>,
    diffs: bool,
}

impl PartReader {
    /// Opens a part.
    ///
    /// # Errors
    /// The file cannot be read, or is no part.
    pub fn open(path: &Path) -> Result<PartReader, LedgerError> {
        let bad = |what: String| LedgerError::part(path, what);
        let file = File::open(path).map_err(|error| LedgerError::io("open file", path, error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| bad(error.to_string()))?
            .with_batch_size(BATCH_ROWS);
        let metadata = builder.metadata().file_metadata().key_value_metadata();
        let layout = metadata
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == METADATA_KEY)?.value.as_deref())
            .ok_or_else(|| bad("the file does not say how it was written".to_owned()))?;
        let layout: Layout =
            serde_json::from_str(layout).map_err(|error| bad(error.to_string()))?;
        if layout.version != 1 {
            return Err(LedgerError::Version { path: path.to_owned(), version: layout.version });
        }
        let columns = layout.columns.as_ref().map_or(1, Vec::len);
        let expected = columns + usize::from(layout.diffs);
        if builder.schema().fields().len() != expected {
            return Err(bad(format!("the file should have {expected} columns")));
        }
        let batches = builder.build().map_err(|error| bad(error.to_string()))?;
        Ok(PartReader { path: path.to_owned(), layout, batches, row: Vec::new() })
    }

    fn decode(&mut self, batch: &RecordBatch) -> Option<RowBatch> {
        let arrays = batch.columns();
        let diffs = match self.layout.diffs {
            true => Some(arrays.last()?.as_primitive_opt::<Int64Type>()?),
            false => None,
        };
        let mut rows = RowBatch::new();
        for index in 0..batch.num_rows() {
            let diff = diffs.map_or(1, |diffs| diffs.value(index));
            let Some(kinds) = &self.layout.columns else {
                rows.push_encoded(arrays.first()?.as_binary_opt::<i32>()?.value(index), diff);
                continue;
            };
            self.row.clear();
            for (kind, array) in kinds.iter().zip(arrays) {
                push_value(&mut self.row, *kind, array.as_ref(), index)?;
            }
            rows.push_encoded(&self.row, diff);
        }
        Some(rows)
    }
}

impl Iterator for PartReader {
    type Item = Result<RowBatch, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(LedgerError::part(&self.path, error))),
        };
        let wrong = "a column does not have the type that the file says";
        Some(self.decode(&batch).ok_or_else(|| LedgerError::part(&self.path, wrong)))
    }
}

/// Appends the encoded value at `index`. None if the array is not of the kind.
fn push_value(row: &mut Vec<u8>, kind: ColumnKind, array: &dyn Array, index: usize) -> Option<()> {
    if array.is_null(index) {
        push_datum(row, Datum::Null);
        return Some(());
    }
    let datum = match kind {
        ColumnKind::Bool => Datum::Bool(array.as_boolean_opt()?.value(index)),
        ColumnKind::Int2 => Datum::Int(array.as_primitive_opt::<Int16Type>()?.value(index).into()),
        ColumnKind::Int4 => Datum::Int(array.as_primitive_opt::<Int32Type>()?.value(index).into()),
        ColumnKind::Int8 => Datum::Int(array.as_primitive_opt::<Int64Type>()?.value(index)),
        ColumnKind::Oid => Datum::Int(array.as_primitive_opt::<UInt32Type>()?.value(index).into()),
        ColumnKind::Float4 => Datum::Float4(array.as_primitive_opt::<Float32Type>()?.value(index)),
        ColumnKind::Float8 => Datum::Float8(array.as_primitive_opt::<Float64Type>()?.value(index)),
        ColumnKind::Text => Datum::Text(array.as_string_opt::<i32>()?.value(index)),
        ColumnKind::Numeric => {
            Datum::Numeric(numeric_from_text(array.as_string_opt::<i32>()?.value(index))?)
        }
        ColumnKind::Interval => {
            Datum::Interval(interval_from_text(array.as_string_opt::<i32>()?.value(index))?)
        }
        ColumnKind::Bytes => Datum::Bytes(array.as_binary_opt::<i32>()?.value(index)),
        ColumnKind::Datum => {
            row.extend_from_slice(array.as_binary_opt::<i32>()?.value(index));
            return Some(());
        }
        ColumnKind::Date => {
            let days = array.as_primitive_opt::<Date32Type>()?.value(index);
            let infinite = matches!(days, i32::MIN | i32::MAX);
            Datum::Date(if infinite { days } else { days.checked_sub(EPOCH_DAYS)? })
        }
        ColumnKind::Time => {
            Datum::Time(array.as_primitive_opt::<Time64MicrosecondType>()?.value(index))
        }
        ColumnKind::Timestamp | ColumnKind::TimestampTz => {
            let micros = array.as_primitive_opt::<TimestampMicrosecondType>()?.value(index);
            let infinite = matches!(micros, i64::MIN | i64::MAX);
            let micros = if infinite { micros } else { micros.checked_sub(EPOCH_MICROS)? };
            match kind {
                ColumnKind::Timestamp => Datum::Timestamp(micros),
                _ => Datum::TimestampTz(micros),
            }
        }
        ColumnKind::Uuid => {
            let bytes = array.as_fixed_size_binary_opt()?.value(index);
            Datum::Uuid(bytes.try_into().ok()?)
        }
    };
    push_datum(row, datum);
    Some(())
}
