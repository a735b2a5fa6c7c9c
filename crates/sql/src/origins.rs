//! Which column of which relation each column of a result is: what RowDescription tells clients, who
//! look up there whether it can be NULL, or what to write to.

use tidemill_catalog::Catalog;
use tidemill_plan::{Id, LocalId, QueryExpr, QueryScalar};
use tidemill_repr::{ColumnOrigin, ObjectId};

type Origin = Option<(ObjectId, usize)>;

/// The origins of the columns that remain of a query; empty if none has one.
pub(crate) fn origins(
    catalog: &Catalog,
    query: &QueryExpr,
    project: &[usize],
) -> Vec<Option<ColumnOrigin>> {
    let found = of(query, &mut Vec::new());
    let origin = |position: &usize| {
        let (id, column) = found.get(*position).copied().flatten()?;
        let number = i16::try_from(column + 1).ok()?;
        Some(ColumnOrigin { relation: catalog.item(id)?.oid, column: number })
    };
    let origins: Vec<_> = project.iter().map(origin).collect();
    if origins.iter().any(Option::is_some) { origins } else { Vec::new() }
}

/// One for each column. `bound` holds what WITH has named.
fn of(query: &QueryExpr, bound: &mut Vec<(LocalId, Vec<Origin>)>) -> Vec<Origin> {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || match query {
        QueryExpr::Constant { typ, .. } => vec![None; typ.columns.len()],
        QueryExpr::LetRec { body, .. } => of(body, bound),
        QueryExpr::Union { inputs } => {
            vec![None; inputs.first().map_or(0, |input| of(input, bound).len())]
        }
        QueryExpr::Get { id: Id::Global(id), typ } => {
            (0..typ.columns.len()).map(|column| Some((*id, column))).collect()
        }
        QueryExpr::Get { id: Id::Local(id), typ } => {
            let known = bound.iter().rev().find(|(name, _)| name == id);
            known.map_or_else(|| vec![None; typ.columns.len()], |(_, origins)| origins.clone())
        }
        QueryExpr::Let { id, value, body, .. } => {
            let value = of(value, bound);
            bound.push((*id, value));
            let body = of(body, bound);
            bound.pop();
            body
        }
        QueryExpr::Project { input, outputs } => {
            let input = of(input, bound);
            outputs.iter().map(|column| input.get(*column).copied().flatten()).collect()
        }
        QueryExpr::Map { input, scalars } => {
            let mut origins = of(input, bound);
            for scalar in scalars {
                let same = match scalar {
                    QueryScalar::Column(column) if column.level == 0 => {
                        origins.get(column.column).copied().flatten()
                    }
                    _ => None,
                };
                origins.push(same);
            }
            origins
        }
        QueryExpr::FlatMap { input, typ, .. } => longer(of(input, bound), typ.len()),
        QueryExpr::Window { input, calls, .. } => longer(of(input, bound), calls.len()),
        QueryExpr::Filter { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::TopK { input, .. }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => of(input, bound),
        QueryExpr::Join { left, right, .. } => {
            let mut origins = of(left, bound);
            origins.extend(of(right, bound));
            origins
        }
        QueryExpr::Reduce { input, group_key, aggregates } => {
            let input = of(input, bound);
            let key = group_key.iter().map(|column| input.get(*column).copied().flatten());
            longer(key.collect(), aggregates.len())
        }
    })
}

fn longer(mut origins: Vec<Origin>, by: usize) -> Vec<Origin> {
    origins.resize(origins.len().saturating_add(by), None);
    origins
}
