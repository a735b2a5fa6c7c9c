//! SQL's types: which values a column may hold and how they are shown.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Oid;
use crate::range::RangeKind;
use crate::user_type::{CompositeType, DomainType, EnumType};

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
    /// `json`: its text, as it was written.
    Json,
    /// `jsonpath`: its text, as it is shown.
    Jsonpath,
    /// `time with time zone`
    TimeTz,
    /// `money`: a number of cents.
    Money,
    /// `bit`
    Bit,
    /// `bit varying`
    Varbit,
    /// `inet`
    Inet,
    /// `cidr`
    Cidr,
    /// `macaddr`
    Macaddr,
    /// `macaddr8`
    Macaddr8,
    /// `xid`
    Xid,
    /// `pg_lsn`
    PgLsn,
    /// `uint2`
    UInt2,
    /// `uint4`
    UInt4,
    /// `uint8`
    UInt8,
    /// `mz_timestamp`: a tick.
    MzTimestamp,
    /// `int2vector`: an array of int2 whose lower bound is 0.
    Int2Vector,
    /// `oidvector`: an array of oid whose lower bound is 0.
    OidVector,
    /// A range.
    Range(RangeKind),
    /// A multirange.
    Multirange(RangeKind),
    /// `.. LIST`: values of one type, lists of different lengths among them.
    List(Box<ScalarType>),
    /// `MAP[text => ..]`
    Map(Box<ScalarType>),
    /// An enum.
    Enum(Arc<EnumType>),
    /// A domain; its values are those of its base type.
    Domain(Arc<DomainType>),
    /// A named composite type; its values are records.
    Composite(Arc<CompositeType>),
    /// One-dimensional or deeper array of an element type.
    Array(Box<ScalarType>),
    /// `regclass`: an oid shown as a relation's name.
    Regclass,
    /// `regtype`: an oid shown as a type's name.
    Regtype,
    /// `regproc`: an oid shown as a function's name.
    Regproc,
    /// `regprocedure`: an oid shown as a function's name with its arguments.
    Regprocedure,
    /// `regnamespace`: an oid shown as a schema's name.
    Regnamespace,
    /// `regrole`: an oid shown as a role's name.
    Regrole,
    /// `regoper`: an oid shown as an operator's name.
    Regoper,
    /// `regoperator`: an oid shown as an operator's name with its arguments.
    Regoperator,
    /// `regcollation`: an oid shown as a collation's name.
    Regcollation,
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
            ScalarType::TimeTz if self.typmod >= 0 => time("time", " with time zone"),
            ScalarType::Interval => crate::interval::fields::type_name(self.typmod),
            ScalarType::Bit if self.typmod > 0 => time("bit", ""),
            ScalarType::Varbit if self.typmod > 0 => time("bit varying", ""),
            ScalarType::Bpchar => "bpchar".to_owned(),
            // Without a length, `bit` is read as `bit(1)`.
            ScalarType::Bit => "\"bit\"".to_owned(),
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
    /// `C`
    Composite,
    /// `D`
    DateTime,
    /// `E`
    Enum,
    /// `I`
    Network,
    /// `N`
    Numeric,
    /// `P`
    Pseudo,
    /// `R`
    Range,
    /// `S`
    String,
    /// `T`
    Timespan,
    /// `U`
    User,
    /// `V`
    BitString,
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
            ScalarType::Json => 114,
            ScalarType::Jsonpath => 4072,
            ScalarType::TimeTz => 1266,
            ScalarType::Money => 790,
            ScalarType::Bit => 1560,
            ScalarType::Varbit => 1562,
            ScalarType::Inet => 869,
            ScalarType::Cidr => 650,
            ScalarType::Macaddr => 829,
            ScalarType::Macaddr8 => 774,
            ScalarType::Xid => 28,
            ScalarType::PgLsn => 3220,
            ScalarType::UInt2 => 16460,
            ScalarType::UInt4 => 16462,
            ScalarType::UInt8 => 16464,
            ScalarType::MzTimestamp => 16552,
            ScalarType::Int2Vector => 22,
            ScalarType::OidVector => 30,
            ScalarType::Regprocedure => 2202,
            ScalarType::Regnamespace => 4089,
            ScalarType::Regrole => 4096,
            ScalarType::Regoper => 2203,
            ScalarType::Regoperator => 2204,
            ScalarType::Regcollation => 4191,
            ScalarType::Range(RangeKind::Int4) => 3904,
            ScalarType::Multirange(RangeKind::Int4) => 4451,
            ScalarType::Range(RangeKind::Numeric) => 3906,
            ScalarType::Multirange(RangeKind::Numeric) => 4532,
            ScalarType::Range(RangeKind::Timestamp) => 3908,
            ScalarType::Multirange(RangeKind::Timestamp) => 4533,
            ScalarType::Range(RangeKind::TimestampTz) => 3910,
            ScalarType::Multirange(RangeKind::TimestampTz) => 4534,
            ScalarType::Range(RangeKind::Date) => 3912,
            ScalarType::Multirange(RangeKind::Date) => 4535,
            ScalarType::Range(RangeKind::Int8) => 3926,
            ScalarType::Multirange(RangeKind::Int8) => 4536,
            ScalarType::List(_) => 16384,
            ScalarType::Map(_) => 16385,
            ScalarType::Enum(definition) => return definition.name.oid,
            ScalarType::Domain(definition) => return definition.name.oid,
            ScalarType::Composite(definition) => return definition.name.oid,
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
            ScalarType::Json => 199,
            ScalarType::Jsonpath => 4073,
            ScalarType::TimeTz => 1270,
            ScalarType::Money => 791,
            ScalarType::Bit => 1561,
            ScalarType::Varbit => 1563,
            ScalarType::Inet => 1041,
            ScalarType::Cidr => 651,
            ScalarType::Macaddr => 1040,
            ScalarType::Macaddr8 => 775,
            ScalarType::Xid => 1011,
            ScalarType::PgLsn => 3221,
            ScalarType::UInt2 => 16461,
            ScalarType::UInt4 => 16463,
            ScalarType::UInt8 => 16465,
            ScalarType::MzTimestamp => 16553,
            ScalarType::Int2Vector => 1006,
            ScalarType::OidVector => 1013,
            ScalarType::Regprocedure => 2207,
            ScalarType::Regnamespace => 4090,
            ScalarType::Regrole => 4097,
            ScalarType::Regoper => 2208,
            ScalarType::Regoperator => 2209,
            ScalarType::Regcollation => 4192,
            ScalarType::Range(RangeKind::Int4) => 3905,
            ScalarType::Multirange(RangeKind::Int4) => 6150,
            ScalarType::Range(RangeKind::Numeric) => 3907,
            ScalarType::Multirange(RangeKind::Numeric) => 6151,
            ScalarType::Range(RangeKind::Timestamp) => 3909,
            ScalarType::Multirange(RangeKind::Timestamp) => 6152,
            ScalarType::Range(RangeKind::TimestampTz) => 3911,
            ScalarType::Multirange(RangeKind::TimestampTz) => 6153,
            ScalarType::Range(RangeKind::Date) => 3913,
            ScalarType::Multirange(RangeKind::Date) => 6155,
            ScalarType::Range(RangeKind::Int8) => 3927,
            ScalarType::Multirange(RangeKind::Int8) => 6157,
            // Lists and maps have lists over them, no arrays.
            ScalarType::List(_) | ScalarType::Map(_) => 0,
            ScalarType::Enum(definition) => return definition.name.array_oid,
            ScalarType::Domain(definition) => return definition.name.array_oid,
            ScalarType::Composite(definition) => return definition.name.array_oid,
            // Arrays of arrays are arrays of more dimensions: one type.
            ScalarType::Array(element) => return element.array_oid(),
        })
    }

    /// Every built-in type that has an oid of its own; arrays, records, lists and maps left out.
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
        ScalarType::Json,
        ScalarType::Jsonpath,
        ScalarType::TimeTz,
        ScalarType::Money,
        ScalarType::Bit,
        ScalarType::Varbit,
        ScalarType::Inet,
        ScalarType::Cidr,
        ScalarType::Macaddr,
        ScalarType::Macaddr8,
        ScalarType::Xid,
        ScalarType::PgLsn,
        ScalarType::UInt2,
        ScalarType::UInt4,
        ScalarType::UInt8,
        ScalarType::MzTimestamp,
        ScalarType::Int2Vector,
        ScalarType::OidVector,
        ScalarType::Regprocedure,
        ScalarType::Regnamespace,
        ScalarType::Regrole,
        ScalarType::Regoper,
        ScalarType::Regoperator,
        ScalarType::Regcollation,
        ScalarType::Range(RangeKind::Int4),
        ScalarType::Multirange(RangeKind::Int4),
        ScalarType::Range(RangeKind::Numeric),
        ScalarType::Multirange(RangeKind::Numeric),
        ScalarType::Range(RangeKind::Timestamp),
        ScalarType::Multirange(RangeKind::Timestamp),
        ScalarType::Range(RangeKind::TimestampTz),
        ScalarType::Multirange(RangeKind::TimestampTz),
        ScalarType::Range(RangeKind::Date),
        ScalarType::Multirange(RangeKind::Date),
        ScalarType::Range(RangeKind::Int8),
        ScalarType::Multirange(RangeKind::Int8),
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
            ScalarType::TimeTz => "timetz".to_owned(),
            ScalarType::Varbit => "varbit".to_owned(),
            ScalarType::List(_) => "list".to_owned(),
            ScalarType::Map(_) => "map".to_owned(),
            ScalarType::Enum(definition) => definition.name.name.clone(),
            ScalarType::Domain(definition) => definition.name.name.clone(),
            ScalarType::Composite(definition) => definition.name.name.clone(),
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
            | ScalarType::Regprocedure
            | ScalarType::Regnamespace
            | ScalarType::Regrole
            | ScalarType::Regoper
            | ScalarType::Regoperator
            | ScalarType::Regcollation
            | ScalarType::Money
            | ScalarType::UInt2
            | ScalarType::UInt4
            | ScalarType::UInt8
            | ScalarType::Float4
            | ScalarType::Float8
            | ScalarType::Numeric => TypeCategory::Numeric,
            ScalarType::Text | ScalarType::Varchar | ScalarType::Bpchar | ScalarType::Name => {
                TypeCategory::String
            }
            ScalarType::InternalChar => TypeCategory::InternalUse,
            ScalarType::Date
            | ScalarType::Time
            | ScalarType::TimeTz
            | ScalarType::Timestamp
            | ScalarType::TimestampTz => TypeCategory::DateTime,
            ScalarType::Inet | ScalarType::Cidr => TypeCategory::Network,
            ScalarType::Bit | ScalarType::Varbit => TypeCategory::BitString,
            ScalarType::Range(_) | ScalarType::Multirange(_) => TypeCategory::Range,
            ScalarType::Enum(_) => TypeCategory::Enum,
            ScalarType::Composite(_) => TypeCategory::Composite,
            ScalarType::Domain(definition) => definition.base.scalar_type.category(),
            ScalarType::Interval => TypeCategory::Timespan,
            ScalarType::Bytea
            | ScalarType::Uuid
            | ScalarType::Jsonb
            | ScalarType::Json
            | ScalarType::Jsonpath
            | ScalarType::Macaddr
            | ScalarType::Macaddr8
            | ScalarType::Xid
            | ScalarType::PgLsn
            | ScalarType::MzTimestamp
            | ScalarType::Map(_) => TypeCategory::User,
            ScalarType::Array(_)
            | ScalarType::List(_)
            | ScalarType::Int2Vector
            | ScalarType::OidVector => TypeCategory::Array,
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
                | ScalarType::Inet
                | ScalarType::Varbit
        )
    }

    /// Whether the order of encoded bytes is SQL's order, so that ranges can be looked up.
    pub fn is_byte_ordered(&self) -> bool {
        match self {
            ScalarType::Bytea
            | ScalarType::Jsonb
            | ScalarType::Json
            | ScalarType::Jsonpath
            | ScalarType::Bit
            | ScalarType::Varbit
            | ScalarType::Inet
            | ScalarType::Cidr
            | ScalarType::Map(_)
            | ScalarType::Array(_)
            | ScalarType::Int2Vector
            | ScalarType::OidVector
            | ScalarType::Composite(_)
            | ScalarType::Record(_) => false,
            // What follows a value that has several forms would be compared too late.
            ScalarType::Range(RangeKind::Numeric) | ScalarType::Multirange(RangeKind::Numeric) => {
                false
            }
            ScalarType::List(element) => {
                element.is_byte_ordered() && !element.has_equal_representations()
            }
            ScalarType::Domain(definition) => definition.base.scalar_type.is_byte_ordered(),
            _ => true,
        }
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
            | ScalarType::Range(RangeKind::Numeric)
            | ScalarType::Multirange(RangeKind::Numeric)
            | ScalarType::Jsonb => true,
            ScalarType::Array(element) | ScalarType::List(element) | ScalarType::Map(element) => {
                element.has_equal_representations()
            }
            ScalarType::Record(fields) => fields.iter().any(ScalarType::has_equal_representations),
            ScalarType::Composite(definition) => definition
                .fields
                .iter()
                .any(|(_, field)| field.scalar_type.has_equal_representations()),
            ScalarType::Domain(definition) => {
                definition.base.scalar_type.has_equal_representations()
            }
            _ => false,
        }
    }

    /// The type whose values these are: of a domain the type under all domains, else itself.
    pub fn base(&self) -> &ScalarType {
        let mut typ = self;
        while let ScalarType::Domain(definition) = typ {
            typ = &definition.base.scalar_type;
        }
        typ
    }

    /// Whether values hold oids that are shown as names.
    pub fn holds_reg(&self) -> bool {
        match self {
            ScalarType::Array(inner) | ScalarType::List(inner) | ScalarType::Map(inner) => {
                inner.holds_reg()
            }
            ScalarType::Record(fields) => fields.iter().any(ScalarType::holds_reg),
            ScalarType::Composite(composite) => {
                composite.fields.iter().any(|(_, typ)| typ.scalar_type.holds_reg())
            }
            ScalarType::Domain(domain) => domain.base.scalar_type.holds_reg(),
            other => other.is_reg(),
        }
    }

    /// Whether values are oids of other objects (`regclass` and its like).
    pub fn is_reg(&self) -> bool {
        matches!(
            self,
            ScalarType::Regclass
                | ScalarType::Regtype
                | ScalarType::Regproc
                | ScalarType::Regprocedure
                | ScalarType::Regnamespace
                | ScalarType::Regrole
                | ScalarType::Regoper
                | ScalarType::Regoperator
                | ScalarType::Regcollation
        )
    }

    /// Bytes of a value of fixed length (`pg_type.typlen`), or -1.
    pub fn type_length(&self) -> i16 {
        match self {
            ScalarType::Bool | ScalarType::InternalChar => 1,
            ScalarType::Int2 | ScalarType::UInt2 => 2,
            ScalarType::Int4
            | ScalarType::UInt4
            | ScalarType::Oid
            | ScalarType::Xid
            | ScalarType::Float4
            | ScalarType::Enum(_)
            | ScalarType::Date => 4,
            reg if reg.is_reg() => 4,
            ScalarType::Macaddr => 6,
            ScalarType::Int8
            | ScalarType::UInt8
            | ScalarType::MzTimestamp
            | ScalarType::Money
            | ScalarType::Macaddr8
            | ScalarType::PgLsn
            | ScalarType::Float8
            | ScalarType::Time
            | ScalarType::Timestamp
            | ScalarType::TimestampTz => 8,
            ScalarType::TimeTz => 12,
            ScalarType::Interval | ScalarType::Uuid => 16,
            ScalarType::Name => 64,
            ScalarType::Unknown => -2,
            ScalarType::Domain(definition) => definition.base.scalar_type.type_length(),
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
            ScalarType::Json => "json",
            ScalarType::Jsonpath => "jsonpath",
            ScalarType::TimeTz => "time with time zone",
            ScalarType::Money => "money",
            ScalarType::Bit => "bit",
            ScalarType::Varbit => "bit varying",
            ScalarType::Inet => "inet",
            ScalarType::Cidr => "cidr",
            ScalarType::Macaddr => "macaddr",
            ScalarType::Macaddr8 => "macaddr8",
            ScalarType::Xid => "xid",
            ScalarType::PgLsn => "pg_lsn",
            ScalarType::UInt2 => "uint2",
            ScalarType::UInt4 => "uint4",
            ScalarType::UInt8 => "uint8",
            ScalarType::MzTimestamp => "mz_timestamp",
            ScalarType::Int2Vector => "int2vector",
            ScalarType::OidVector => "oidvector",
            ScalarType::Regprocedure => "regprocedure",
            ScalarType::Regnamespace => "regnamespace",
            ScalarType::Regrole => "regrole",
            ScalarType::Regoper => "regoper",
            ScalarType::Regoperator => "regoperator",
            ScalarType::Regcollation => "regcollation",
            ScalarType::Range(kind) => kind.name(),
            ScalarType::Multirange(kind) => kind.multirange_name(),
            ScalarType::Enum(definition) => return write_type_name(f, &definition.name.name),
            ScalarType::Domain(definition) => return write_type_name(f, &definition.name.name),
            ScalarType::Composite(definition) => return write_type_name(f, &definition.name.name),
            ScalarType::List(element) => return write!(f, "{element} list"),
            ScalarType::Map(element) => return write!(f, "map[text=>{element}]"),
            ScalarType::Array(element) => return write!(f, "{element}[]"),
        })
    }
}

/// An identifier, in quotes where it needs them.
fn write_type_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { f.write_str(name) } else { write!(f, "\"{}\"", name.replace('"', "\"\"")) }
}
