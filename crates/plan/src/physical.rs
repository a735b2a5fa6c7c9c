//! The workers' form: which operators run, over which arrangements.
//!
//! Relations between operators are streams of rows, unless an operator says that it reads an
//! arrangement. Row-wise work is fused into a [`MapFilterProject`] wherever rows are touched
//! anyway.
#![allow(missing_docs, reason = "an operator is described as a whole, not field by field")]

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tidemill_expr::{AggregateCall, EvalError, ScalarExpr, TableFunctionRef, WindowCall};
use tidemill_repr::{Diff, ObjectId, Row, Tick};

use crate::{ColumnOrder, Id, LocalId, RecursionLimit, RecursiveBinding};

/// Row-wise work in one step: extends the row by `scalars` (each may use the columns before it),
/// keeps it if all `predicates` are true (each over the extended row, evaluated as soon as its
/// columns are there, in order), and puts out the columns at `projection`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapFilterProject {
    /// Columns of the input.
    pub input_arity: usize,
    /// Columns added.
    pub scalars: Vec<ScalarExpr>,
    /// (how many columns must be there before it is evaluated, predicate), ascending.
    pub predicates: Vec<(usize, ScalarExpr)>,
    /// Columns of the result.
    pub projection: Vec<usize>,
}

impl MapFilterProject {
    /// Gives every row as it is.
    pub fn identity(arity: usize) -> MapFilterProject {
        MapFilterProject {
            input_arity: arity,
            scalars: Vec::new(),
            predicates: Vec::new(),
            projection: (0..arity).collect(),
        }
    }

    /// Whether every row is given as it is.
    pub fn is_identity(&self) -> bool {
        self.scalars.is_empty()
            && self.predicates.is_empty()
            && self.projection.len() == self.input_arity
            && self.projection.iter().enumerate().all(|(position, column)| position == *column)
    }
}

/// An arrangement: a relation indexed by key expressions. The stored key is the row of key
/// values; the stored value is the WHOLE row of the relation, so that nothing has to be put
/// together again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArrangementKey(pub Vec<ScalarExpr>);

/// How a tick compares with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TemporalComparison {
    /// `tick >= bound`
    From,
    /// `tick > bound`
    After,
    /// `tick < bound`
    Before,
    /// `tick <= bound`
    UpTo,
}

/// A bound of the ticks at which a row is there. Where it is NULL the row never is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TemporalBound {
    /// How a tick compares with it.
    pub comparison: TemporalComparison,
    /// An `mz_timestamp` over the row.
    pub expr: ScalarExpr,
}

/// What is to be maintained.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PhysicalPlan {
    /// Rows that are known, from the beginning of time on; or an error.
    Constant { rows: Result<Vec<(Row, Diff)>, EvalError> },
    /// Reads an import or a binding and does row-wise work. With `key`, it reads the
    /// arrangement by that key, which is there (imported, or made by [`PhysicalPlan::ArrangeBy`]
    /// under the same binding); with `literal` too, only the rows whose key is that row.
    Get { id: Id, key: Option<ArrangementKey>, literal: Option<Row>, mfp: MapFilterProject },
    /// Binds a relation. If the value is an [`PhysicalPlan::ArrangeBy`] its arrangements are
    /// shared by all Gets in the body.
    Let { id: LocalId, value: Box<PhysicalPlan>, body: Box<PhysicalPlan> },
    /// Relations that are computed from one another, for use in `body`; see
    /// [`RecursiveBinding`].
    LetRec {
        bindings: Vec<RecursiveBinding<PhysicalPlan>>,
        limit: RecursionLimit,
        body: Box<PhysicalPlan>,
    },
    /// Row-wise work.
    Mfp { input: Box<PhysicalPlan>, mfp: MapFilterProject },
    /// Each row from the first to the last tick at which all bounds hold.
    TemporalFilter { input: Box<PhysicalPlan>, bounds: Vec<TemporalBound> },
    /// A table function for each row, then row-wise work over input columns and function columns.
    FlatMap {
        input: Box<PhysicalPlan>,
        function: TableFunctionRef,
        arguments: Vec<ScalarExpr>,
        mfp: MapFilterProject,
    },
    /// A join in a chain of binary steps.
    Join(Box<LinearJoin>),
    /// A reduction; then row-wise work over (keys, aggregates).
    Reduce(Box<ReducePlan>),
    /// First rows of groups.
    TopK {
        input: Box<PhysicalPlan>,
        /// Columns of the input.
        arity: usize,
        group_key: Vec<usize>,
        order_by: Vec<ColumnOrder>,
        limit: Option<ScalarExpr>,
        offset: u64,
    },
    /// Window calls behind the columns of the input, partition by partition.
    Window {
        input: Box<PhysicalPlan>,
        /// Columns of the input.
        arity: usize,
        partition_by: Vec<usize>,
        order_by: Vec<ColumnOrder>,
        calls: Vec<WindowCall>,
    },
    /// All diffs negated.
    Negate { input: Box<PhysicalPlan> },
    /// Rows with positive counts.
    Threshold { input: Box<PhysicalPlan>, arity: usize },
    /// All rows of all inputs.
    Union { inputs: Vec<PhysicalPlan> },
    /// Arranges the input by each key (and passes rows on to who wants them as a stream).
    ArrangeBy { input: Box<PhysicalPlan>, keys: Vec<ArrangementKey>, arity: usize },
}

/// `inputs[0]` is joined with each further one in turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinearJoin {
    /// The first relation, as a stream.
    pub source: PhysicalPlan,
    /// Row-wise work on the first relation.
    pub source_mfp: MapFilterProject,
    /// The steps in order.
    pub stages: Vec<JoinStage>,
}

/// One step: the stream so far is arranged by `stream_key`, `lookup` is an arrangement by
/// `lookup_key`; rows whose keys are equal in bytes and have no NULL are paired.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JoinStage {
    /// Key over the stream's columns. Empty for a product.
    pub stream_key: Vec<ScalarExpr>,
    /// The other relation. If it is a Get with this key (identity mfp), its arrangement is used
    /// as it is; otherwise its stream is arranged.
    pub lookup: PhysicalPlan,
    /// Key over the other relation's columns.
    pub lookup_key: Vec<ScalarExpr>,
    /// Row-wise work over (stream columns, lookup columns); its output is the next stream.
    pub mfp: MapFilterProject,
}

/// How a reduction is maintained. Columns of the result: key, then aggregates in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReducePlan {
    /// The relation.
    pub input: PhysicalPlan,
    /// Row-wise work on the input, before keys and arguments are evaluated.
    pub input_mfp: MapFilterProject,
    /// Keys over that.
    pub key: Vec<ScalarExpr>,
    /// Aggregates over that. None at all: distinct keys. The renderer splits them by how each
    /// is maintained: counts and exact sums in the diff; min and max in a tree of buckets; the
    /// rest by keeping each group's values.
    pub aggregates: Vec<AggregateCall>,
    /// Row-wise work over (key, aggregates).
    pub mfp: MapFilterProject,
}

/// One dataflow: what it reads, computes and puts out. A command of the compute protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowDescription {
    /// Name of the dataflow in commands and responses: never used again.
    pub id: ObjectId,
    /// All inputs are read as of this tick, and then followed.
    pub as_of: Tick,
    /// With `Some(t)` the dataflow ends once ticks below t are complete.
    pub until: Option<Tick>,
    /// Base collections that are fed to it.
    pub base_imports: Vec<BaseImport>,
    /// Those of them that another replica maintains: they are fed as they become complete there,
    /// and not by commits.
    pub followed: BTreeSet<ObjectId>,
    /// Base collections whose commits move it, beside its own: those that what it follows is
    /// made of.
    pub moved_by: BTreeSet<ObjectId>,
    /// Whether it hears of every tick, for other reasons than its plan.
    pub every_tick: bool,
    /// Arrangements of other dataflows on the same replica.
    pub index_imports: Vec<IndexImport>,
    /// What to compute, in order; later plans may Get earlier ones by `Id::Global`.
    pub objects: Vec<(ObjectId, PhysicalPlan)>,
    /// What to put out.
    pub exports: Vec<Export>,
}

/// A base collection as an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImport {
    /// The collection.
    pub id: ObjectId,
    /// Its columns.
    pub arity: usize,
}

/// An arrangement exported by another dataflow, as an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexImport {
    /// The index or materialized view that exports it.
    pub index: ObjectId,
    /// The relation that is arranged: what Gets name.
    pub on: ObjectId,
    /// Its key.
    pub key: ArrangementKey,
    /// Columns of the relation.
    pub arity: usize,
}

/// What a dataflow puts out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Export {
    /// An arrangement, kept, shared with other dataflows and published for sessions to read.
    /// (A materialized view exports one too, by all its columns.)
    Index {
        /// The index.
        id: ObjectId,
        /// The relation it is on, one of `objects` or imports.
        on: ObjectId,
        /// Its key.
        key: ArrangementKey,
        /// Columns of the relation.
        arity: usize,
    },
    /// A stream of updates to whoever subscribed under this id, complete tick by tick.
    Subscribe {
        /// The subscription.
        id: ObjectId,
        /// The relation, one of `objects` or imports.
        on: ObjectId,
        /// Whether the content at `as_of` is given first (as updates at `as_of`).
        snapshot: bool,
    },
}

impl DataflowDescription {
    /// Whether something in it changes while no input does.
    pub fn follows_time(&self) -> bool {
        self.every_tick || self.objects.iter().any(|(_, plan)| plan.follows_time())
    }

    /// The base collections whose commits move it, those of its index imports left out.
    pub fn moved_by(&self) -> BTreeSet<ObjectId> {
        let own = self.base_imports.iter().map(|import| import.id);
        own.chain(self.moved_by.iter().copied()).collect()
    }
}

impl PhysicalPlan {
    /// The plans right below.
    pub fn children(&self) -> Vec<&PhysicalPlan> {
        match self {
            PhysicalPlan::Constant { .. } | PhysicalPlan::Get { .. } => Vec::new(),
            PhysicalPlan::Let { value, body, .. } => vec![value, body],
            PhysicalPlan::LetRec { bindings, body, .. } => {
                bindings.iter().map(|binding| &binding.value).chain([&**body]).collect()
            }
            PhysicalPlan::Mfp { input, .. }
            | PhysicalPlan::TemporalFilter { input, .. }
            | PhysicalPlan::FlatMap { input, .. }
            | PhysicalPlan::TopK { input, .. }
            | PhysicalPlan::Negate { input }
            | PhysicalPlan::Threshold { input, .. }
            | PhysicalPlan::Window { input, .. }
            | PhysicalPlan::ArrangeBy { input, .. } => vec![input],
            PhysicalPlan::Join(join) => {
                [&join.source].into_iter().chain(join.stages.iter().map(|s| &s.lookup)).collect()
            }
            PhysicalPlan::Reduce(reduce) => vec![&reduce.input],
            PhysicalPlan::Union { inputs } => inputs.iter().collect(),
        }
    }

    fn follows_time(&self) -> bool {
        crate::relation::build::grow(|| {
            matches!(self, PhysicalPlan::TemporalFilter { .. })
                || self.children().into_iter().any(PhysicalPlan::follows_time)
        })
    }

    /// Adds the imports and bindings that are read by this plan, those that it binds itself
    /// included.
    pub fn reads(&self, found: &mut BTreeSet<Id>) {
        if let PhysicalPlan::Get { id, .. } = self {
            found.insert(*id);
        }
        crate::relation::build::grow(|| {
            self.children().into_iter().for_each(|child| child.reads(found));
        });
    }
}
