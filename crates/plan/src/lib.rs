//! Relational plans, in three forms, as data: no algorithm lives here.
//!
//! 1. [`query`]: what the SQL planner makes; nested scopes, subqueries inside expressions.
//! 2. [`relation`]: after decorrelation; what the optimiser rewrites. Every relation is a
//!    multiset; a join is an n-ary equi-join; difference is negation and union.
//! 3. [`physical`]: what the workers render; each operator says which arrangements it uses.
//!
//! `optimize` goes from each to the next. All three are serialisable and have EXPLAIN texts
//! ([`explain`]).

pub mod explain;
pub mod mfp;
pub mod physical;
pub mod query;
pub mod relation;

pub use query::{QueryExpr, QueryScalar};
pub use relation::{RelationExpr, RelationType};

use serde::{Deserialize, Serialize};
use tidemill_expr::aggregate::SortDirection;
use tidemill_repr::ObjectId;

/// A name bound by a Let inside one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalId(pub u64);

impl std::fmt::Display for LocalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "l{}", self.0)
    }
}

/// What a Get reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Id {
    /// An object of the catalog.
    Global(ObjectId),
    /// A binding of the plan.
    Local(LocalId),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Id::Global(id) => id.fmt(f),
            Id::Local(id) => id.fmt(f),
        }
    }
}

/// One binding of a recursion (`LetRec`), in each of the three forms.
///
/// The bindings of a recursion are computed one after the other, again and again: from nothing,
/// until none changes any more. A binding sees the present value of those before it, and the
/// previous value (of the round before) of itself and of those behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecursiveBinding<R> {
    /// What Gets name.
    pub id: LocalId,
    /// For EXPLAIN.
    pub name: String,
    /// What it becomes in each round.
    pub value: R,
    /// Its columns, all of which may be NULL; no keys.
    pub typ: RelationType,
}

/// What happens with a recursion that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecursionLimit {
    /// After how many rounds.
    pub rounds: u64,
    /// Whether what is there by then is the result; if not it is an error.
    pub returns: bool,
}

impl RecursionLimit {
    /// Where a recursion ends in an error that says nothing about a limit itself.
    pub const DEFAULT: RecursionLimit = RecursionLimit { rounds: 10_000_000, returns: false };
}

/// One key of an ORDER BY: a column and its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnOrder {
    /// Position of the column.
    pub column: usize,
    /// Its direction.
    pub direction: SortDirection,
}

/// How the rows of an answer are put in order and cut, after all else: the outermost ORDER BY,
/// LIMIT and OFFSET of a SELECT, applied by the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finishing {
    /// The order; ties in the order of the rows' bytes.
    pub order_by: Vec<ColumnOrder>,
    /// How many rows at most.
    pub limit: Option<u64>,
    /// How many to leave out first.
    pub offset: u64,
    /// Which columns remain, in order.
    pub project: Vec<usize>,
}
