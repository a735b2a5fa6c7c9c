//! From relations to operators: row-wise work is fused, joins get an order, and every read says
//! which arrangement it uses.

pub mod access;
mod join;

use std::collections::{BTreeMap, BTreeSet};

use tidemill_expr::ScalarExpr;
use tidemill_plan::physical::{
    ArrangementKey, BaseImport, DataflowDescription, Export, IndexImport, MapFilterProject,
    PhysicalPlan, ReducePlan,
};
use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, LocalId, RecursiveBinding, RelationExpr};
use tidemill_repr::{ObjectId, SqlError, Tick};

use crate::definitions::Definitions;
use crate::stack::{is_small, with_stack};
use crate::temporal::{self, Split};

/// How many keys of an index a dataflow reads one by one at most.
const MOST_LOOKUPS: usize = 32;

/// What a dataflow computes, and what it reads for that: a [`DataflowDescription`] without its
/// times and exports.
#[derive(Clone, Debug, Default)]
pub struct PhysicalDataflow {
    /// What to compute, in order.
    pub objects: Vec<(ObjectId, PhysicalPlan)>,
    /// Base collections that are read.
    pub base_imports: Vec<BaseImport>,
    /// Arrangements that are read.
    pub index_imports: Vec<IndexImport>,
}

impl PhysicalDataflow {
    /// Imports a relation as it is, for an export right on it: an arrangement of it if there is
    /// one, else the base collection.
    pub fn import(&mut self, id: ObjectId, definitions: &dyn Definitions) {
        if self.objects.iter().any(|(object, _)| *object == id) {
            return;
        }
        let mut lowering = Lowering::new(definitions, BTreeSet::new());
        lowering.import(id, definitions.arity(id));
        self.add_imports(lowering);
    }

    /// The description of this dataflow.
    pub fn describe(
        self,
        id: ObjectId,
        as_of: Tick,
        until: Option<Tick>,
        exports: Vec<Export>,
    ) -> DataflowDescription {
        let PhysicalDataflow { objects, base_imports, index_imports } = self;
        DataflowDescription {
            id,
            as_of,
            until,
            base_imports,
            followed: BTreeSet::new(),
            moved_by: BTreeSet::new(),
            every_tick: false,
            index_imports,
            objects,
            exports,
        }
    }

    fn add_imports(&mut self, lowering: Lowering<'_>) {
        for (id, arity) in lowering.bases {
            if !self.base_imports.iter().any(|import| import.id == id) {
                self.base_imports.push(BaseImport { id, arity });
            }
        }
        for (index, import) in lowering.indexes {
            if !self.index_imports.iter().any(|other| other.index == index) {
                self.index_imports.push(import);
            }
        }
    }
}

/// The operators for some objects of one dataflow; later ones may read earlier ones.
///
/// # Errors
/// A relation cannot be computed.
pub fn physical(
    objects: &[(ObjectId, RelationExpr)],
    definitions: &dyn Definitions,
) -> Result<PhysicalDataflow, SqlError> {
    let all_small = objects.iter().all(|(_, relation)| is_small(relation));
    with_stack(all_small, || {
        let mut dataflow = PhysicalDataflow::default();
        let mut own = BTreeSet::new();
        for (id, relation) in objects {
            let mut lowering = Lowering::new(definitions, own.clone());
            let plan = lowering.lower(relation)?;
            dataflow.add_imports(lowering);
            dataflow.objects.push((*id, plan));
            own.insert(*id);
        }
        Ok(dataflow)
    })
}

struct Lowering<'d> {
    definitions: &'d dyn Definitions,
    /// Objects that this dataflow computes itself.
    own: BTreeSet<ObjectId>,
    bases: BTreeMap<ObjectId, usize>,
    indexes: BTreeMap<ObjectId, IndexImport>,
    /// Arrangements that joins ask of bindings.
    wanted: BTreeMap<LocalId, Vec<ArrangementKey>>,
    /// Bindings of recursions: nobody keeps arrangements of them.
    recursive: BTreeSet<LocalId>,
}

/// Row-wise work on top of a relation, and what it is done on.
fn take_work(relation: &RelationExpr) -> (MapFilterProject, &RelationExpr) {
    grow(|| match relation {
        RelationExpr::Map { input, scalars } => {
            let (work, base) = take_work(input);
            (work.map(scalars.iter().cloned()), base)
        }
        RelationExpr::Filter { input, predicates } => {
            let (work, base) = take_work(input);
            (work.filter(predicates.iter().cloned()), base)
        }
        RelationExpr::Project { input, outputs } => {
            let (work, base) = take_work(input);
            (work.project(outputs), base)
        }
        base => (MapFilterProject::identity(base.arity()), base),
    })
}

/// [`take_work`] with what is not needed left out; for peeks too.
pub(crate) fn row_wise(relation: &RelationExpr) -> (MapFilterProject, &RelationExpr) {
    let (mut work, base) = take_work(relation);
    work.optimize();
    (work, base)
}

fn with_work(plan: PhysicalPlan, mfp: MapFilterProject) -> PhysicalPlan {
    if mfp.is_identity() { plan } else { PhysicalPlan::Mfp { input: Box::new(plan), mfp } }
}

impl<'d> Lowering<'d> {
    fn new(definitions: &'d dyn Definitions, own: BTreeSet<ObjectId>) -> Lowering<'d> {
        let (bases, indexes, wanted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let recursive = BTreeSet::new();
        Lowering { definitions, own, bases, indexes, wanted, recursive }
    }

    fn lower(&mut self, relation: &RelationExpr) -> Result<PhysicalPlan, SqlError> {
        grow(|| self.lower_here(relation))
    }

    fn boxed(&mut self, relation: &RelationExpr) -> Result<Box<PhysicalPlan>, SqlError> {
        Ok(Box::new(self.lower(relation)?))
    }

    fn lower_here(&mut self, relation: &RelationExpr) -> Result<PhysicalPlan, SqlError> {
        let (mfp, base) = row_wise(relation);
        let Some(Split { before, bounds, after }) = temporal::split(&mfp)? else {
            return self.lower_work(base, mfp);
        };
        let input = Box::new(self.lower_work(base, before)?);
        Ok(with_work(PhysicalPlan::TemporalFilter { input, bounds }, after))
    }

    /// Row-wise work on top of a relation that is none.
    fn lower_work(
        &mut self,
        base: &RelationExpr,
        mfp: MapFilterProject,
    ) -> Result<PhysicalPlan, SqlError> {
        Ok(match base {
            RelationExpr::Constant { rows, .. } => {
                with_work(PhysicalPlan::Constant { rows: rows.clone() }, mfp)
            }
            RelationExpr::Get { id: Id::Global(id), typ } => self.get(*id, typ, mfp),
            RelationExpr::Get { id, .. } => {
                PhysicalPlan::Get { id: *id, key: None, literal: None, mfp }
            }
            RelationExpr::Let { id, value, body } => {
                let mut value_plan = self.lower(value)?;
                let body = self.boxed(body)?;
                if let Some(keys) = self.wanted.remove(id) {
                    let (input, arity) = (Box::new(value_plan), value.arity());
                    value_plan = PhysicalPlan::ArrangeBy { input, keys, arity };
                }
                let plan = PhysicalPlan::Let { id: *id, value: Box::new(value_plan), body };
                with_work(plan, mfp)
            }
            RelationExpr::LetRec { bindings, limit, body } => {
                self.recursive.extend(bindings.iter().map(|binding| binding.id));
                let mut plans = Vec::new();
                for RecursiveBinding { id, name, value, typ } in bindings {
                    let (value, name, typ) = (self.lower(value)?, name.clone(), typ.clone());
                    plans.push(RecursiveBinding { id: *id, name, value, typ });
                }
                let body = self.boxed(body)?;
                let plan = PhysicalPlan::LetRec { bindings: plans, limit: *limit, body };
                with_work(plan, mfp)
            }
            RelationExpr::FlatMap { input, function, arguments, .. } => {
                temporal::refuse_in(arguments)?;
                PhysicalPlan::FlatMap {
                    input: self.boxed(input)?,
                    function: *function,
                    arguments: arguments.clone(),
                    mfp,
                }
            }
            RelationExpr::Join { inputs, equivalences } => {
                temporal::refuse_in(equivalences.iter().flatten())?;
                self.join(inputs, equivalences, mfp)?
            }
            RelationExpr::Reduce { input, group_key, aggregates, .. } => {
                temporal::refuse_in(
                    group_key.iter().chain(aggregates.iter().map(|c| &c.argument)),
                )?;
                let input_mfp = MapFilterProject::identity(input.arity());
                PhysicalPlan::Reduce(Box::new(ReducePlan {
                    input: self.lower(input)?,
                    input_mfp,
                    key: group_key.clone(),
                    aggregates: aggregates.clone(),
                    mfp,
                }))
            }
            RelationExpr::TopK { input, group_key, order_by, limit, offset } => {
                temporal::refuse_in(limit)?;
                let plan = PhysicalPlan::TopK {
                    arity: input.arity(),
                    input: self.boxed(input)?,
                    group_key: group_key.clone(),
                    order_by: order_by.clone(),
                    limit: limit.clone(),
                    offset: *offset,
                };
                with_work(plan, mfp)
            }
            RelationExpr::Window { input, partition_by, order_by, calls } => {
                let plan = PhysicalPlan::Window {
                    arity: input.arity(),
                    input: self.boxed(input)?,
                    partition_by: partition_by.clone(),
                    order_by: order_by.clone(),
                    calls: calls.clone(),
                };
                with_work(plan, mfp)
            }
            RelationExpr::Negate { input } => {
                with_work(PhysicalPlan::Negate { input: self.boxed(input)? }, mfp)
            }
            RelationExpr::Threshold { input } => {
                let arity = input.arity();
                with_work(PhysicalPlan::Threshold { input: self.boxed(input)?, arity }, mfp)
            }
            RelationExpr::Union { inputs, .. } => {
                let inputs: Result<Vec<_>, _> =
                    inputs.iter().map(|input| self.lower(input)).collect();
                with_work(PhysicalPlan::Union { inputs: inputs? }, mfp)
            }
            RelationExpr::Map { .. }
            | RelationExpr::Filter { .. }
            | RelationExpr::Project { .. } => {
                return Err(SqlError::internal("row-wise work that was taken away is still there"));
            }
        })
    }

    /// Reads an object: by literal keys of an index if there is one that fits.
    fn get(
        &mut self,
        id: ObjectId,
        typ: &tidemill_plan::RelationType,
        mut mfp: MapFilterProject,
    ) -> PhysicalPlan {
        if !self.own.contains(&id) {
            for info in self.definitions.indexes_on(id) {
                let Some(points) = access::points(&mfp, &typ.columns, &info.key) else {
                    continue;
                };
                if points.keys.len() > MOST_LOOKUPS {
                    continue;
                }
                access::drop_predicates(&mut mfp, &points.predicates);
                self.use_index(id, info.index, &info.key, typ.arity());
                let key = ArrangementKey(info.key);
                let one = |literal| PhysicalPlan::Get {
                    id: Id::Global(id),
                    key: Some(key.clone()),
                    literal: Some(literal),
                    mfp: mfp.clone(),
                };
                // The keys differ, so that no row is read twice.
                let mut reads: Vec<PhysicalPlan> = points.keys.into_iter().map(one).collect();
                return match reads.len() {
                    1 => reads.remove(0),
                    _ => PhysicalPlan::Union { inputs: reads },
                };
            }
        }
        let key = self.import(id, typ.arity());
        PhysicalPlan::Get { id: Id::Global(id), key, literal: None, mfp }
    }

    /// Imports an object for a read of all of it; gives the key of the arrangement, if one is
    /// read.
    fn import(&mut self, id: ObjectId, arity: usize) -> Option<ArrangementKey> {
        if self.own.contains(&id) {
            return None;
        }
        if let Some(used) = self.indexes.values().find(|import| import.on == id) {
            return Some(used.key.clone());
        }
        match self.definitions.indexes_on(id).into_iter().next() {
            Some(info) => {
                self.use_index(id, info.index, &info.key, arity);
                Some(ArrangementKey(info.key))
            }
            None => {
                self.bases.insert(id, arity);
                None
            }
        }
    }

    fn use_index(&mut self, on: ObjectId, index: ObjectId, key: &[ScalarExpr], arity: usize) {
        let key = ArrangementKey(key.to_vec());
        self.indexes.insert(index, IndexImport { index, on, key, arity });
    }
}
