//! What the rows of a table must satisfy, and the columns and counters that fill themselves.

use serde::{Deserialize, Serialize};
use tidemill_repr::{ObjectId, Oid, RelationDesc};

use crate::name::quote_identifier;

/// A constraint of a table. NOT NULL is part of a column's type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name; unique among the constraints of the table.
    pub name: String,
    /// What it says.
    pub kind: ConstraintKind,
}

/// What a constraint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConstraintKind {
    /// The index of this name, in the table's schema, holds each key once.
    Key {
        /// What must be unique.
        key: UniqueKey,
        /// The index that says which keys are there.
        index: ObjectId,
    },
    /// An expression over the columns must not be false.
    Check {
        /// The expression, as SQL text.
        expr: String,
    },
}

/// Columns whose values together are unique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    /// Positions of the columns.
    pub columns: Vec<usize>,
    /// Whether NULL equals NULL.
    pub nulls_not_distinct: bool,
    /// Whether it is the primary key.
    pub primary: bool,
}

/// Where a column's values come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generation {
    /// `serial`: the next of a sequence is the default.
    Serial(ObjectId),
    /// `GENERATED .. AS IDENTITY`
    Identity {
        /// Whether other values are refused.
        always: bool,
        /// The sequence.
        sequence: ObjectId,
    },
    /// `GENERATED ALWAYS AS (..) STORED`: the expression as SQL text.
    Stored(String),
}

/// A counter. Where it stands is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The type of its numbers: `smallint`, `integer` or `bigint`.
    pub data_type: String,
    /// The first number.
    pub start: i64,
    /// The step.
    pub increment: i64,
    /// The least number.
    pub min: i64,
    /// The greatest number.
    pub max: i64,
    /// How many numbers a session takes at once, as it was asked for.
    pub cache: i64,
    /// Whether it begins again after the last number.
    pub cycle: bool,
    /// The column it goes with: the table and the position.
    pub owned_by: Option<(ObjectId, usize)>,
}

impl Generation {
    /// The sequence that the default is taken from.
    pub fn sequence(&self) -> Option<ObjectId> {
        match self {
            Generation::Serial(sequence) | Generation::Identity { sequence, .. } => Some(*sequence),
            Generation::Stored(_) => None,
        }
    }
}

impl Constraint {
    /// The key, if it is one, and its index.
    pub fn key(&self) -> Option<(&UniqueKey, ObjectId)> {
        match &self.kind {
            ConstraintKind::Key { key, index } => Some((key, *index)),
            ConstraintKind::Check { .. } => None,
        }
    }
}

/// What a constraint says, as `pg_get_constraintdef` shows it.
pub fn definition_sql(desc: &RelationDesc, constraint: &Constraint) -> String {
    match &constraint.kind {
        ConstraintKind::Check { expr } => format!("CHECK ({expr})"),
        ConstraintKind::Key { key, .. } => {
            let columns: Vec<String> = key
                .columns
                .iter()
                .filter_map(|column| desc.columns.get(*column))
                .map(|column| quote_identifier(&column.name))
                .collect();
            let kind = match (key.primary, key.nulls_not_distinct) {
                (true, _) => "PRIMARY KEY",
                (false, true) => "UNIQUE NULLS NOT DISTINCT",
                (false, false) => "UNIQUE",
            };
            format!("{kind} ({})", columns.join(", "))
        }
    }
}

/// The oid of a constraint: made of the table's number and the constraint's position.
pub fn constraint_oid(table: ObjectId, position: usize) -> Oid {
    let number = match table {
        ObjectId::User(number) | ObjectId::System(number) | ObjectId::Transient(number) => number,
    };
    let number = u32::try_from(number & 0x003f_ffff).unwrap_or(0);
    Oid(0x4000_0000 | (number << 8) | u32::try_from(position & 0xff).unwrap_or(0))
}
