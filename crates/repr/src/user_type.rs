//! Types that users create: enums, domains, named composite types.
//!
//! A [`crate::ScalarType`] carries the definition whole, so that values can be read and shown
//! without the catalog. Two types are the same if their oids and definitions are.

use serde::{Deserialize, Serialize};

use crate::id::Oid;
use crate::types::{ColumnType, ScalarType};

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

impl CompositeType {
    /// The types of the fields.
    pub fn field_types(&self) -> Vec<ScalarType> {
        self.fields.iter().map(|(_, typ)| typ.scalar_type.clone()).collect()
    }
}

impl ScalarType {
    /// The name and the oids, if it is a type that a user created.
    pub fn created(&self) -> Option<&TypeName> {
        match self {
            ScalarType::Enum(definition) => Some(&definition.name),
            ScalarType::Domain(definition) => Some(&definition.name),
            ScalarType::Composite(definition) => Some(&definition.name),
            _ => None,
        }
    }

    /// The created types that it names: itself, or what it is an array, list or map of.
    pub fn names(&self, found: &mut Vec<Oid>) {
        match self {
            ScalarType::Array(element) | ScalarType::List(element) | ScalarType::Map(element) => {
                element.names(found);
            }
            ScalarType::Record(fields) => fields.iter().for_each(|field| field.names(found)),
            other => found.extend(other.created().map(|name| name.oid)),
        }
    }

    /// Puts a created type's new definition wherever its old one is, at any depth. Tells whether
    /// there was one.
    pub fn redefine(&mut self, new: &ScalarType) -> bool {
        let oid = new.created().map(|name| name.oid);
        if oid.is_some() && self.created().map(|name| name.oid) == oid {
            let changed = self != new;
            *self = new.clone();
            return changed;
        }
        match self {
            ScalarType::Array(element) | ScalarType::List(element) | ScalarType::Map(element) => {
                element.redefine(new)
            }
            ScalarType::Record(fields) => {
                fields.iter_mut().fold(false, |changed, field| field.redefine(new) | changed)
            }
            ScalarType::Domain(definition) => {
                let mut inner = (**definition).clone();
                let changed = inner.base.scalar_type.redefine(new);
                if changed {
                    *definition = inner.into();
                }
                changed
            }
            ScalarType::Composite(definition) => {
                let mut inner = (**definition).clone();
                let changed = inner
                    .fields
                    .iter_mut()
                    .fold(false, |changed, (_, field)| field.scalar_type.redefine(new) | changed);
                if changed {
                    *definition = inner.into();
                }
                changed
            }
            _ => false,
        }
    }
}
