//! Projection pushdown: columns that nobody asks for are dropped where they arise.

use std::collections::{BTreeSet, HashMap};

use tidemill_expr::{ScalarExpr, WindowCall};
use tidemill_plan::relation::build::grow;
use tidemill_plan::relation::types::project_type;
use tidemill_plan::{ColumnOrder, Id, LocalId, RelationExpr};

/// Drops unused columns.
pub fn push_demand(relation: &mut RelationExpr) {
    let whole = relation.take();
    let outputs: Vec<usize> = (0..whole.arity()).collect();
    let mut demand = Demand::default();
    *relation = demand.narrow(whole, &outputs);
}

/// Which columns of each binding are asked for, while its body is gone through.
#[derive(Default)]
struct Demand {
    of_bindings: HashMap<LocalId, BTreeSet<usize>>,
}

/// Where each column of a relation is among those that are kept.
fn places(kept: &[usize]) -> HashMap<usize, usize> {
    kept.iter().enumerate().map(|(at, column)| (*column, at)).collect()
}

fn rename(expr: &mut ScalarExpr, places: &HashMap<usize, usize>) {
    expr.map_columns(&|column| places.get(&column).copied().unwrap_or(column));
}

impl Demand {
    /// These columns of a relation, in this order.
    fn narrow(&mut self, relation: RelationExpr, outputs: &[usize]) -> RelationExpr {
        grow(|| self.narrow_here(relation, outputs))
    }

    /// A relation cut down to these columns and `more`, and where they are now.
    fn keep(
        &mut self,
        relation: RelationExpr,
        columns: impl IntoIterator<Item = usize>,
    ) -> (RelationExpr, HashMap<usize, usize>) {
        let kept: BTreeSet<usize> = columns.into_iter().collect();
        let kept: Vec<usize> = kept.into_iter().collect();
        (self.narrow(relation, &kept), places(&kept))
    }

    fn narrow_here(&mut self, relation: RelationExpr, outputs: &[usize]) -> RelationExpr {
        match relation {
            leaf
            @ (RelationExpr::Constant { .. } | RelationExpr::Get { id: Id::Global(_), .. }) => {
                leaf.project(outputs.to_vec())
            }
            RelationExpr::Get { id: Id::Local(id), typ } => {
                self.of_bindings.entry(id).or_default().extend(outputs);
                // Never left out here: the position of the Get must be found again.
                let input = Box::new(RelationExpr::Get { id: Id::Local(id), typ });
                RelationExpr::Project { input, outputs: outputs.to_vec() }
            }
            RelationExpr::Let { id, value, body } => self.narrow_let(id, *value, *body, outputs),
            RelationExpr::LetRec { mut bindings, limit, body } => {
                // The columns that a recursion goes through all stay.
                let body = Box::new(self.narrow(*body, outputs));
                for binding in &mut bindings {
                    let all: Vec<usize> = (0..binding.typ.arity()).collect();
                    binding.value = self.narrow(binding.value.take(), &all);
                }
                for binding in &bindings {
                    self.of_bindings.remove(&binding.id);
                }
                RelationExpr::LetRec { bindings, limit, body }
            }
            RelationExpr::Project { input, outputs: own } => {
                let outputs: Vec<usize> = outputs.iter().map(|column| own[*column]).collect();
                self.narrow_deduplicated(*input, &outputs)
            }
            RelationExpr::Map { input, scalars } => self.narrow_map(*input, scalars, outputs),
            RelationExpr::Filter { input, predicates } => {
                let used = predicates.iter().flat_map(ScalarExpr::support);
                let (input, places) = self.keep(*input, used.chain(outputs.iter().copied()));
                let mut predicates = predicates;
                predicates.iter_mut().for_each(|predicate| rename(predicate, &places));
                let outputs = outputs.iter().map(|column| places[column]).collect();
                input.filter(predicates).project(outputs)
            }
            RelationExpr::FlatMap { input, function, mut arguments, typ } => {
                let arity = input.arity();
                let used = arguments.iter().flat_map(ScalarExpr::support);
                let own = outputs.iter().copied().filter(|column| *column < arity);
                let (input, places) = self.keep(*input, used.chain(own));
                arguments.iter_mut().for_each(|argument| rename(argument, &places));
                let width = input.arity();
                let place = |column: &usize| match column.checked_sub(arity) {
                    Some(added) => width + added,
                    None => places[column],
                };
                let outputs = outputs.iter().map(place).collect();
                let input = Box::new(input);
                RelationExpr::FlatMap { input, function, arguments, typ }.project(outputs)
            }
            RelationExpr::Join { inputs, equivalences } => {
                self.narrow_join(inputs, equivalences, outputs)
            }
            RelationExpr::Reduce { input, mut group_key, aggregates, typ } => {
                let keys = group_key.len();
                let mut kept = Vec::new();
                let mut types = Vec::new();
                let mut positions: HashMap<usize, usize> = (0..keys).map(|k| (k, k)).collect();
                for (at, (call, typ)) in aggregates.into_iter().zip(typ).enumerate() {
                    if outputs.contains(&(keys + at)) {
                        positions.insert(keys + at, keys + kept.len());
                        kept.push(call);
                        types.push(typ);
                    }
                }
                let used = group_key
                    .iter()
                    .chain(kept.iter().map(|call| &call.argument))
                    .flat_map(ScalarExpr::support)
                    .collect::<Vec<_>>();
                let (input, places) = self.keep(*input, used);
                group_key.iter_mut().for_each(|key| rename(key, &places));
                kept.iter_mut().for_each(|call| rename(&mut call.argument, &places));
                let outputs = outputs.iter().map(|column| positions[column]).collect();
                RelationExpr::Reduce {
                    input: Box::new(input),
                    group_key,
                    aggregates: kept,
                    typ: types,
                }
                .project(outputs)
            }
            RelationExpr::TopK { input, group_key, order_by, limit, offset } => {
                // Rows that tie are told apart by all their bytes: every column counts.
                let arity = input.arity();
                let all: Vec<usize> = (0..arity).collect();
                let input = Box::new(self.narrow(*input, &all));
                RelationExpr::TopK { input, group_key, order_by, limit, offset }
                    .project(outputs.to_vec())
            }
            RelationExpr::Window { input, partition_by, order_by, calls } => {
                self.narrow_window(*input, (partition_by, order_by, calls), outputs)
            }
            RelationExpr::Negate { input } => self.narrow(*input, outputs).negate(),
            RelationExpr::Threshold { input } => {
                let all: Vec<usize> = (0..input.arity()).collect();
                let input = Box::new(self.narrow(*input, &all));
                RelationExpr::Threshold { input }.project(outputs.to_vec())
            }
            RelationExpr::Union { inputs, typ } => {
                let inputs = inputs.into_iter().map(|input| self.narrow(input, outputs)).collect();
                RelationExpr::Union { inputs, typ: project_type(&typ, outputs) }
            }
        }
    }

    /// Like [`Self::narrow`] where a column may be asked for twice: computed once.
    fn narrow_deduplicated(&mut self, relation: RelationExpr, outputs: &[usize]) -> RelationExpr {
        let (input, places) = self.keep(relation, outputs.iter().copied());
        input.project(outputs.iter().map(|column| places[column]).collect())
    }

    fn narrow_map(
        &mut self,
        input: RelationExpr,
        scalars: Vec<ScalarExpr>,
        outputs: &[usize],
    ) -> RelationExpr {
        let arity = input.arity();
        let mut used: BTreeSet<usize> = outputs.iter().copied().collect();
        for (at, scalar) in scalars.iter().enumerate().rev() {
            if used.contains(&(arity + at)) {
                used.extend(scalar.support());
            }
        }
        let (input, mut places) =
            self.keep(input, used.iter().copied().filter(|column| *column < arity));
        let mut kept = Vec::new();
        let width = input.arity();
        for (at, mut scalar) in scalars.into_iter().enumerate() {
            if used.contains(&(arity + at)) {
                rename(&mut scalar, &places);
                places.insert(arity + at, width + kept.len());
                kept.push(scalar);
            }
        }
        let outputs = outputs.iter().map(|column| places[column]).collect();
        input.map(kept).project(outputs)
    }

    fn narrow_join(
        &mut self,
        inputs: Vec<RelationExpr>,
        mut equivalences: Vec<Vec<ScalarExpr>>,
        outputs: &[usize],
    ) -> RelationExpr {
        let used: BTreeSet<usize> = equivalences
            .iter()
            .flatten()
            .flat_map(ScalarExpr::support)
            .chain(outputs.iter().copied())
            .collect();
        let mut places = HashMap::new();
        let mut narrowed = Vec::new();
        let (mut start, mut next) = (0, 0);
        for input in inputs {
            let end = start + input.arity();
            let kept: Vec<usize> = used.range(start..end).map(|column| column - start).collect();
            for (at, column) in kept.iter().enumerate() {
                places.insert(start + column, next + at);
            }
            narrowed.push(self.narrow(input, &kept));
            next += kept.len();
            start = end;
        }
        equivalences.iter_mut().flatten().for_each(|expr| rename(expr, &places));
        let outputs = outputs.iter().map(|column| places[column]).collect();
        RelationExpr::Join { inputs: narrowed, equivalences }.project(outputs)
    }

    fn narrow_window(
        &mut self,
        input: RelationExpr,
        (mut partition_by, mut order_by, calls): (Vec<usize>, Vec<ColumnOrder>, Vec<WindowCall>),
        outputs: &[usize],
    ) -> RelationExpr {
        let arity = input.arity();
        let mut kept = Vec::new();
        let mut places_of_calls = HashMap::new();
        for (at, call) in calls.into_iter().enumerate() {
            if outputs.contains(&(arity + at)) {
                places_of_calls.insert(arity + at, kept.len());
                kept.push(call);
            }
        }
        if kept.is_empty() {
            return self.narrow(input, outputs);
        }
        // Rows that tie are told apart by all their bytes: every column counts, unless the order
        // of ties does not.
        let mut used: Vec<usize> = (0..arity).collect();
        if !kept.iter().any(WindowCall::tells_ties_apart) {
            used = outputs.iter().copied().filter(|column| *column < arity).collect();
            used.extend(&partition_by);
            used.extend(order_by.iter().map(|key| key.column));
            used.extend(kept.iter().flat_map(WindowCall::support));
        }
        let (input, places) = self.keep(input, used);
        partition_by.iter_mut().for_each(|column| *column = places[column]);
        order_by.iter_mut().for_each(|key| key.column = places[&key.column]);
        kept.iter_mut().for_each(|call| call.map_columns(&|column| places[&column]));
        let width = input.arity();
        let place = |column: &usize| match places_of_calls.get(column) {
            Some(call) => width + call,
            None => places[column],
        };
        let outputs = outputs.iter().map(place).collect();
        let input = Box::new(input);
        RelationExpr::Window { input, partition_by, order_by, calls: kept }.project(outputs)
    }

    fn narrow_let(
        &mut self,
        id: LocalId,
        value: RelationExpr,
        body: RelationExpr,
        outputs: &[usize],
    ) -> RelationExpr {
        let mut body = self.narrow(body, outputs);
        let kept: Vec<usize> =
            self.of_bindings.remove(&id).unwrap_or_default().into_iter().collect();
        let value = self.narrow(value, &kept);
        let typ = value.typ();
        let places = places(&kept);
        // Every Get of the binding is under a projection that was put there above; what fused
        // with it since is a projection too.
        body.visit_mut(&mut |relation| {
            if let RelationExpr::Project { input, outputs } = relation
                && let RelationExpr::Get { id: Id::Local(found), typ: old } = &mut **input
                && *found == id
            {
                *old = typ.clone();
                let renamed = outputs.iter().map(|column| places[column]).collect();
                let get = input.take();
                *relation = get.project(renamed);
            }
        });
        RelationExpr::bind(id, value, body)
    }
}
