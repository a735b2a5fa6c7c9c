//! The planner's form: SQL with its names resolved and its types coerced, scopes still nested.
//!
//! A relation inside a scalar expression, or on the right of a LATERAL join, may use columns of
//! the relations around it: [`ColumnRef::level`] counts how many scopes out. `level` 0 is the
//! input row of the operator that holds the expression; for a subquery inside an expression,
//! and for the right side of a `Join` with `lateral`, level 1 is the row of that operator's
//! input (for a lateral join: the left side's row), and so on outwards.
#![allow(missing_docs, reason = "an operator is described as a whole, not field by field")]

use serde::{Deserialize, Serialize};
use tidemill_expr::aggregate::AggregateKind;
use tidemill_expr::aggregate::SortDirection;
use tidemill_expr::{EvalError, FunctionRef, TableFunctionRef, WindowCall};
use tidemill_repr::{ColumnType, Diff, Row};

use crate::relation::RelationType;
use crate::{ColumnOrder, Id, LocalId, RecursionLimit, RecursiveBinding};

/// A column of this or an outer scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnRef {
    /// How many scopes out; 0 is the operator's own input.
    pub level: usize,
    /// The position in that scope's row.
    pub column: usize,
}

/// Which rows of a join remain when nothing matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JoinKind {
    /// None (also CROSS, with a condition that is true).
    Inner,
    /// Those of the left side.
    Left,
    /// Those of the right side.
    Right,
    /// Those of both sides.
    Full,
}

/// A relation that may use columns of outer scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryExpr {
    /// Rows that are known.
    Constant { rows: Vec<(Row, Diff)>, typ: RelationType },
    /// A catalog object or a binding of [`QueryExpr::Let`].
    Get { id: Id, typ: RelationType },
    /// Names a relation for use in `body` (a CTE that is used). `name` is for EXPLAIN.
    Let { id: LocalId, name: String, value: Box<QueryExpr>, body: Box<QueryExpr> },
    /// Relations that are computed from one another, for use in `body`; see
    /// [`RecursiveBinding`].
    LetRec {
        bindings: Vec<RecursiveBinding<QueryExpr>>,
        limit: RecursionLimit,
        body: Box<QueryExpr>,
    },
    /// Columns by position, in this order.
    Project { input: Box<QueryExpr>, outputs: Vec<usize> },
    /// The input's columns followed by these; each may use those before it.
    Map { input: Box<QueryExpr>, scalars: Vec<QueryScalar> },
    /// The rows for which all predicates are true.
    Filter { input: Box<QueryExpr>, predicates: Vec<QueryScalar> },
    /// For each input row, the rows of a table function; input columns first.
    FlatMap {
        input: Box<QueryExpr>,
        function: TableFunctionRef,
        arguments: Vec<QueryScalar>,
        /// Types of the function's columns.
        typ: Vec<ColumnType>,
    },
    /// A join of two. `on` sees left columns, then right ones, at level 0. With `lateral` the
    /// right side sees the left row at level 1 (Inner and Left only); without, the right side
    /// has the same outer scopes as the left.
    Join {
        left: Box<QueryExpr>,
        right: Box<QueryExpr>,
        on: QueryScalar,
        kind: JoinKind,
        lateral: bool,
    },
    /// Groups by the values at positions; result: those, then the aggregates. With no group
    /// key there is exactly one row.
    Reduce { input: Box<QueryExpr>, group_key: Vec<usize>, aggregates: Vec<QueryAggregate> },
    /// Each row once.
    Distinct { input: Box<QueryExpr> },
    /// In each group the first rows of an order.
    TopK {
        input: Box<QueryExpr>,
        group_key: Vec<usize>,
        order_by: Vec<ColumnOrder>,
        /// A number of rows (`int8`), constant or from an outer scope; NULL is no limit.
        limit: Option<QueryScalar>,
        offset: u64,
    },
    /// The input's columns, then one for each window call, computed from the rows of the same
    /// partition: those whose values at `partition_by` are equal. Rows that tie in the order
    /// are in the order of their bytes; a row that is there twice is two rows.
    Window {
        input: Box<QueryExpr>,
        partition_by: Vec<usize>,
        order_by: Vec<ColumnOrder>,
        calls: Vec<WindowCall>,
    },
    /// All diffs negated.
    Negate { input: Box<QueryExpr> },
    /// Only rows with a positive count, with that count.
    Threshold { input: Box<QueryExpr> },
    /// All rows of all inputs (`UNION ALL`); the types agree.
    Union { inputs: Vec<QueryExpr> },
}

/// An aggregate over [`QueryScalar`]s; see [`tidemill_expr::AggregateCall`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryAggregate {
    /// How.
    pub kind: AggregateKind,
    /// Over what.
    pub argument: QueryScalar,
    /// Over distinct values only.
    pub distinct: bool,
    /// Directions of the order keys in the argument record.
    pub order: Vec<SortDirection>,
    /// The type of the result.
    pub typ: ColumnType,
}

/// A scalar expression that may hold subqueries and outer columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryScalar {
    /// A column of this or an outer scope.
    Column(ColumnRef),
    /// `$n`, counted from 1; replaced by a literal when bound.
    Parameter(usize, ColumnType),
    /// A constant, or an error raised on evaluation.
    Literal(Result<Row, EvalError>, ColumnType),
    /// A function call.
    Call { function: FunctionRef, arguments: Vec<QueryScalar>, typ: ColumnType },
    /// See [`tidemill_expr::ScalarExpr`] for these.
    And(Vec<QueryScalar>),
    /// Disjunction.
    Or(Vec<QueryScalar>),
    /// Negation.
    Not(Box<QueryScalar>),
    /// Whether NULL.
    IsNull(Box<QueryScalar>),
    /// First that is not NULL.
    Coalesce(Vec<QueryScalar>),
    /// Condition, then, else.
    If(Box<QueryScalar>, Box<QueryScalar>, Box<QueryScalar>),
    /// Whether the relation has a row.
    Exists(Box<QueryExpr>),
    /// The one column of the one row of the relation; NULL without row, an error with several.
    Subquery(Box<QueryExpr>),
}
