//! `mz_now()`: the tick at which a query is read, or, in what is maintained, each tick.
//!
//! A query that is read once has its tick in the function's place ([`bind_now`]). In what is
//! maintained it may stand only alone on one side of a comparison in a filter: such predicates
//! become the bounds of a temporal filter ([`split`]), which lets rows come and go at their times.
//!
//! A rewrite that is right at every tick by itself is right for a relation with `mz_now()`, so the
//! rewrites need not know of it: it is a volatile function, which none of them folds.

use std::collections::BTreeSet;

use tidemill_expr::{FunctionRef, ScalarExpr};
use tidemill_plan::RelationExpr;
use tidemill_plan::physical::{MapFilterProject, TemporalBound, TemporalComparison};
use tidemill_repr::{Datum, Row, SqlError, Tick};

use crate::equality::{Comparison, as_comparison};

/// The id of the function.
const NOW: &str = "mz_now";

fn is_now(expr: &ScalarExpr) -> bool {
    matches!(expr, ScalarExpr::Call { function: FunctionRef(function), .. } if function.id == NOW)
}

fn holds_now(expr: &ScalarExpr) -> bool {
    let mut found = false;
    expr.visit(&mut |part| found |= is_now(part));
    found
}

/// Whether a relation uses `mz_now()` itself; what it reads from indexes is of any tick already.
pub fn uses_now(relation: &RelationExpr) -> bool {
    let mut found = false;
    // Scalars are only given to be changed.
    let mut relation = relation.clone();
    relation.visit_mut(&mut |operator| {
        found |= operator.scalars_mut().into_iter().any(|scalar| holds_now(scalar));
    });
    found
}

/// Puts a tick in the place of `mz_now()`.
pub fn bind_now(relation: &mut RelationExpr, tick: Tick) {
    relation.visit_mut(&mut |operator| {
        for scalar in operator.scalars_mut() {
            scalar.visit_mut(&mut |part| {
                if is_now(part) {
                    let typ = part.typ(&[]);
                    *part = ScalarExpr::Literal(Ok(Row::pack([Datum::UInt(tick.0)])), typ);
                }
            });
        }
    });
}

/// Row-wise work with a temporal filter in its middle.
pub(crate) struct Split {
    pub before: MapFilterProject,
    pub bounds: Vec<TemporalBound>,
    pub after: MapFilterProject,
}

/// Whether row-wise work uses `mz_now()`.
pub(crate) fn is_in(work: &MapFilterProject) -> bool {
    work.scalars.iter().chain(work.predicates.iter().map(|(_, p)| p)).any(holds_now)
}

/// Takes the predicates with `mz_now()` out of row-wise work; None if there are none.
pub(crate) fn split(work: &MapFilterProject) -> Result<Option<Split>, SqlError> {
    if !is_in(work) {
        return Ok(None);
    }
    let mut work = work.clone();
    inline_now(&mut work);
    let mut bounds = Vec::new();
    let mut plain = Vec::new();
    for (needed, predicate) in std::mem::take(&mut work.predicates) {
        if holds_now(&predicate) {
            read_bounds(&predicate, false, &mut bounds)?;
        } else {
            plain.push((needed, predicate));
        }
    }
    work.predicates = plain;
    // What comes out of the first part: what is put out at the end, and what bounds need.
    let outputs = std::mem::take(&mut work.projection);
    let used = bounds.iter().flat_map(|bound| bound.expr.support());
    let kept: BTreeSet<usize> = outputs.iter().copied().chain(used).collect();
    work.projection = kept.into_iter().collect();
    let place = |column: usize| work.projection.binary_search(&column).unwrap_or(column);
    for bound in &mut bounds {
        bound.expr.map_columns(&place);
    }
    let outputs: Vec<usize> = outputs.into_iter().map(place).collect();
    let after = MapFilterProject::identity(work.projection.len()).project(&outputs);
    work.optimize();
    refuse(&work)?;
    Ok(Some(Split { before: work, bounds, after }))
}

/// Writes `mz_now()` out in predicates that name a column made of it.
fn inline_now(work: &mut MapFilterProject) {
    let mut columns: Vec<ScalarExpr> = (0..work.input_arity).map(ScalarExpr::Column).collect();
    for (at, scalar) in work.scalars.iter().enumerate() {
        let mut written_out = scalar.clone();
        written_out.substitute(&columns);
        columns.push(match holds_now(&written_out) {
            true => written_out,
            false => ScalarExpr::Column(work.input_arity + at),
        });
    }
    for (_, predicate) in &mut work.predicates {
        predicate.substitute(&columns);
    }
}

/// Whatever is left of `mz_now()` has no meaning.
fn refuse(work: &MapFilterProject) -> Result<(), SqlError> {
    if work.scalars.iter().any(holds_now) { Err(unsupported()) } else { Ok(()) }
}

/// Refuses `mz_now()` in an expression that is maintained.
pub(crate) fn refuse_in<'e>(
    expressions: impl IntoIterator<Item = &'e ScalarExpr>,
) -> Result<(), SqlError> {
    if expressions.into_iter().any(holds_now) { Err(unsupported()) } else { Ok(()) }
}

fn unsupported() -> SqlError {
    SqlError::unsupported("mz_now() at this place in what is maintained").with_hint(
        "Compare it directly in WHERE or HAVING with <, <=, =, >= or >, as in mz_now() <= \
         created_at + INTERVAL '30 days'. In the place of OR, use UNION.",
    )
}

fn read_bounds(
    predicate: &ScalarExpr,
    negated: bool,
    bounds: &mut Vec<TemporalBound>,
) -> Result<(), SqlError> {
    match predicate {
        ScalarExpr::And(parts) if !negated => {
            return parts.iter().try_for_each(|part| read_bounds(part, false, bounds));
        }
        ScalarExpr::Not(inner) => return read_bounds(inner, !negated, bounds),
        _ => {}
    }
    let (comparison, left, right) = as_comparison(predicate).ok_or_else(unsupported)?;
    let (comparison, expr) = match (is_now(left), is_now(right)) {
        (true, false) => (comparison, right),
        (false, true) => (comparison.flipped(), left),
        _ => return Err(unsupported()),
    };
    refuse_in([expr])?;
    let comparisons: &[TemporalComparison] = match (comparison, negated) {
        (Comparison::Less, false) | (Comparison::GreaterOrEqual, true) => {
            &[TemporalComparison::Before]
        }
        (Comparison::LessOrEqual, false) | (Comparison::Greater, true) => {
            &[TemporalComparison::UpTo]
        }
        (Comparison::Greater, false) | (Comparison::LessOrEqual, true) => {
            &[TemporalComparison::After]
        }
        (Comparison::GreaterOrEqual, false) | (Comparison::Less, true) => {
            &[TemporalComparison::From]
        }
        (Comparison::Equal, false) => &[TemporalComparison::From, TemporalComparison::UpTo],
        (Comparison::Equal, true) => return Err(unsupported()),
    };
    let bound = |comparison: &TemporalComparison| TemporalBound {
        comparison: *comparison,
        expr: expr.clone(),
    };
    bounds.extend(comparisons.iter().map(bound));
    Ok(())
}
