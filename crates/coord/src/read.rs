//! Reads: which way a query is answered, and the answer.
//!
//! 1. Constants are folded: nothing is read.
//! 2. One arrangement with row-wise work: the session reads the published batches by itself.
//! 3. Everything else: a short-lived dataflow, fed with the content at the read's tick.

mod scan;

use std::collections::BTreeSet;
use std::sync::Arc;

use bumpalo::Bump;
use tidemill_catalog::{Catalog, Definition, Item};
use tidemill_compute::IndexReader;
use tidemill_expr::{EvalContext, ScalarExpr};
use tidemill_optimize::{Definitions, IndexInfo, PeekPlan, PhysicalDataflow, temporal};
use tidemill_plan::physical::{ArrangementKey, DataflowDescription, Export, MapFilterProject};
use tidemill_plan::{Finishing, Id, QueryExpr, RelationExpr};
use tidemill_repr::{Datum, Diff, ObjectId, RelationDesc, Row, RowBuilder, RowRef, SqlError, Tick};

use self::scan::FirstRows;
use crate::dataflows::Place;
use crate::hydrate::Hydration;
use crate::replicas::{PoolId, Running};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::statements::own::{self, OwnWrites};

/// How a query is answered, and what it reads.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    /// The way.
    pub way: Way,
    /// The base collections it depends on.
    pub bases: BTreeSet<ObjectId>,
    /// The cluster that answers it.
    pub cluster: Arc<str>,
}

/// The ways to an answer.
#[derive(Clone, Debug)]
pub enum Way {
    /// Without dataflow.
    Peek(PeekPlan),
    /// By a dataflow that computes this.
    Dataflow(RelationExpr),
    /// It depends on the tick: it is this with the tick in the place of `mz_now()`.
    AtTick(RelationExpr),
}

impl ReadPlan {
    /// Whether nothing is read.
    pub fn is_constant(&self) -> bool {
        matches!(&self.way, Way::Peek(PeekPlan::Constant { .. }))
    }
}

/// A read that a prepared statement keeps from one execution to the next.
#[derive(Debug)]
pub enum CachedRead {
    /// The whole plan: the statement has no parameters.
    Plan(ReadPlan),
    /// A lookup whose key is made of parameters and constants.
    Lookup(crate::lookup::Lookup),
}

/// The catalog as the optimiser asks for it; only indexes that are there are told of.
pub struct CatalogDefinitions<'a> {
    catalog: &'a Catalog,
    shared: &'a Shared,
    /// Indexes that are complete only later are left out.
    at: Tick,
    /// Rows that only the reader sees.
    own: Option<&'a OwnWrites>,
    /// The cluster: indexes of others are left out.
    cluster: &'a str,
    /// Where that runs.
    pool: PoolId,
    /// Whether what other clusters maintain can be read as well as what this one does: by
    /// sessions it can, by dataflows it cannot.
    any_pool: bool,
}

impl<'a> CatalogDefinitions<'a> {
    /// The definitions of a catalog, for what runs on a cluster.
    pub fn new(
        catalog: &'a Catalog,
        shared: &'a Shared,
        cluster: &'a str,
    ) -> CatalogDefinitions<'a> {
        let pool = PoolId::named(catalog, cluster);
        let any_pool = false;
        CatalogDefinitions { catalog, shared, at: Tick::MAX, own: None, cluster, pool, any_pool }
    }

    /// The same for a session that reads what is published.
    fn of_any_pool(&self) -> CatalogDefinitions<'a> {
        CatalogDefinitions { any_pool: true, ..*self }
    }

    /// The same for what runs in this pool.
    fn in_pool(self, pool: PoolId) -> CatalogDefinitions<'a> {
        CatalogDefinitions { pool, ..self }
    }

    /// Whether another cluster maintains a materialized view, so that its rows come from there.
    fn is_foreign(&self, id: ObjectId) -> bool {
        let is_materialized = self
            .catalog
            .item(id)
            .is_some_and(|item| matches!(item.definition, Definition::MaterializedView(_)));
        is_materialized
            && self.shared.dataflows.pool(id).is_some_and(|pool| pool != self.pool)
            && self.shared.replicas.serves(id, self.at)
    }

    /// The same for a read at a tick: without the indexes that were created after it.
    pub fn at(self, tick: Tick) -> CatalogDefinitions<'a> {
        CatalogDefinitions { at: tick, ..self }
    }

    /// The same for one who sees more than what is committed.
    pub(crate) fn with_own(self, own: Option<&'a OwnWrites>) -> CatalogDefinitions<'a> {
        CatalogDefinitions { own, ..self }
    }
}

/// The key of the arrangement that a materialized view keeps of its rows: a unique key where one
/// is known, else the first column.
pub fn materialized_key(desc: &RelationDesc) -> Vec<ScalarExpr> {
    let columns = match desc.keys.first() {
        Some(key) if !key.is_empty() => key.clone(),
        _ => (0..desc.arity().min(1)).collect(),
    };
    columns.into_iter().map(ScalarExpr::Column).collect()
}

impl Definitions for CatalogDefinitions<'_> {
    fn view(&self, id: ObjectId) -> Option<Arc<QueryExpr>> {
        if let Some(view) = self.own.and_then(|own| own.view(self.catalog, id)) {
            return Some(view);
        }
        let is_base = |item: &Arc<Item>| item.is_base();
        if self.is_foreign(id) || self.catalog.item(id).is_some_and(is_base) {
            return None;
        }
        self.catalog.item(id)?.view()?.query.clone()
    }

    fn indexes_on(&self, id: ObjectId) -> Vec<IndexInfo> {
        if self.own.is_some_and(|own| own.hides_indexes(self.catalog, id)) {
            return Vec::new();
        }
        let id = own::revealed(id);
        let mut found: Vec<IndexInfo> = self
            .catalog
            .indexes_on(id)
            .filter_map(|item| match &item.definition {
                // The index of a constraint belongs to the table, not to a cluster.
                Definition::Index(index)
                    if index.unique.is_some() || index.cluster == self.cluster =>
                {
                    Some(IndexInfo { index: item.id, key: index.key.clone() })
                }
                _ => None,
            })
            .collect();
        if let Some(Definition::MaterializedView(materialized)) =
            self.catalog.item(id).map(|item| &item.definition)
        {
            found.push(IndexInfo { index: id, key: materialized_key(&materialized.view.desc) });
        }
        found.retain(|info| {
            let pool = self.shared.dataflows.pool(info.index);
            pool.is_some_and(|pool| self.any_pool || pool == self.pool)
                && self.shared.dataflows.as_of(info.index) <= self.at
                && self.shared.replicas.serves(info.index, self.at)
        });
        found
    }

    fn is_base(&self, id: ObjectId) -> bool {
        if self.own.is_some_and(|own| own.view(self.catalog, id).is_some()) {
            return false;
        }
        let id = own::revealed(id);
        self.catalog.item(id).is_some_and(|item| item.is_base()) || self.is_foreign(id)
    }

    fn arity(&self, id: ObjectId) -> usize {
        let id = own::revealed(id);
        self.catalog.item(id).and_then(|item| item.desc()).map_or(0, RelationDesc::arity)
    }

    fn keys(&self, id: ObjectId) -> Vec<Vec<usize>> {
        let id = own::revealed(id);
        self.catalog
            .item(id)
            .and_then(|item| item.desc())
            .map_or(Vec::new(), |desc| desc.keys.clone())
    }
}

/// The base collections that a relation reads.
pub fn bases_of(catalog: &Catalog, relation: &RelationExpr) -> BTreeSet<ObjectId> {
    relation
        .uses()
        .keys()
        .filter_map(|id| match id {
            Id::Global(id) => Some(*id),
            Id::Local(_) => None,
        })
        .flat_map(|id| catalog.base_collections(id))
        .collect()
}

/// Decides how a query is answered whose rows are then finished, if it is read at a tick that is
/// not before `at` by one who sees `own` rows too.
///
/// # Errors
/// The query has no plan.
pub(crate) fn plan_read(
    shared: &Shared,
    catalog: &Catalog,
    (query, finishing): (&QueryExpr, &Finishing),
    (at, cluster): (Tick, &str),
    own: Option<&OwnWrites>,
) -> Result<ReadPlan, SqlError> {
    let definitions = CatalogDefinitions::new(catalog, shared, cluster).at(at).with_own(own);
    let mut relation = tidemill_optimize::optimize(query, &definitions)?;
    let peek = tidemill_optimize::peek_plan(&relation, finishing, &definitions.of_any_pool());
    own::reveal(&mut relation);
    let bases = bases_of(catalog, &relation);
    let way = match peek {
        _ if temporal::uses_now(&relation) => Way::AtTick(relation),
        Some(peek) => Way::Peek(peek),
        None => Way::Dataflow(relation),
    };
    Ok(ReadPlan { way, bases, cluster: cluster.into() })
}

/// The dataflow that computes a relation for one export from `at` on, or from later.
///
/// # Errors
/// The relation cannot be computed.
pub fn relation_dataflow(
    shared: &Shared,
    catalog: &Catalog,
    relation: RelationExpr,
    object: ObjectId,
    (at, cluster): (Tick, &str),
) -> Result<PhysicalDataflow, SqlError> {
    let definitions = CatalogDefinitions::new(catalog, shared, cluster).at(at);
    tidemill_optimize::physical(&[(object, relation)], &definitions)
}

/// The dataflow that maintains an index or materialized view; its `as_of` is to be set.
///
/// # Errors
/// It has no plan.
pub fn maintained_dataflow(
    shared: &Shared,
    catalog: &Catalog,
    id: ObjectId,
) -> Result<DataflowDescription, SqlError> {
    let missing = || SqlError::internal(format!("no object {id} to maintain"));
    let item = catalog.item(id).ok_or_else(missing)?;
    let cluster = item.cluster().unwrap_or_default();
    let pool = PoolId::of_object(catalog, id);
    let definitions = CatalogDefinitions::new(catalog, shared, cluster).in_pool(pool);
    let (on, key) = match &item.definition {
        Definition::Index(index) => (index.on, index.key.clone()),
        Definition::MaterializedView(materialized) => {
            (id, materialized_key(&materialized.view.desc))
        }
        _ => return Err(missing()),
    };
    let on_item = catalog.item(on).ok_or_else(missing)?;
    let arranged = !definitions.indexes_on(on).is_empty() || definitions.is_base(on);
    let dataflow = match on_item.view() {
        Some(view) if !arranged => {
            let query = view.query.as_ref().ok_or_else(missing)?;
            let relation = tidemill_optimize::optimize(query, &definitions)?;
            tidemill_optimize::physical(&[(on, relation)], &definitions)?
        }
        _ => {
            let mut dataflow = PhysicalDataflow::default();
            dataflow.import(on, &definitions);
            dataflow
        }
    };
    let export = Export::Index { id, on, key: ArrangementKey(key), arity: definitions.arity(on) };
    Ok(dataflow.describe(id, Tick::MIN, None, vec![export]))
}

/// Waits until the tables a read depends on have their first content, in a tick that may be read.
/// Gives a snapshot in which they have.
///
/// # Errors
/// The server shuts down.
pub async fn wait_hydrated(
    shared: &Shared,
    mut snapshot: Arc<Snapshot>,
    bases: &BTreeSet<ObjectId>,
) -> Result<Arc<Snapshot>, SqlError> {
    let waits = |snapshot: &Snapshot| {
        bases
            .iter()
            .any(|id| snapshot.hydrating.contains(id) && !snapshot.table_errors.contains_key(id))
    };
    if waits(&snapshot) {
        let mut published = shared.watch_published();
        loop {
            snapshot = shared.snapshot();
            if !waits(&snapshot) {
                break;
            }
            published.changed().await.map_err(|_| crate::shared::shutting_down())?;
        }
    }
    shared.wait_readable(snapshot.settled(bases.iter().copied())).await?;
    Ok(snapshot)
}

/// Answers a read at a tick that is readable and held: rows with their counts, those that the
/// finishing needs.
///
/// # Errors
/// A row cannot be computed, or a table it reads is in an error.
pub async fn read(
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    (plan, finishing): (&ReadPlan, &Finishing),
    tick: Tick,
) -> Result<Vec<(Row, Diff)>, SqlError> {
    match &plan.way {
        Way::Peek(PeekPlan::Constant { rows, mfp }) => {
            let rows = rows.clone()?;
            let mut worker = RowWorker::new(mfp);
            for (row, diff) in &rows {
                worker.add(row.as_ref(), *diff)?;
            }
            Ok(worker.rows)
        }
        Way::Peek(PeekPlan::Index { index, access, order, mfp, .. }) => {
            let reader = ready_reader(shared, snapshot, *index, tick).await?;
            let first = FirstRows::new(finishing, *order);
            scan::read_index(&reader, (access, first), mfp, tick)
                .map_err(|error| or_gone(shared, &reader, error))
        }
        Way::Dataflow(relation) => {
            read_by_dataflow(shared, snapshot, relation.clone(), (tick, &plan.cluster)).await
        }
        Way::AtTick(relation) => {
            let mut relation = relation.clone();
            temporal::bind_now(&mut relation, tick);
            tidemill_optimize::rewrite(&mut relation);
            if let RelationExpr::Constant { rows, .. } = &relation {
                return Ok(rows.clone()?);
            }
            read_by_dataflow(shared, snapshot, relation, (tick, &plan.cluster)).await
        }
    }
}

async fn read_by_dataflow(
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    relation: RelationExpr,
    (tick, cluster): (Tick, &str),
) -> Result<Vec<(Row, Diff)>, SqlError> {
    let id = shared.transient_id();
    let at = (tick, cluster);
    let dataflow = relation_dataflow(shared, &snapshot.catalog, relation, id, at)?;
    run_dataflow(shared, snapshot, dataflow, id, at).await
}

/// The reader of an index whose content at a tick is complete.
///
/// # Errors
/// The index is gone, or its dataflow failed.
pub async fn ready_reader(
    shared: &Shared,
    snapshot: &Snapshot,
    index: ObjectId,
    tick: Tick,
) -> Result<IndexReader, SqlError> {
    // An index that was dropped since: the query is planned again without it.
    let gone = crate::sequencer::serialization_failure;
    let reader = shared.replicas.index_at(index, tick).ok_or_else(gone)?;
    // A new index is complete from the tick of its creation on. (Its since says nothing of that:
    // it moves on while nothing changes.)
    let needed = if shared.dataflows.follows_time(index) {
        tick
    } else {
        let moved_by = shared.dataflows.moved_by(index);
        snapshot.must_be_complete(tick, moved_by.iter().copied())
    };
    let complete = reader.wait_for(needed.max(reader.as_of().min(tick))).await;
    complete.map_err(|error| or_gone(shared, &reader, error.into()))?;
    Ok(reader)
}

/// The error of a read of an index; if that was dropped meanwhile, or began anew, the query is
/// planned again.
fn or_gone(shared: &Shared, reader: &IndexReader, error: SqlError) -> SqlError {
    if shared.replicas.has_reader(reader) {
        return error;
    }
    crate::sequencer::serialization_failure()
}

/// Answers a lookup at a tick that is readable and held.
///
/// # Errors
/// As [`read`].
pub async fn look_up(
    shared: &Shared,
    snapshot: &Snapshot,
    lookup: &crate::lookup::Lookup,
    key: &Row,
    tick: Tick,
) -> Result<Vec<(Row, Diff)>, SqlError> {
    let reader = ready_reader(shared, snapshot, lookup.index, tick).await?;
    let mut worker = RowWorker::new(&lookup.mfp);
    let mut add_all = || {
        for (row, diff) in reader.lookup(tick, key.as_ref())? {
            worker.add(row.as_ref(), diff)?;
        }
        Ok(())
    };
    add_all().map_err(|error| or_gone(shared, &reader, error))?;
    Ok(worker.rows)
}

/// Row-wise work on one row after the other.
pub struct RowWorker<'m> {
    mfp: &'m MapFilterProject,
    is_identity: bool,
    builder: RowBuilder,
    /// What came out so far.
    pub rows: Vec<(Row, Diff)>,
}

impl<'m> RowWorker<'m> {
    /// No rows yet.
    pub fn new(mfp: &'m MapFilterProject) -> RowWorker<'m> {
        RowWorker {
            mfp,
            is_identity: mfp.is_identity(),
            builder: RowBuilder::new(),
            rows: Vec::new(),
        }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// An expression has no value for it, or it is there less than no times.
    pub fn add(&mut self, row: RowRef<'_>, diff: Diff) -> Result<(), SqlError> {
        if diff < 0 {
            return Err(crate::finish::negative_count());
        }
        if self.is_identity {
            self.rows.push((row.to_owned(), diff));
            return Ok(());
        }
        let arena = Bump::new();
        let mut datums: Vec<Datum<'_>> = row.iter().collect();
        let context = EvalContext { arena: &arena };
        if self.mfp.evaluate(&mut datums, context, &mut self.builder)? {
            self.rows.push((self.builder.finish(), diff));
        } else {
            self.builder.clear();
        }
        Ok(())
    }
}

/// Drops a dataflow when its reader goes away.
pub(crate) struct DropDataflow<'a> {
    shared: &'a Shared,
    id: Option<ObjectId>,
}

impl<'a> DropDataflow<'a> {
    /// Drops this dataflow, unless it is kept.
    pub fn new(shared: &'a Shared, id: ObjectId) -> DropDataflow<'a> {
        DropDataflow { shared, id: Some(id) }
    }

    /// Somebody else drops it.
    pub fn keep(mut self) {
        self.id = None;
    }
}

impl Drop for DropDataflow<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.dataflows.drop(&self.shared.replicas, id);
        }
    }
}

/// The replica of a cluster for a dataflow that a statement needs.
///
/// # Errors
/// There is none.
pub(crate) fn replica_for(
    shared: &Shared,
    catalog: &Catalog,
    cluster: &str,
    dataflow: &DataflowDescription,
) -> Result<Arc<Running>, SqlError> {
    let imports: Vec<ObjectId> = dataflow.index_imports.iter().map(|import| import.index).collect();
    shared.replicas.pick(PoolId::named(catalog, cluster), &imports, dataflow.as_of)
}

/// Runs a dataflow to its result at one tick.
async fn run_dataflow(
    shared: &Arc<Shared>,
    snapshot: &Snapshot,
    dataflow: PhysicalDataflow,
    object: ObjectId,
    (tick, cluster): (Tick, &str),
) -> Result<Vec<(Row, Diff)>, SqlError> {
    let id = shared.transient_id();
    let export = Export::Subscribe { id, on: object, snapshot: true };
    let mut description = dataflow.describe(id, tick, Some(tick.next()), vec![export]);
    crate::follow::describe_followed(shared, &snapshot.catalog, &mut description);
    let on = replica_for(shared, &snapshot.catalog, cluster, &description)?;
    let mut batches = on.replica.subscribe(id);
    let hold = shared.holds.hold(tick);
    let description = Arc::new(description);
    let place = Place::Replica(Arc::downgrade(&on));
    let (number, on) = shared.dataflows.create(&shared.replicas, place, &description);
    let _drop = DropDataflow::new(shared, id);
    Hydration { shared: Arc::clone(shared), dataflow: description, number, on, hold }.start();
    let mut rows = Vec::new();
    while let Some(batch) = batches.recv().await {
        if let Some(error) = batch.error {
            return Err(error.into());
        }
        rows.extend(batch.updates.into_iter().map(|(row, _, diff)| (row, diff)));
        if batch.upper > tick {
            return Ok(rows);
        }
    }
    // Its replica is gone, or what it read from.
    Err(crate::sequencer::serialization_failure())
}

/// The name of an item, for messages and EXPLAIN.
pub fn item_name(catalog: &Catalog, id: ObjectId) -> String {
    catalog.item(id).map_or_else(|| id.to_string(), |item: &Arc<Item>| item.name.to_string())
}
