//! SQL's types: which values a column may hold and how they are shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Oid;

/// A type, without its modifier. Integers of all widths share one [`crate::Datum`] variant; the
/// type says which values are in range and how they look on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ScalarType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `oid`
    Oid,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`
    Numeric,
    /// `text`
    Text,
    /// `character varying`
    Varchar,
    /// `character` (blank-padded, `bpchar`)
    Bpchar,
    /// `"char"`, one byte
    InternalChar,
    /// `name`
    Name,
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
    /// `jsonb`
    Jsonb,
    /// One-dimensional or deeper array of an element type.
    Array(Box<ScalarType>),
    /// `regclass`: an oid shown as a relation's name.
    Regclass,
    /// `regtype`: an oid shown as a type's name.
    Regtype,
    /// `regproc`: an oid shown as a function's name.
    Regproc,
    /// `record`: anonymous composite.
    Record(Vec<ScalarType>),
    /// The type of a literal or parameter before it is resolved.
    Unknown,
}

/// A type with its modifier and whether NULL can occur.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnType {
    /// The type.
    pub scalar_type: ScalarType,
    /// PostgreSQL's type modifier (`atttypmod`), -1 when there is none: for `varchar(n)` and
    /// `char(n)` n + 4; for `numeric(p, s)` ((p << 16) | (s & 0x7ff)) + 4; for times the
    /// precision in digits.
    pub typmod: i32,
    /// Whether NULL may occur.
    pub nullable: bool,
}

impl ColumnType {
    /// A nullable column without modifier.
    pub fn new(scalar_type: ScalarType) -> ColumnType {
        ColumnType { scalar_type, typmod: -1, nullable: true }
    }

    /// The same type where NULL may (or may not) occur.
    pub fn nullable(mut self, nullable: bool) -> ColumnType {
        self.nullable = nullable;
        self
    }

    /// The same type with a modifier.
    pub fn with_typmod(mut self, typmod: i32) -> ColumnType {
        self.typmod = typmod;
        self
    }

    /// Precision and scale of `numeric(p, s)`, if given. The scale may be negative.
    pub fn numeric_precision_scale(&self) -> Option<(u16, i16)> {
        if self.scalar_type != ScalarType::Numeric || self.typmod < 4 {
            return None;
        }
        let bits = self.typmod - 4;
        let precision = u16::try_from((bits >> 16) & 0xffff).unwrap_or(u16::MAX);
        // Eleven bits, sign-extended.
        let scale = ((bits & 0x7ff) ^ 1024) - 1024;
        Some((precision, i16::try_from(scale).unwrap_or(0)))
    }

    /// n of `varchar(n)` or `char(n)`, in characters, if given.
    pub fn character_length(&self) -> Option<usize> {
        match self.scalar_type {
            ScalarType::Varchar | ScalarType::Bpchar if self.typmod >= 4 => {
                usize::try_from(self.typmod - 4).ok()
            }
            _ => None,
        }
    }

    /// The name as `format_type` shows it, with the modifier.
    pub fn sql_name(&self) -> String {
        if let Some((precision, scale)) = self.numeric_precision_scale() {
            return format!("numeric({precision},{scale})");
        }
        if let Some(length) = self.character_length() {
            return format!("{}({length})", self.scalar_type);
        }
        let time = |prefix: &str, suffix: &str| format!("{prefix}({}){suffix}", self.typmod);
        match self.scalar_type {
            ScalarType::Time if self.typmod >= 0 => time("time", " without time zone"),
            ScalarType::Timestamp if self.typmod >= 0 => time("timestamp", " without time zone"),
            ScalarType::TimestampTz if self.typmod >= 0 => time("timestamp", " with time zone"),
            ScalarType::Bpchar => "bpchar".to_owned(),
            _ => self.scalar_type.to_string(),
        }
    }
}

/// What PostgreSQL calls the category of a type (`pg_type.typcategory`); it decides which casts
/// operator resolution prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeCategory {
    /// `A`
    Array,
    /// `B`
    Boolean,
    /// `D`
    DateTime,
    /// `N`
    Numeric,
    /// `P`
    Pseudo,
    /// `S`
    String,
    /// `T`
    Timespan,
    /// `U`
    User,
    /// `X`
    Unknown,
    /// `Z`
    InternalUse,
}

impl ScalarType {
    /// PostgreSQL's oid of the type.
    pub fn oid(&self) -> Oid {
        Oid(match self {
            ScalarType::Bool => 16,
            ScalarType::Bytea => 17,
            ScalarType::InternalChar => 18,
            ScalarType::Name => 19,
            ScalarType::Int8 => 20,
            ScalarType::Int2 => 21,
            ScalarType::Int4 => 23,
            ScalarType::Regproc => 24,
            ScalarType::Text => 25,
            ScalarType::Oid => 26,
            ScalarType::Float4 => 700,
            ScalarType::Float8 => 701,
            ScalarType::Unknown => 705,
            ScalarType::Bpchar => 1042,
            ScalarType::Varchar => 1043,
            ScalarType::Date => 1082,
            ScalarType::Time => 1083,
            ScalarType::Timestamp => 1114,
            ScalarType::TimestampTz => 1184,
            ScalarType::Interval => 1186,
            ScalarType::Numeric => 1700,
            ScalarType::Regclass => 2205,
            ScalarType::Regtype => 2206,
            ScalarType::Record(_) => 2249,
            ScalarType::Uuid => 2950,
            ScalarType::Jsonb => 3802,
            ScalarType::Array(element) => return element.array_oid(),
        })
    }

    /// The oid of the array type over this element type.
    pub fn array_oid(&self) -> Oid {
        Oid(match self {
            ScalarType::Bool => 1000,
            ScalarType::Bytea => 1001,
            ScalarType::InternalChar => 1002,
            ScalarType::Name => 1003,
            ScalarType::Int2 => 1005,
            ScalarType::Int4 => 1007,
            ScalarType::Regproc => 1008,
            ScalarType::Text | ScalarType::Unknown => 1009,
            ScalarType::Bpchar => 1014,
            ScalarType::Varchar => 1015,
            ScalarType::Int8 => 1016,
            ScalarType::Float4 => 1021,
            ScalarType::Float8 => 1022,
            ScalarType::Oid => 1028,
            ScalarType::Timestamp => 1115,
            ScalarType::Date => 1182,
            ScalarType::Time => 1183,
            ScalarType::TimestampTz => 1185,
            ScalarType::Interval => 1187,
            ScalarType::Numeric => 1231,
            ScalarType::Regclass => 2210,
            ScalarType::Regtype => 2211,
            ScalarType::Record(_) => 2287,
            ScalarType::Uuid => 2951,
            ScalarType::Jsonb => 3807,
            // Arrays of arrays are arrays of more dimensions: one type.
            ScalarType::Array(element) => return element.array_oid(),
        })
    }

    /// Every type that has an oid of its own, arrays and records left out.
    pub const ALL: &'static [ScalarType] = &[
        ScalarType::Bool,
        ScalarType::Bytea,
        ScalarType::InternalChar,
        ScalarType::Name,
        ScalarType::Int8,
        ScalarType::Int2,
        ScalarType::Int4,
        ScalarType::Regproc,
        ScalarType::Text,
        ScalarType::Oid,
        ScalarType::Float4,
        ScalarType::Float8,
        ScalarType::Unknown,
        ScalarType::Bpchar,
        ScalarType::Varchar,
        ScalarType::Date,
        ScalarType::Time,
        ScalarType::Timestamp,
        ScalarType::TimestampTz,
        ScalarType::Interval,
        ScalarType::Numeric,
        ScalarType::Regclass,
        ScalarType::Regtype,
        ScalarType::Uuid,
        ScalarType::Jsonb,
    ];

    /// The type with this oid, if Tidemill has it.
    pub fn from_oid(oid: Oid) -> Option<ScalarType> {
        let all = ScalarType::ALL;
        if let Some(found) = all.iter().find(|candidate| candidate.oid() == oid) {
            return Some(found.clone());
        }
        all.iter()
            .find(|element| **element != ScalarType::Unknown && element.array_oid() == oid)
            .map(|element| ScalarType::Array(Box::new(element.clone())))
    }

    /// The name in `pg_type.typname`, such as `int4` or `_text`.
    pub fn pg_name(&self) -> String {
        match self {
            ScalarType::Bool => "bool".to_owned(),
            ScalarType::Int2 => "int2".to_owned(),
            ScalarType::Int4 => "int4".to_owned(),
            ScalarType::Int8 => "int8".to_owned(),
            ScalarType::Float4 => "float4".to_owned(),
            ScalarType::Float8 => "float8".to_owned(),
            ScalarType::Varchar => "varchar".to_owned(),
            ScalarType::Bpchar => "bpchar".to_owned(),
            ScalarType::InternalChar => "char".to_owned(),
            ScalarType::Time => "time".to_owned(),
            ScalarType::Timestamp => "timestamp".to_owned(),
            ScalarType::TimestampTz => "timestamptz".to_owned(),
            ScalarType::Array(element) => format!("_{}", element.pg_name()),
            other => other.to_string(),
        }
    }

    /// The category that operator resolution goes by.
    pub fn category(&self) -> TypeCategory {
        match self {
            ScalarType::Bool => TypeCategory::Boolean,
            ScalarType::Int2
            | ScalarType::Int4
            | ScalarType::Int8
            | ScalarType::Oid
            | ScalarType::Regclass
            | ScalarType::Regtype
            | ScalarType::Regproc
            | ScalarType::Float4
            | ScalarType::Float8
            | ScalarType::Numeric => TypeCategory::Numeric,
            ScalarType::Text | ScalarType::Varchar | ScalarType::Bpchar | ScalarType::Name => {
                TypeCategory::String
            }
            ScalarType::InternalChar => TypeCategory::InternalUse,
            ScalarType::Date
            | ScalarType::Time
            | ScalarType::Timestamp
            | ScalarType::TimestampTz => TypeCategory::DateTime,
            ScalarType::Interval => TypeCategory::Timespan,
            ScalarType::Bytea | ScalarType::Uuid | ScalarType::Jsonb => TypeCategory::User,
            ScalarType::Array(_) => TypeCategory::Array,
            ScalarType::Record(_) => TypeCategory::Pseudo,
            ScalarType::Unknown => TypeCategory::Unknown,
        }
    }

    /// Whether the type is the preferred one of its category (`pg_type.typispreferred`).
    pub fn is_preferred(&self) -> bool {
        matches!(
            self,
            ScalarType::Bool
                | ScalarType::Oid
                | ScalarType::Float8
                | ScalarType::Text
                | ScalarType::TimestampTz
                | ScalarType::Interval
        )
    }

    /// Whether the order of encoded bytes is SQL's order, so that ranges can be looked up.
    pub fn is_byte_ordered(&self) -> bool {
        !matches!(
            self,
            ScalarType::Bytea | ScalarType::Jsonb | ScalarType::Array(_) | ScalarType::Record(_)
        )
    }

    /// Whether values that SQL calls equal may have different bytes, so that grouping and
    /// joining need a canonical form first. (`numeric` with a scale in its modifier does not.)
    pub fn has_equal_representations(&self) -> bool {
        match self {
            ScalarType::Numeric
            | ScalarType::Float4
            | ScalarType::Float8
            | ScalarType::Interval
            | ScalarType::Bpchar
            | ScalarType::Jsonb => true,
            ScalarType::Array(element) => element.has_equal_representations(),
            ScalarType::Record(fields) => fields.iter().any(ScalarType::has_equal_representations),
            _ => false,
        }
    }

    /// Bytes of a value of fixed length (`pg_type.typlen`), or -1.
    pub fn type_length(&self) -> i16 {
        match self {
            ScalarType::Bool | ScalarType::InternalChar => 1,
            ScalarType::Int2 => 2,
            ScalarType::Int4
            | ScalarType::Oid
            | ScalarType::Regclass
            | ScalarType::Regtype
            | ScalarType::Regproc
            | ScalarType::Float4
            | ScalarType::Date => 4,
            ScalarType::Int8
            | ScalarType::Float8
            | ScalarType::Time
            | ScalarType::Timestamp
            | ScalarType::TimestampTz => 8,
            ScalarType::Interval | ScalarType::Uuid => 16,
            ScalarType::Name => 64,
            ScalarType::Unknown => -2,
            _ => -1,
        }
    }
}

impl fmt::Display for ScalarType {
    /// The name as `format_type` and error messages show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScalarType::Bool => "boolean",
            ScalarType::Int2 => "smallint",
            ScalarType::Int4 => "integer",
            ScalarType::Int8 => "bigint",
            ScalarType::Oid => "oid",
            ScalarType::Float4 => "real",
            ScalarType::Float8 => "double precision",
            ScalarType::Numeric => "numeric",
            ScalarType::Text => "text",
            ScalarType::Varchar => "character varying",
            ScalarType::Bpchar => "character",
            ScalarType::InternalChar => "\"char\"",
            ScalarType::Name => "name",
            ScalarType::Bytea => "bytea",
            ScalarType::Date => "date",
            ScalarType::Time => "time without time zone",
            ScalarType::Timestamp => "timestamp without time zone",
            ScalarType::TimestampTz => "timestamp with time zone",
            ScalarType::Interval => "interval",
            ScalarType::Uuid => "uuid",
            ScalarType::Jsonb => "jsonb",
            ScalarType::Regclass => "regclass",
            ScalarType::Regtype => "regtype",
            ScalarType::Regproc => "regproc",
            ScalarType::Record(_) => "record",
            ScalarType::Unknown => "unknown",
            ScalarType::Array(element) => return write!(f, "{element}[]"),
        })
    }
}
