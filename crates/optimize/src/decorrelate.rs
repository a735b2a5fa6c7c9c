//! From nested scopes to flat relations.
//!
//! A query inside another one is a function of the outer row. It is computed for all outer rows
//! at once: `apply(query, outer)` gives, for each row of the relation `outer` (whose rows are
//! distinct), that row followed by each row of the query's result for it.
//!
//! ```text
//! SELECT .. (SELECT count(*) FROM b WHERE b.x = a.x) .. FROM a
//!
//!   a ──┬─ distinct x ── apply(subquery) ─┐        x, count
//!       └───────────────────────────────join on x ── a's columns, count
//! ```
//!
//! So at each subquery (and each LATERAL) the rows so far are bound, the distinct values of the
//! columns that the subquery uses are its outer relation, and what it gives is joined back
//! ([`Decorrelation::branch`]). NULLs pair in that join. An outermost query has the relation of
//! one row without columns as its outer relation.
//!
//! Columns of scopes are named by [`Place`]: the absolute depth of the scope, and the position
//! in it. [`Outer`] says where in the outer relation each of them is.

mod free;
mod joins;
mod recursion;
mod reduce;
mod scalars;
mod semijoin;
mod subqueries;
mod window;

use std::collections::{BTreeSet, HashMap};

use tidemill_expr::ScalarExpr;
use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, LocalId, QueryExpr, QueryScalar, RelationExpr};
use tidemill_repr::{ColumnType, ObjectId, SqlError};

use crate::definitions::Definitions;
use crate::equality::pair;

/// A column of a scope: (depth of the scope from the outside, position).
type Place = (usize, usize);

/// The relation for each of whose rows a query is computed.
#[derive(Clone)]
struct Outer {
    /// A constant or the Get of a binding; its rows are distinct.
    relation: RelationExpr,
    /// Types of its columns.
    columns: Vec<ColumnType>,
    /// Where the columns of outer scopes are in it.
    places: HashMap<Place, usize>,
    /// How many scopes are around the query.
    depth: usize,
}

impl Outer {
    fn arity(&self) -> usize {
        self.columns.len()
    }

    /// One row, no columns.
    fn unit(depth: usize) -> Outer {
        let (columns, places) = (Vec::new(), HashMap::new());
        Outer { relation: RelationExpr::unit(), columns, places, depth }
    }
}

/// A named relation of the query.
#[derive(Clone)]
struct Binding {
    id: LocalId,
    /// The columns of outer scopes that it depends on; they come first in its rows.
    places: Vec<Place>,
    /// Types of all its columns.
    typ: tidemill_plan::RelationType,
}

/// The rows an expression is computed over, while columns for its subqueries are added.
struct Rows {
    relation: RelationExpr,
    /// Where the columns that expressions may name (level 0) are.
    slots: Vec<usize>,
}

/// Translates a query into a relation, with the views it reads in their places.
///
/// # Errors
/// The query uses something that has no meaning in a relation.
pub fn decorrelate(
    query: &QueryExpr,
    definitions: &dyn Definitions,
) -> Result<RelationExpr, SqlError> {
    let mut work = Decorrelation {
        definitions,
        next_local: 0,
        bindings: HashMap::new(),
        views: HashMap::new(),
        view_values: Vec::new(),
    };
    let mut relation = work.apply(query, &Outer::unit(0))?;
    for (id, value) in std::mem::take(&mut work.view_values).into_iter().rev() {
        relation = RelationExpr::bind(id, value, relation);
    }
    Ok(relation)
}

struct Decorrelation<'d> {
    definitions: &'d dyn Definitions,
    next_local: u64,
    /// The bindings in scope, by their names in the query.
    bindings: HashMap<LocalId, Binding>,
    /// Views that are bound already.
    views: HashMap<ObjectId, Binding>,
    /// Their values, in order of dependency.
    view_values: Vec<(LocalId, RelationExpr)>,
}

impl Decorrelation<'_> {
    fn fresh(&mut self) -> LocalId {
        self.next_local += 1;
        LocalId(self.next_local)
    }

    /// The rows of `outer`, each followed by the query's rows for it.
    fn apply(&mut self, query: &QueryExpr, outer: &Outer) -> Result<RelationExpr, SqlError> {
        grow(|| self.apply_here(query, outer))
    }

    fn apply_here(&mut self, query: &QueryExpr, outer: &Outer) -> Result<RelationExpr, SqlError> {
        let width = outer.arity();
        Ok(match query {
            QueryExpr::Constant { rows, typ } => {
                product(outer, RelationExpr::constant(rows.clone(), typ.clone()))
            }
            QueryExpr::Get { id, typ } => self.get(*id, typ, outer)?,
            QueryExpr::Let { id, value, body, .. } => self.bind(*id, value, body, outer)?,
            QueryExpr::LetRec { bindings, limit, body } => {
                self.bind_recursive(bindings, *limit, body, outer)?
            }
            QueryExpr::Project { input, outputs } => {
                let input = self.apply(input, outer)?;
                let outputs = outputs.iter().map(|column| width + column);
                input.project((0..width).chain(outputs).collect())
            }
            QueryExpr::Map { input, scalars } => self.map(input, scalars, outer)?,
            QueryExpr::Filter { input, predicates } => self.filter(input, predicates, outer)?,
            QueryExpr::FlatMap { input, function, arguments, typ } => {
                let mut rows = self.rows(input, outer)?;
                let mut lowered = Vec::new();
                for argument in arguments {
                    lowered.push(self.scalar(argument, &mut rows, outer)?);
                }
                let start = rows.relation.arity();
                let relation = RelationExpr::FlatMap {
                    input: Box::new(rows.relation),
                    function: *function,
                    arguments: lowered,
                    typ: typ.clone(),
                };
                let added = start..start + typ.len();
                relation.project((0..width).chain(rows.slots).chain(added).collect())
            }
            QueryExpr::Join { left, right, on, kind, lateral } => {
                self.join(joins::Join { left, right, on, kind: *kind, lateral: *lateral }, outer)?
            }
            QueryExpr::Reduce { input, group_key, aggregates } => {
                self.reduce(input, group_key, aggregates, outer)?
            }
            QueryExpr::Distinct { input } => reduce::distinct(self.apply(input, outer)?, width),
            QueryExpr::TopK { input, group_key, order_by, limit, offset } => {
                let order =
                    reduce::Order { group_key, order_by, limit: limit.as_ref(), offset: *offset };
                self.top(input, &order, outer)?
            }
            QueryExpr::Window { input, partition_by, order_by, calls } => {
                let window = window::Window { partition_by, order_by, calls };
                self.window(input, &window, outer)?
            }
            QueryExpr::Negate { input } => self.apply(input, outer)?.negate(),
            QueryExpr::Threshold { input } => {
                let input = self.apply(input, outer)?;
                self.threshold(input, width)
            }
            QueryExpr::Union { inputs } => {
                let inputs: Result<Vec<_>, _> =
                    inputs.iter().map(|input| self.apply(input, outer)).collect();
                RelationExpr::union(inputs?)
            }
        })
    }

    /// The rows of a query, ready for expressions over them.
    fn rows(&mut self, input: &QueryExpr, outer: &Outer) -> Result<Rows, SqlError> {
        let relation = self.apply(input, outer)?;
        let slots = (outer.arity()..relation.arity()).collect();
        Ok(Rows { relation, slots })
    }

    fn map(
        &mut self,
        input: &QueryExpr,
        scalars: &[QueryScalar],
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let mut rows = self.rows(input, outer)?;
        for scalar in scalars {
            let scalar = self.scalar(scalar, &mut rows, outer)?;
            rows.slots.push(rows.relation.arity());
            rows.relation = rows.relation.map(vec![scalar]);
        }
        Ok(rows.relation.project((0..outer.arity()).chain(rows.slots).collect()))
    }

    fn filter(
        &mut self,
        input: &QueryExpr,
        predicates: &[QueryScalar],
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let mut rows = self.rows(input, outer)?;
        let mut conjuncts = Vec::new();
        predicates.iter().for_each(|predicate| free::conjuncts(predicate, &mut conjuncts));
        self.keep_all(&mut rows, conjuncts, outer)?;
        Ok(rows.relation.project((0..outer.arity()).chain(rows.slots).collect()))
    }

    /// Keeps the rows for which all these are true.
    fn keep_all(
        &mut self,
        rows: &mut Rows,
        mut conjuncts: Vec<&QueryScalar>,
        outer: &Outer,
    ) -> Result<(), SqlError> {
        // What needs no subquery first: less is left for the others.
        conjuncts.sort_by_key(|predicate| free::has_subquery(predicate));
        for predicate in conjuncts {
            match predicate {
                QueryScalar::Exists(query) => self.keep_existing(rows, query, true, outer)?,
                QueryScalar::Not(inner) => match &**inner {
                    QueryScalar::Exists(query) => {
                        self.keep_existing(rows, query, false, outer)?;
                    }
                    _ => self.keep(rows, predicate, outer)?,
                },
                _ => self.keep(rows, predicate, outer)?,
            }
        }
        Ok(())
    }

    fn keep(
        &mut self,
        rows: &mut Rows,
        predicate: &QueryScalar,
        outer: &Outer,
    ) -> Result<(), SqlError> {
        let predicate = self.scalar(predicate, rows, outer)?;
        rows.relation = rows.relation.take().filter(vec![predicate]);
        Ok(())
    }

    fn get(
        &mut self,
        id: Id,
        typ: &tidemill_plan::RelationType,
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let binding = match id {
            Id::Local(name) => self
                .bindings
                .get(&name)
                .cloned()
                .ok_or_else(|| SqlError::internal(format!("no binding {name}")))?,
            Id::Global(object) => {
                let view = match self.definitions.view(object) {
                    Some(view)
                        if !self.definitions.is_base(object)
                            && self.definitions.indexes_on(object).is_empty() =>
                    {
                        view
                    }
                    _ => {
                        let mut typ = typ.clone();
                        typ.keys.extend(self.definitions.keys(object));
                        typ.keys = tidemill_plan::relation::types::tidy_keys(typ.keys);
                        return Ok(product(outer, RelationExpr::Get { id, typ }));
                    }
                };
                self.view(object, &view)?
            }
        };
        let get = RelationExpr::local(binding.id, binding.typ.clone());
        let (start, end) = (outer.arity(), outer.arity() + get.arity());
        if binding.places.is_empty() {
            return Ok(product(outer, get));
        }
        let mut equivalences = Vec::new();
        for (position, place) in binding.places.iter().enumerate() {
            let column = *outer
                .places
                .get(place)
                .ok_or_else(|| SqlError::internal("a binding's outer column is missing"))?;
            equivalences.push(pair(
                (ScalarExpr::Column(column), &outer.columns[column]),
                (ScalarExpr::Column(start + position), &binding.typ.columns[position]),
            ));
        }
        let joined = RelationExpr::join(vec![outer.relation.clone(), get], equivalences);
        Ok(joined.project((0..start).chain(start + binding.places.len()..end).collect()))
    }

    /// A view's query, bound once for the whole.
    fn view(&mut self, object: ObjectId, query: &QueryExpr) -> Result<Binding, SqlError> {
        if let Some(binding) = self.views.get(&object) {
            return Ok(binding.clone());
        }
        let bindings = std::mem::take(&mut self.bindings);
        let value = self.apply(query, &Outer::unit(0));
        self.bindings = bindings;
        let value = value?;
        let id = self.fresh();
        let binding = Binding { id, places: Vec::new(), typ: value.typ() };
        self.view_values.push((id, value));
        self.views.insert(object, binding.clone());
        Ok(binding)
    }

    fn bind(
        &mut self,
        name: LocalId,
        value: &QueryExpr,
        body: &QueryExpr,
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let places: Vec<Place> = self.free(value, outer.depth).into_iter().collect();
        let (inner, wrap) = self.outer_of(outer, &places, outer.depth)?;
        let mut value = self.apply(value, &inner)?;
        if let Some((id, keys)) = wrap {
            value = RelationExpr::bind(id, keys, value);
        }
        let id = self.fresh();
        let binding = Binding { id, places, typ: value.typ() };
        let before = self.bindings.insert(name, binding);
        let body = self.apply(body, outer);
        match before {
            Some(before) => self.bindings.insert(name, before),
            None => self.bindings.remove(&name),
        };
        Ok(RelationExpr::bind(id, value, body?))
    }

    /// An outer relation of the distinct values of some columns of another, which has to be
    /// bound as given, if there is one.
    fn outer_of(
        &mut self,
        outer: &Outer,
        places: &[Place],
        depth: usize,
    ) -> Result<(Outer, Option<(LocalId, RelationExpr)>), SqlError> {
        let columns: Option<Vec<usize>> =
            places.iter().map(|place| outer.places.get(place).copied()).collect();
        let columns = columns.ok_or_else(|| SqlError::internal("an outer column is missing"))?;
        if columns.is_empty() {
            return Ok((Outer::unit(depth), None));
        }
        let keys = outer.relation.clone().project(columns.clone()).distinct();
        let types: Vec<ColumnType> =
            columns.iter().map(|column| outer.columns[*column].clone()).collect();
        let id = self.fresh();
        let inner = Outer {
            relation: RelationExpr::local(id, keys.typ()),
            columns: types,
            places: places.iter().enumerate().map(|(at, place)| (*place, at)).collect(),
            depth,
        };
        Ok((inner, Some((id, keys))))
    }

    /// Computes a query for each row of `rows`, one scope further in: gives `rows` followed by
    /// the columns that `finish` leaves behind the key columns.
    fn branch(
        &mut self,
        rows: &Rows,
        query: &QueryExpr,
        outer: &Outer,
        finish: impl FnOnce(&mut Self, RelationExpr, &Outer) -> Result<RelationExpr, SqlError>,
    ) -> Result<RelationExpr, SqlError> {
        let depth = outer.depth;
        let places: BTreeSet<Place> = self.free(query, depth + 1);
        if places.is_empty() {
            let inner = Outer::unit(depth + 1);
            let result = self.apply(query, &inner)?;
            let result = finish(self, result, &inner)?;
            return Ok(RelationExpr::join(vec![rows.relation.clone(), result], Vec::new()));
        }
        let typ = rows.relation.typ();
        let bound = self.fresh();
        let get = RelationExpr::local(bound, typ.clone());
        let mut all = outer.places.clone();
        all.extend(rows.slots.iter().enumerate().map(|(at, slot)| ((depth, at), *slot)));
        let whole =
            Outer { relation: get.clone(), columns: typ.columns.clone(), places: all, depth };
        let places: Vec<Place> = places.into_iter().collect();
        let (inner, keys) = self.outer_of(&whole, &places, depth + 1)?;
        let result = self.apply(query, &inner)?;
        let result = finish(self, result, &inner)?;
        let result_type = result.typ();
        let width = typ.arity();
        let mut equivalences = Vec::new();
        for (position, place) in places.iter().enumerate() {
            let column = whole.places[place];
            equivalences.push(pair(
                (ScalarExpr::Column(column), &typ.columns[column]),
                (ScalarExpr::Column(width + position), &result_type.columns[position]),
            ));
        }
        let added = width + places.len()..width + result_type.arity();
        let joined = RelationExpr::join(vec![get, result], equivalences)
            .project((0..width).chain(added).collect());
        let joined = match keys {
            Some((id, keys)) => RelationExpr::bind(id, keys, joined),
            None => joined,
        };
        Ok(RelationExpr::bind(bound, rows.relation.clone(), joined))
    }
}

/// The outer rows, each with all rows of a relation.
fn product(outer: &Outer, relation: RelationExpr) -> RelationExpr {
    if outer.arity() == 0 && outer.relation == RelationExpr::unit() {
        return relation;
    }
    RelationExpr::join(vec![outer.relation.clone(), relation], Vec::new())
}
