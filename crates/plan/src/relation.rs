//! The optimiser's form: relations without correlation.
#![allow(missing_docs, reason = "an operator is described as a whole, not field by field")]

pub mod build;
pub mod types;

use serde::{Deserialize, Serialize};
use tidemill_expr::{AggregateCall, EvalError, ScalarExpr, TableFunctionRef, WindowCall};
use tidemill_repr::{ColumnType, Diff, Row};

use crate::{ColumnOrder, Id, LocalId, RecursionLimit, RecursiveBinding};

/// Column types and known keys of a relation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationType {
    /// Types in order.
    pub columns: Vec<ColumnType>,
    /// Sets of columns that are unique.
    pub keys: Vec<Vec<usize>>,
}

impl RelationType {
    /// Columns without a known key.
    pub fn new(columns: Vec<ColumnType>) -> RelationType {
        RelationType { columns, keys: Vec::new() }
    }

    /// How many columns there are.
    pub fn arity(&self) -> usize {
        self.columns.len()
    }
}

/// A relation. Equality in keys, joins, DISTINCT and unions is equality of row bytes: where a
/// type has equal values with different bytes
/// ([`tidemill_repr::ScalarType::has_equal_representations`]), decorrelation has put the
/// canonical form there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RelationExpr {
    /// Rows that are known, or an error.
    Constant { rows: Result<Vec<(Row, Diff)>, EvalError>, typ: RelationType },
    /// A catalog object or binding.
    Get { id: Id, typ: RelationType },
    /// Names a relation for use in `body`.
    Let { id: LocalId, value: Box<RelationExpr>, body: Box<RelationExpr> },
    /// Relations that are computed from one another, for use in `body`; see
    /// [`RecursiveBinding`].
    LetRec {
        bindings: Vec<RecursiveBinding<RelationExpr>>,
        limit: RecursionLimit,
        body: Box<RelationExpr>,
    },
    /// Columns by position.
    Project { input: Box<RelationExpr>, outputs: Vec<usize> },
    /// The input's columns, then these; each may use those before it.
    Map { input: Box<RelationExpr>, scalars: Vec<ScalarExpr> },
    /// The rows for which all predicates are true.
    Filter { input: Box<RelationExpr>, predicates: Vec<ScalarExpr> },
    /// For each input row, the rows of a table function; input columns first.
    FlatMap {
        input: Box<RelationExpr>,
        function: TableFunctionRef,
        arguments: Vec<ScalarExpr>,
        typ: Vec<ColumnType>,
    },
    /// The product of the inputs, columns one after the other, where in each class of
    /// `equivalences` all expressions (over the product's columns) are equal in bytes and not
    /// NULL.
    Join { inputs: Vec<RelationExpr>, equivalences: Vec<Vec<ScalarExpr>> },
    /// Groups by expressions; result: those, then the aggregates. An empty input gives no row,
    /// also without group key. Without aggregates: distinct keys. NULL keys group together.
    Reduce {
        input: Box<RelationExpr>,
        group_key: Vec<ScalarExpr>,
        aggregates: Vec<AggregateCall>,
        /// Types of the aggregates' results.
        typ: Vec<ColumnType>,
    },
    /// In each group the first rows of an order.
    TopK {
        input: Box<RelationExpr>,
        group_key: Vec<usize>,
        order_by: Vec<ColumnOrder>,
        /// `int8` over the group key's columns (positions in the input) or a literal; NULL or
        /// None is no limit.
        limit: Option<ScalarExpr>,
        offset: u64,
    },
    /// The input's columns, then one for each window call, computed from the rows of the same
    /// partition: those whose values at `partition_by` are equal in bytes. Rows that tie in the order
    /// are in the order of their bytes; a row that is there twice is two rows.
    Window {
        input: Box<RelationExpr>,
        partition_by: Vec<usize>,
        order_by: Vec<ColumnOrder>,
        calls: Vec<WindowCall>,
    },
    /// All diffs negated.
    Negate { input: Box<RelationExpr> },
    /// Only rows with a positive count.
    Threshold { input: Box<RelationExpr> },
    /// All rows of all inputs.
    Union { inputs: Vec<RelationExpr>, typ: RelationType },
}
