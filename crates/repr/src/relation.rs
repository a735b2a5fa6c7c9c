//! The shape of a relation.

use serde::{Deserialize, Serialize};

use crate::id::Oid;
use crate::types::ColumnType;

/// One column: its name and type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// The name, as SQL shows it.
    pub name: String,
    /// The type.
    pub typ: ColumnType,
}

/// Names and types of a relation's columns, in order, and which sets of columns are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RelationDesc {
    /// The columns.
    pub columns: Vec<Column>,
    /// Sets of column positions; the values of each are unique over the rows.
    pub keys: Vec<Vec<usize>>,
    /// Of a result: which columns of relations its columns are. As many as columns, or none.
    #[serde(skip)]
    pub origins: Vec<Option<ColumnOrigin>>,
}

/// A column of a relation, as clients look it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColumnOrigin {
    /// The relation's `pg_class.oid`.
    pub relation: Oid,
    /// `pg_attribute.attnum`
    pub column: i16,
}

impl RelationDesc {
    /// A relation with these columns and no known key.
    pub fn new(columns: impl IntoIterator<Item = (impl Into<String>, ColumnType)>) -> RelationDesc {
        let columns =
            columns.into_iter().map(|(name, typ)| Column { name: name.into(), typ }).collect();
        RelationDesc { columns, ..RelationDesc::default() }
    }

    /// The same relation with one more key.
    pub fn with_key(mut self, key: Vec<usize>) -> RelationDesc {
        self.keys.push(key);
        self
    }

    /// How many columns there are.
    pub fn arity(&self) -> usize {
        self.columns.len()
    }

    /// The types of the columns, in order.
    pub fn types(&self) -> Vec<ColumnType> {
        self.columns.iter().map(|column| column.typ.clone()).collect()
    }

    /// The position of the first column with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
