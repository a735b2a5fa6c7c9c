//! Types that users create: enums, domains, named composite types.
//!
//! A [`crate::ScalarType`] carries the definition whole, so that values can be read and shown
//! without the catalog. Two types are the same if their oids and definitions are.

use serde::{Deserialize, Serialize};

use crate::id::Oid;
use crate::types::ColumnType;

/// What all created types have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TypeName {
    /// Its oid.
    pub oid: Oid,
    /// The oid of the array type over it.
    pub array_oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name, without schema.
    pub name: String,
}

/// `CREATE TYPE .. AS ENUM`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnumType {
    /// Name and oids.
    pub name: TypeName,
    /// The labels in order, each with the bits of its place in the order (a positive `f32`, as
    /// `pg_enum.enumsortorder`: a label added between two others gets a number between theirs).
    pub labels: Vec<(u32, String)>,
}

impl EnumType {
    /// The place of a label in the order.
    pub fn order_of(&self, label: &str) -> Option<f32> {
        let found = self.labels.iter().find(|(_, candidate)| candidate == label)?;
        Some(f32::from_bits(found.0))
    }
}

/// `CREATE DOMAIN`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DomainType {
    /// Name and oids.
    pub name: TypeName,
    /// The type under it, which may be a domain again; nullable unless NOT NULL is declared.
    pub base: ColumnType,
}

/// `CREATE TYPE .. AS (..)`, or the row type of a relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CompositeType {
    /// Name and oids.
    pub name: TypeName,
    /// Names and types of the fields.
    pub fields: Vec<(String, ColumnType)>,
}
