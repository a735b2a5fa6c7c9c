//! Joins: their order, and the arrangements of each step.
//!
//! The order is greedy: from a first input on, the next one is the one that can be looked up
//! best by the columns that are there ([`Score`]); every input is tried as the first one, and
//! the best order wins.

use std::collections::{BTreeSet, HashMap};

use tidemill_expr::ScalarExpr;
use tidemill_plan::physical::{
    ArrangementKey, JoinStage, LinearJoin, MapFilterProject, PhysicalPlan,
};
use tidemill_plan::{Id, RelationExpr};
use tidemill_repr::{ColumnType, ObjectId, ScalarType, SqlError};

use super::{Lowering, row_wise, with_work};
use crate::equality::equality;
use crate::temporal;

/// More inputs than this: only the first one is tried as the first.
const MOST_STARTS: usize = 12;

/// One relation of a join.
struct Input<'r> {
    relation: &'r RelationExpr,
    /// Its columns in the product: from here ..
    start: usize,
    /// .. to before here.
    end: usize,
    /// What it reads and the work on that, if it is a read.
    read: Option<(Id, MapFilterProject)>,
    /// Arrangements that are there: (index, key over the relation read, key over the product).
    indexes: Vec<(ObjectId, Vec<ScalarExpr>, Vec<ScalarExpr>)>,
    /// Its keys, as columns of the product.
    keys: Vec<Vec<usize>>,
    filtered: bool,
    known: bool,
}

impl Input<'_> {
    fn has(&self, column: usize) -> bool {
        (self.start..self.end).contains(&column)
    }

    /// Whether an expression is over this input alone.
    fn owns(&self, expr: &ScalarExpr) -> bool {
        let support = expr.support();
        !support.is_empty() && support.into_iter().all(|column| self.has(column))
    }
}

/// How well an input can be joined next; greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// Some key joins it with the rows so far.
    has_key: bool,
    /// At most one row for each row so far.
    unique: bool,
    known: bool,
    /// The arrangement is there.
    arranged: bool,
    filtered: bool,
    /// Columns of the key.
    keys: usize,
}

fn is_bound(expr: &ScalarExpr, bound: &BTreeSet<usize>) -> bool {
    expr.support().iter().all(|column| bound.contains(column))
}

fn score(input: &Input<'_>, classes: &[Vec<ScalarExpr>], bound: &BTreeSet<usize>) -> Score {
    let mut own: Vec<&ScalarExpr> = Vec::new();
    let mut keys = 0;
    for class in classes {
        if class.iter().any(|expr| is_bound(expr, bound)) {
            let before = own.len();
            own.extend(class.iter().filter(|expr| input.owns(expr)));
            keys += usize::from(own.len() > before);
        }
    }
    let columns: BTreeSet<usize> = own
        .iter()
        .filter_map(|expr| match expr {
            ScalarExpr::Column(column) => Some(*column),
            _ => None,
        })
        .collect();
    Score {
        has_key: keys > 0,
        unique: input.keys.iter().any(|key| key.iter().all(|column| columns.contains(column))),
        known: input.known,
        arranged: input
            .indexes
            .iter()
            .any(|(_, _, key)| key.iter().all(|expr| own.contains(&expr))),
        filtered: input.filtered,
        keys,
    }
}

/// The order in which inputs are joined.
fn order(inputs: &[Input<'_>], classes: &[Vec<ScalarExpr>]) -> Vec<usize> {
    let starts = if inputs.len() > MOST_STARTS { 1 } else { inputs.len() };
    let mut best: Option<(Vec<Score>, Vec<usize>)> = None;
    for first in 0..starts {
        let mut bound: BTreeSet<usize> = (inputs[first].start..inputs[first].end).collect();
        let mut rest: Vec<usize> = (0..inputs.len()).filter(|input| *input != first).collect();
        let mut sequence = vec![first];
        let mut scores = Vec::new();
        while !rest.is_empty() {
            let mut choice = (0, score(&inputs[rest[0]], classes, &bound));
            for (at, input) in rest.iter().enumerate().skip(1) {
                let score = score(&inputs[*input], classes, &bound);
                if score > choice.1 {
                    choice = (at, score);
                }
            }
            let input = rest.remove(choice.0);
            bound.extend(inputs[input].start..inputs[input].end);
            sequence.push(input);
            scores.push(choice.1);
        }
        // The worst steps decide; then whether the first input is small.
        scores.sort();
        let own = &inputs[first];
        scores.push(Score {
            has_key: true,
            unique: false,
            known: own.known,
            arranged: false,
            filtered: own.filtered,
            keys: 0,
        });
        if best.as_ref().is_none_or(|(before, _)| scores > *before) {
            best = Some((scores, sequence));
        }
    }
    best.map(|(_, sequence)| sequence).unwrap_or_default()
}

/// The literal that stands for NULL in a join that pairs NULLs, taken off.
fn without_marker(expr: &ScalarExpr) -> Option<&ScalarExpr> {
    let ScalarExpr::Coalesce(arguments) = expr else { return None };
    let [inner, ScalarExpr::Literal(Ok(row), typ)] = arguments.as_slice() else { return None };
    let is_bool = matches!(row.iter().next(), Some(tidemill_repr::Datum::Bool(_)));
    (is_bool != (typ.scalar_type == ScalarType::Bool)).then_some(inner)
}

/// A predicate: two expressions have equal bytes and are not NULL.
fn equal_bytes(
    left: &ScalarExpr,
    right: &ScalarExpr,
    columns: &[ColumnType],
) -> Result<ScalarExpr, SqlError> {
    let (left_inner, right_inner) = (without_marker(left), without_marker(right));
    let both = left_inner.is_some() && right_inner.is_some();
    let left = left_inner.unwrap_or(left).clone();
    let right = right_inner.unwrap_or(right).clone();
    let equal = equality(left.clone(), right.clone(), columns)
        .ok_or_else(|| SqlError::unsupported("a comparison of values of this type"))?;
    if !both {
        return Ok(equal);
    }
    let nulls = ScalarExpr::And(vec![left.is_null(), right.is_null()]);
    Ok(ScalarExpr::Or(vec![nulls, equal]))
}

/// A join while it is built.
struct Build {
    columns: Vec<ColumnType>,
    classes: Vec<Vec<ScalarExpr>>,
    /// Predicates that are not applied yet.
    predicates: Vec<ScalarExpr>,
    /// What is left to do at the end, over the product.
    last: MapFilterProject,
    /// The product's columns that are there.
    bound: BTreeSet<usize>,
    /// The product's columns in the stream, in order.
    stream: Vec<usize>,
}

impl Build {
    /// An expression over the product, over the stream followed by `more`.
    fn over_stream(&self, expr: &ScalarExpr, more: &[usize]) -> ScalarExpr {
        let places: HashMap<usize, usize> =
            self.stream.iter().chain(more).enumerate().map(|(at, column)| (*column, at)).collect();
        let mut expr = expr.clone();
        expr.map_columns(&|column| places.get(&column).copied().unwrap_or(column));
        expr
    }

    /// What must hold once `added` columns are there; classes in `by_key` hold for the given
    /// expression already.
    fn checks(
        &mut self,
        added: std::ops::Range<usize>,
        by_key: &HashMap<usize, ScalarExpr>,
        first: bool,
    ) -> Result<Vec<ScalarExpr>, SqlError> {
        let before = self.bound.clone();
        self.bound.extend(added);
        let mut checks = Vec::new();
        for (at, class) in self.classes.iter().enumerate() {
            let was = |expr: &&ScalarExpr| !first && is_bound(expr, &before);
            let is_new = |expr: &&ScalarExpr| is_bound(expr, &self.bound) && !was(expr);
            let old = class.iter().find(was);
            let mut new = class.iter().filter(is_new).peekable();
            if new.peek().is_none() {
                continue;
            }
            if let [only] = class.as_slice() {
                checks.push(only.clone().is_null().not());
                continue;
            }
            let Some(anchor) = by_key.get(&at).or(old).or_else(|| new.peek().copied()).cloned()
            else {
                continue;
            };
            for expr in new.filter(|expr| **expr != anchor) {
                checks.push(equal_bytes(&anchor, expr, &self.columns)?);
            }
        }
        let bound = &self.bound;
        let (ready, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.predicates).into_iter().partition(|p| is_bound(p, bound));
        checks.extend(ready);
        self.predicates = later;
        Ok(checks)
    }

    /// Columns that are asked for later.
    fn needed(&self) -> BTreeSet<usize> {
        let arity = self.last.input_arity;
        let scalars = self.last.scalars.iter();
        let scalars = scalars.chain(self.last.predicates.iter().map(|(_, predicate)| predicate));
        let open =
            self.classes.iter().filter(|class| !class.iter().all(|e| is_bound(e, &self.bound)));
        let expressions = scalars.chain(&self.predicates).chain(open.flatten());
        let mut needed: BTreeSet<usize> = expressions.flat_map(ScalarExpr::support).collect();
        needed.extend(&self.last.projection);
        needed.retain(|column| *column < arity);
        needed
    }

    /// Ends a step: the work so far gives the stream and `more`; adds checks, keeps what is
    /// needed; at the end does the last work.
    fn finish(
        &mut self,
        work: MapFilterProject,
        more: &[usize],
        checks: &[ScalarExpr],
        is_last: bool,
    ) -> MapFilterProject {
        let checks: Vec<_> = checks.iter().map(|check| self.over_stream(check, more)).collect();
        let mut work = work.filter(checks);
        let all: Vec<usize> = self.stream.iter().chain(more).copied().collect();
        if is_last {
            let places: HashMap<usize, usize> =
                all.iter().enumerate().map(|(at, column)| (*column, at)).collect();
            // A column that is not there is not asked for: any will do.
            let place = |column| places.get(&column).and_then(|at| work.projection.get(*at));
            work.projection = (0..self.last.input_arity)
                .map(|column| place(column).copied().unwrap_or(0))
                .collect();
            work = work.then(&self.last);
        } else {
            let needed = self.needed();
            let kept: Vec<usize> = (0..all.len()).filter(|at| needed.contains(&all[*at])).collect();
            work = work.project(&kept);
            self.stream = kept.iter().map(|at| all[*at]).collect();
        }
        work.optimize();
        work
    }
}

impl Lowering<'_> {
    fn join_inputs<'r>(&self, relations: &'r [RelationExpr]) -> (Vec<Input<'r>>, Vec<ColumnType>) {
        let mut columns = Vec::new();
        let mut inputs = Vec::new();
        for relation in relations {
            let typ = relation.typ();
            let start = columns.len();
            columns.extend(typ.columns);
            let (work, base) = row_wise(relation);
            let read = match base {
                // The filter by time is an operator of its own.
                RelationExpr::Get { id, .. } if !temporal::is_in(&work) => {
                    Some((*id, work.clone()))
                }
                _ => None,
            };
            let mut indexes = Vec::new();
            if let Some((Id::Global(id), _)) = &read
                && !self.own.contains(id)
            {
                for info in self.definitions.indexes_on(*id) {
                    if let Some(outside) = over_outputs(&info.key, &work, start)
                        && !info.key.is_empty()
                    {
                        indexes.push((info.index, info.key, outside));
                    }
                }
            }
            let shift = |key: &Vec<usize>| key.iter().map(|column| column + start).collect();
            inputs.push(Input {
                relation,
                start,
                end: columns.len(),
                keys: typ.keys.iter().map(shift).collect(),
                filtered: !work.predicates.is_empty(),
                known: matches!(base, RelationExpr::Constant { .. }),
                read,
                indexes,
            });
        }
        (inputs, columns)
    }

    pub(super) fn join(
        &mut self,
        relations: &[RelationExpr],
        equivalences: &[Vec<ScalarExpr>],
        mfp: MapFilterProject,
    ) -> Result<PhysicalPlan, SqlError> {
        let (inputs, columns) = self.join_inputs(relations);
        let sequence = order(&inputs, equivalences);
        let arity = columns.len();
        let mut last = mfp;
        let early = |predicate: &ScalarExpr| {
            predicate.support().last().is_none_or(|column| *column < arity)
        };
        let (now, later) =
            std::mem::take(&mut last.predicates).into_iter().partition(|(_, p)| early(p));
        last.predicates = later;
        let predicates: Vec<(usize, ScalarExpr)> = now;
        let mut build = Build {
            columns,
            classes: equivalences.to_vec(),
            predicates: predicates.into_iter().map(|(_, predicate)| predicate).collect(),
            last,
            bound: BTreeSet::new(),
            stream: Vec::new(),
        };
        let Some((first, rest)) = sequence.split_first() else {
            return Err(SqlError::internal("a join of nothing"));
        };
        let first = &inputs[*first];
        let source = self.lower(first.relation)?;
        let own: Vec<usize> = (first.start..first.end).collect();
        let checks = build.checks(first.start..first.end, &HashMap::new(), true)?;
        let work = MapFilterProject::identity(own.len());
        let source_mfp = build.finish(work, &own, &checks, rest.is_empty());
        if rest.is_empty() {
            return Ok(with_work(source, source_mfp));
        }
        let mut stages = Vec::new();
        for (at, next) in rest.iter().enumerate() {
            stages.push(self.stage(&mut build, &inputs[*next], at + 1 == rest.len())?);
        }
        Ok(PhysicalPlan::Join(Box::new(LinearJoin { source, source_mfp, stages })))
    }

    fn stage(
        &mut self,
        build: &mut Build,
        input: &Input<'_>,
        is_last: bool,
    ) -> Result<JoinStage, SqlError> {
        // For each class that joins the input with the stream: (class, there, here).
        let mut pairs: Vec<(usize, ScalarExpr, Vec<ScalarExpr>)> = Vec::new();
        for (at, class) in build.classes.iter().enumerate() {
            let there = class.iter().find(|expr| is_bound(expr, &build.bound));
            let here: Vec<ScalarExpr> =
                class.iter().filter(|expr| input.owns(expr)).cloned().collect();
            if let (Some(there), false) = (there, here.is_empty()) {
                pairs.push((at, there.clone(), here));
            }
        }
        let own: Vec<usize> = (input.start..input.end).collect();
        let width = build.stream.len();
        let mut by_key = HashMap::new();
        let mut stream_key = Vec::new();
        let usable = input.indexes.iter().filter(|(_, _, key)| {
            key.iter().all(|expr| pairs.iter().any(|(_, _, here)| here.contains(expr)))
        });
        let (lookup, lookup_key, work);
        if let (Some((index, key, outside)), Some((Id::Global(id), input_work))) =
            (usable.max_by_key(|(_, key, _)| key.len()), &input.read)
        {
            for expr in outside {
                if let Some((at, there, _)) = pairs.iter().find(|(_, _, h)| h.contains(expr)) {
                    stream_key.push(build.over_stream(there, &[]));
                    by_key.entry(*at).or_insert_with(|| expr.clone());
                }
            }
            self.use_index(*id, *index, key, input_work.input_arity);
            lookup = keyed_read(Id::Global(*id), key, input_work.input_arity);
            lookup_key = key.clone();
            work = beside(input_work, width);
        } else {
            let mut local_key = Vec::new();
            for (at, there, here) in &pairs {
                stream_key.push(build.over_stream(there, &[]));
                let mut expr = here[0].clone();
                by_key.insert(*at, expr.clone());
                expr.map_columns(&|column| column - input.start);
                local_key.push(expr);
            }
            match self.shared(input, &local_key) {
                Some((plan, key, input_work)) => {
                    lookup = plan;
                    lookup_key = key;
                    work = beside(&input_work, width);
                }
                None => {
                    lookup = self.lower(input.relation)?;
                    lookup_key = local_key;
                    work = MapFilterProject::identity(width + own.len());
                }
            }
        }
        let checks = build.checks(input.start..input.end, &by_key, false)?;
        let mfp = build.finish(work, &own, &checks, is_last);
        Ok(JoinStage { stream_key, lookup, lookup_key, mfp })
    }

    /// A read of a binding by an arrangement that the binding is asked to keep.
    fn shared(
        &mut self,
        input: &Input<'_>,
        key: &[ScalarExpr],
    ) -> Option<(PhysicalPlan, Vec<ScalarExpr>, MapFilterProject)> {
        let (Id::Local(id), work) = input.read.as_ref()? else { return None };
        if self.recursive.contains(id) {
            return None;
        }
        if key.is_empty() || !work.predicates.is_empty() || !work.scalars.is_empty() {
            return None;
        }
        let mut key = key.to_vec();
        key.iter_mut().for_each(|expr| expr.permute(&work.projection));
        let wanted = self.wanted.entry(*id).or_default();
        let arrangement = ArrangementKey(key.clone());
        if !wanted.contains(&arrangement) {
            wanted.push(arrangement);
        }
        Some((keyed_read(Id::Local(*id), &key, work.input_arity), key, work.clone()))
    }
}

fn keyed_read(id: Id, key: &[ScalarExpr], arity: usize) -> PhysicalPlan {
    PhysicalPlan::Get {
        id,
        key: Some(ArrangementKey(key.to_vec())),
        literal: None,
        mfp: MapFilterProject::identity(arity),
    }
}

/// Key expressions over what a relation reads, in the product's columns; None if the work on
/// top does not give them.
fn over_outputs(
    key: &[ScalarExpr],
    work: &MapFilterProject,
    start: usize,
) -> Option<Vec<ScalarExpr>> {
    key.iter()
        .map(|expr| {
            let mut expr = expr.clone();
            let place = |column: usize| work.projection.iter().position(|from| *from == column);
            if !expr.support().into_iter().all(|column| place(column).is_some()) {
                return None;
            }
            expr.map_columns(&|column| place(column).map_or(column, |at| start + at));
            Some(expr)
        })
        .collect()
}

/// Row-wise work on the columns behind the first `width` ones, which stay in front.
fn beside(work: &MapFilterProject, width: usize) -> MapFilterProject {
    let arity = width + work.input_arity;
    let shift = |expr: &ScalarExpr| {
        let mut expr = expr.clone();
        expr.map_columns(&|column| column + width);
        expr
    };
    let predicates = work.predicates.iter();
    MapFilterProject {
        input_arity: arity,
        scalars: work.scalars.iter().map(shift).collect(),
        predicates: predicates
            .map(|(needed, predicate)| ((*needed + width), shift(predicate)))
            .collect(),
        projection: (0..width).chain(work.projection.iter().map(|c| c + width)).collect(),
    }
}
