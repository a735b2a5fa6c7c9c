//! What a value is, in memory, on disk and on the wire.
//!
//! A [`Datum`] is one value, borrowed; a [`Row`] is a sequence of datums in one canonical,
//! memory-comparable byte string (see `docs/formats/row.md`); a [`RowBatch`] is many rows with
//! their diffs in one arena. [`ScalarType`] and [`ColumnType`] are SQL's types, [`RelationDesc`]
//! names and types the columns of a relation. PostgreSQL's text and binary formats go straight
//! from the wire to row bytes ([`text`], [`binary`]). Everything that fails for a client fails
//! with a [`SqlError`].
//!
//! Start reading at [`row`].

pub mod binary;
pub mod bits;
pub mod datum;
pub mod error;
pub mod id;
pub mod interval;
pub mod jsonb;
pub mod jsonpath;
pub mod network;
pub mod numeric;
pub mod range;
pub mod relation;
pub mod row;
pub mod text;
pub mod tick;
pub mod time;
pub mod types;
pub mod user_type;

pub use bits::BitsRef;
pub use datum::Datum;
pub use error::{ErrorObject, SqlError, SqlState};
pub use id::{Lsn, ObjectId, Oid};
pub use interval::Interval;
pub use network::Inet;
pub use numeric::Numeric;
pub use range::{MultirangeRef, RangeBound, RangeKind, RangeRef};
pub use relation::{Column, ColumnOrigin, RelationDesc};
pub use row::{Row, RowBatch, RowBuilder, RowRef};
pub use tick::{Diff, Tick};
pub use time::TimeTz;
pub use types::{ColumnType, ScalarType};
pub use user_type::{CompositeType, DomainType, EnumType, TypeName};
