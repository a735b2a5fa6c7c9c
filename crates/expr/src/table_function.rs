//! Functions that give rows: `generate_series`, `unnest`, `jsonb_array_elements`, ..

mod lock_step;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidemill_repr::{Datum, RowBuilder, ScalarType};

use crate::error::EvalError;
use crate::function::TypePattern;
use crate::scalar::EvalContext;

pub use lock_step::{Part, in_lock_step, single_value};

/// The code of a table function: calls `emit` for each row it gives, in order, with a builder
/// that holds that row.
pub type TableEval =
    for<'a> fn(&[Datum<'a>], EvalContext<'a>, &mut dyn FnMut(&RowBuilder)) -> Result<(), EvalError>;

/// A function that gives rows.
pub struct TableFunction {
    /// Unique over all table functions, and stable.
    pub id: &'static str,
    /// The SQL name.
    pub name: &'static str,
    /// Types of the arguments.
    pub arguments: &'static [TypePattern],
    /// Whether NULL in any argument gives no rows.
    pub strict: bool,
    /// Name and type of each column of the result. A function with one column names it after
    /// itself unless it has a name here that is not empty.
    pub columns: &'static [(&'static str, TypePattern)],
    /// The code.
    pub eval: TableEval,
    /// The functions that run in lock step, in place of the code; empty for a plain function.
    pub parts: &'static [Part],
    /// Whether the rows of the parts are numbered, in one more column.
    pub ordinality: bool,
    /// One sentence for the documentation.
    pub doc: &'static str,
}

impl TableFunction {
    /// Calls `emit` for each row.
    ///
    /// # Errors
    /// The arguments have no rows.
    pub fn call<'a>(
        &self,
        values: &[Datum<'a>],
        context: EvalContext<'a>,
        emit: &mut dyn FnMut(&RowBuilder),
    ) -> Result<(), EvalError> {
        if !self.parts.is_empty() {
            return lock_step::call(self, values, context, emit);
        }
        if self.strict && values.iter().any(Datum::is_null) {
            return Ok(());
        }
        (self.eval)(values, context, emit)
    }

    /// A pattern that is exactly this type; for tables of definitions.
    pub const fn is(typ: ScalarType) -> TypePattern {
        TypePattern::Is(typ)
    }
}

/// A table function by reference; it is written and compared as its id.
#[derive(Clone, Copy)]
pub struct TableFunctionRef(pub &'static TableFunction);

impl TableFunctionRef {
    /// The function with this id, several in lock step among them.
    pub fn by_id(id: &str) -> Option<TableFunctionRef> {
        match crate::functions::table_by_id(id) {
            Some(function) => Some(TableFunctionRef(function)),
            None => lock_step::by_id(id),
        }
    }
}

impl std::ops::Deref for TableFunctionRef {
    type Target = TableFunction;

    fn deref(&self) -> &TableFunction {
        self.0
    }
}

impl fmt::Debug for TableFunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

impl PartialEq for TableFunctionRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for TableFunctionRef {}

impl PartialOrd for TableFunctionRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TableFunctionRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.id.cmp(other.0.id)
    }
}

impl std::hash::Hash for TableFunctionRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl Serialize for TableFunctionRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.id)
    }
}

impl<'de> Deserialize<'de> for TableFunctionRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        TableFunctionRef::by_id(&id)
            .ok_or_else(|| serde::de::Error::custom(format!("no table function has the id {id}")))
    }
}
