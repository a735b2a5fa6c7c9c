//! GROUP BY with several grouping sets: GROUPING SETS, ROLLUP, CUBE, and lists of them.
//!
//! The rows are grouped once for each set; keys that a set leaves out are NULL in its rows.

use std::collections::BTreeSet;

use tidemill_plan::query::QueryAggregate;
use tidemill_plan::{Id, QueryExpr, QueryScalar, RelationType};
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use crate::query::{QueryContext, TypedScalar, literal, walk};

/// How many grouping sets there may be.
const MAX_SETS: usize = 4096;
/// How many elements CUBE may have.
const MAX_CUBE: usize = 12;

/// A list of grouping sets: positions of keys.
pub(in crate::query) type Sets = Vec<BTreeSet<usize>>;

/// Each set of one side with each of the other.
pub(in crate::query) fn cross(one: Sets, two: &Sets) -> Result<Sets, SqlError> {
    if one.len().saturating_mul(two.len()) > MAX_SETS {
        return Err(SqlError::new(
            SqlState::STATEMENT_TOO_COMPLEX,
            format!("too many grouping sets present (maximum {MAX_SETS})"),
        ));
    }
    let pairs = one.iter().flat_map(|left| two.iter().map(move |right| (left, right)));
    Ok(pairs.map(|(left, right)| left.union(right).copied().collect()).collect())
}

/// `ROLLUP`: all leading parts of the list.
pub(in crate::query) fn rollup(elements: &[Vec<usize>]) -> Sets {
    (0..=elements.len())
        .rev()
        .map(|length| elements[..length].iter().flatten().copied().collect())
        .collect()
}

/// `CUBE`: all subsets.
pub(in crate::query) fn cube(elements: &[Vec<usize>]) -> Result<Sets, SqlError> {
    if elements.len() > MAX_CUBE {
        return Err(SqlError::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("CUBE is limited to {MAX_CUBE} elements"),
        ));
    }
    Ok((0..1usize << elements.len())
        .rev()
        .map(|bits| {
            let chosen = elements.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
            chosen.flat_map(|(_, element)| element.iter().copied()).collect()
        })
        .collect())
}

/// Groups by each of the sets. Result: all keys, the aggregates, and `bits` of each set.
pub(in crate::query) fn reduce(
    ctx: &QueryContext<'_>,
    input: QueryExpr,
    (keys, places): (&[TypedScalar], &[usize]),
    aggregates: &[QueryAggregate],
    sets: &[(BTreeSet<usize>, Vec<i64>)],
) -> QueryExpr {
    if let [(set, bits)] = sets {
        return one_set(input, (keys, places), aggregates.to_vec(), set, bits);
    }
    let id = ctx.fresh_local();
    let width = places.iter().copied().max().map_or(0, |last| last + 1);
    let mut columns = vec![ColumnType::new(ScalarType::Unknown); width];
    for (key, place) in keys.iter().zip(places) {
        columns[*place] = key.typ.clone();
    }
    let inputs = sets
        .iter()
        .enumerate()
        .map(|(at, (set, bits))| {
            let get = QueryExpr::Get { id: Id::Local(id), typ: RelationType::new(columns.clone()) };
            let branch = one_set(get, (keys, places), aggregates.to_vec(), set, bits);
            // What subqueries in the arguments bind is bound in each branch.
            if at == 0 { branch } else { walk::copy(ctx, &branch) }
        })
        .collect();
    QueryExpr::Let {
        id,
        name: "grouped".to_owned(),
        value: Box::new(input),
        body: Box::new(QueryExpr::Union { inputs }),
    }
}

fn one_set(
    input: QueryExpr,
    (keys, places): (&[TypedScalar], &[usize]),
    aggregates: Vec<QueryAggregate>,
    set: &BTreeSet<usize>,
    bits: &[i64],
) -> QueryExpr {
    let group_key = set.iter().filter_map(|key| places.get(*key).copied()).collect();
    let count = aggregates.len();
    let reduced = QueryExpr::Reduce { input: Box::new(input), group_key, aggregates };
    if set.len() == keys.len() && bits.is_empty() {
        return reduced;
    }
    let mut scalars: Vec<QueryScalar> = Vec::new();
    let mut outputs = Vec::new();
    let width = set.len() + count;
    for (at, key) in keys.iter().enumerate() {
        match set.iter().position(|grouped| *grouped == at) {
            Some(position) => outputs.push(position),
            None => {
                outputs.push(width + scalars.len());
                let typ = key.typ.clone().nullable(true);
                let null = literal::null(ScalarType::Unknown).expr;
                scalars.push(match null {
                    QueryScalar::Literal(value, _) => QueryScalar::Literal(value, typ),
                    other => other,
                });
            }
        }
    }
    outputs.extend(set.len()..width);
    for value in bits {
        outputs.push(width + scalars.len());
        scalars.push(literal::literal(Datum::Int(*value), ScalarType::Int4).expr);
    }
    let mapped = QueryExpr::Map { input: Box::new(reduced), scalars };
    QueryExpr::Project { input: Box::new(mapped), outputs }
}
