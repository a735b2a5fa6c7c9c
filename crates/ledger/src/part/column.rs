//! The columns of parts, as the ledger knows them: a name and one of a few kinds of storage.
//!
//! Kinds are durable (as numbers in segments, as names in manifests and parts), and so apart
//! from SQL's types: a new SQL type can take a kind that is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde::{Deserialize, Serialize};

use tidemill_repr::{ColumnType, RelationDesc, ScalarType};

use crate::format::take;

/// The column that holds diffs, where not all are 1.
pub const DIFF_COLUMN: &str = "_diff";
/// The column that holds whole rows, where columns are not known.
pub const ROW_COLUMN: &str = "_row";

/// One column of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartColumn {
    /// Its name in the file.
    pub name: String,
    /// How values are stored.
    pub kind: ColumnKind,
    /// Whether NULL may occur.
    pub nullable: bool,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal;)*) => {
        /// How the values of a column are stored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum ColumnKind { $($(#[$doc])* #[serde(rename = $text)] $name = $number,)* }

        impl ColumnKind {
            /// All kinds.
            pub const ALL: &'static [ColumnKind] = &[$(ColumnKind::$name),*];
        }
    };
}

kinds! {
    /// Boolean.
    Bool = 1 "bool";
    /// Integers of 16 bits.
    Int2 = 2 "int2";
    /// Integers of 32 bits.
    Int4 = 3 "int4";
    /// Integers of 64 bits.
    Int8 = 4 "int8";
    /// Unsigned integers of 32 bits.
    Oid = 5 "oid";
    /// Floats of 32 bits.
    Float4 = 6 "float4";
    /// Floats of 64 bits.
    Float8 = 7 "float8";
    /// Decimals, as text with all digits.
    Numeric = 8 "numeric";
    /// UTF-8.
    Text = 9 "text";
    /// Bytes.
    Bytes = 10 "bytes";
    /// Days since 1970; the infinities are the extreme values.
    Date = 11 "date";
    /// Microseconds since midnight.
    Time = 12 "time";
    /// Microseconds since 1970; the infinities are the extreme values.
    Timestamp = 13 "timestamp";
    /// The same, in UTC.
    TimestampTz = 14 "timestamptz";
    /// Text such as `14 months 3 days 5 microseconds`.
    Interval = 15 "interval";
    /// 16 bytes.
    Uuid = 16 "uuid";
    /// The datum's bytes inside a row.
    Datum = 17 "datum";
}

impl ColumnKind {
    /// How a SQL type is stored.
    pub fn of(typ: &ScalarType) -> ColumnKind {
        match typ {
            ScalarType::Bool => ColumnKind::Bool,
            ScalarType::Int2 => ColumnKind::Int2,
            ScalarType::Int4 => ColumnKind::Int4,
            ScalarType::Int8 => ColumnKind::Int8,
            ScalarType::Oid | ScalarType::Regclass | ScalarType::Regtype | ScalarType::Regproc => {
                ColumnKind::Oid
            }
            ScalarType::Float4 => ColumnKind::Float4,
            ScalarType::Float8 => ColumnKind::Float8,
            ScalarType::Numeric => ColumnKind::Numeric,
            ScalarType::Text
            | ScalarType::Varchar
            | ScalarType::Bpchar
            | ScalarType::InternalChar
            | ScalarType::Name
            | ScalarType::Unknown => ColumnKind::Text,
            ScalarType::Bytea => ColumnKind::Bytes,
            ScalarType::Date => ColumnKind::Date,
            ScalarType::Time => ColumnKind::Time,
            ScalarType::Timestamp => ColumnKind::Timestamp,
            ScalarType::TimestampTz => ColumnKind::TimestampTz,
            ScalarType::Interval => ColumnKind::Interval,
            ScalarType::Uuid => ColumnKind::Uuid,
            ScalarType::Jsonb | ScalarType::Array(_) | ScalarType::Record(_) => ColumnKind::Datum,
            // Types that are stored in no other way.
            #[allow(unreachable_patterns)]
            _ => ColumnKind::Datum,
        }
    }

    /// The type in Arrow and Parquet.
    pub fn arrow_type(self) -> DataType {
        match self {
            ColumnKind::Bool => DataType::Boolean,
            ColumnKind::Int2 => DataType::Int16,
            ColumnKind::Int4 => DataType::Int32,
            ColumnKind::Int8 => DataType::Int64,
            ColumnKind::Oid => DataType::UInt32,
            ColumnKind::Float4 => DataType::Float32,
            ColumnKind::Float8 => DataType::Float64,
            ColumnKind::Numeric | ColumnKind::Text | ColumnKind::Interval => DataType::Utf8,
            ColumnKind::Bytes | ColumnKind::Datum => DataType::Binary,
            ColumnKind::Date => DataType::Date32,
            ColumnKind::Time => DataType::Time64(TimeUnit::Microsecond),
            ColumnKind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnKind::TimestampTz => {
                DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
            }
            ColumnKind::Uuid => DataType::FixedSizeBinary(16),
        }
    }
}

/// The columns of a relation. Names that would occur twice get a number.
pub fn of_relation(desc: &RelationDesc) -> Vec<PartColumn> {
    let mut taken = BTreeSet::from([DIFF_COLUMN.to_owned(), ROW_COLUMN.to_owned()]);
    let columns = desc.columns.iter().map(|column| {
        let mut name = column.name.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{}_{number}", column.name);
            number += 1;
        }
        part_column(name, &column.typ)
    });
    columns.collect()
}

/// Columns that nobody has named.
pub fn of_types(types: &[ColumnType]) -> Vec<PartColumn> {
    let numbered = types.iter().enumerate();
    numbered.map(|(index, typ)| part_column(format!("column{}", index + 1), typ)).collect()
}

fn part_column(name: String, typ: &ColumnType) -> PartColumn {
    PartColumn { name, kind: ColumnKind::of(&typ.scalar_type), nullable: typ.nullable }
}

/// The schema of a part. No columns: whole rows.
pub fn schema(columns: Option<&[PartColumn]>, with_diffs: bool) -> Arc<Schema> {
    let mut fields: Vec<Field> = match columns {
        Some(columns) => columns
            .iter()
            .map(|column| Field::new(&column.name, column.kind.arrow_type(), column.nullable))
            .collect(),
        None => vec![Field::new(ROW_COLUMN, DataType::Binary, false)],
    };
    if with_diffs {
        fields.push(Field::new(DIFF_COLUMN, DataType::Int64, false));
    }
    Arc::new(Schema::new(fields))
}

/// Appends columns as segments hold them.
pub fn encode(columns: &[PartColumn], out: &mut Vec<u8>) {
    for column in columns {
        // Names are identifiers, of 63 bytes at most; what is longer is cut.
        let end = column.name.floor_char_boundary(usize::from(u16::MAX));
        out.push(column.kind as u8);
        out.push(u8::from(column.nullable));
        out.extend_from_slice(&(end as u16).to_le_bytes());
        out.extend_from_slice(&column.name.as_bytes()[..end]);
    }
}

/// Reads what [`encode`] wrote.
pub fn decode(input: &mut &[u8]) -> Option<Vec<PartColumn>> {
    let mut columns = Vec::new();
    while !input.is_empty() {
        let number = take(input, 1)?[0];
        let kind = *ColumnKind::ALL.iter().find(|kind| **kind as u8 == number)?;
        let nullable = take(input, 1)?[0] != 0;
        let length = u16::from_le_bytes(take(input, 2)?.try_into().ok()?);
        let name = std::str::from_utf8(take(input, usize::from(length))?).ok()?.to_owned();
        columns.push(PartColumn { name, kind, nullable });
    }
    Some(columns)
}
