//! Point lookups of prepared statements: planned once, executed with nothing but the key.
//!
//! `SELECT .. FROM t WHERE a = $1 [AND b = $2]`, where an index has just that key, needs no
//! planning when it is executed again: the parameters are the key. What is recognised here is
//! the planner's form of such a query, so whatever is not recognised is planned the usual way.

use std::collections::BTreeSet;

use tidemill_catalog::Catalog;
use tidemill_expr::ScalarExpr;
use tidemill_optimize::{Definitions, IndexInfo};
use tidemill_plan::physical::MapFilterProject;
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{Id, QueryExpr, QueryScalar};
use tidemill_repr::{ObjectId, Row, RowBuilder, ScalarType};

use crate::read::CatalogDefinitions;
use crate::shared::Shared;

/// A lookup with a key of parameters.
#[derive(Debug)]
pub struct Lookup {
    /// The index.
    pub index: ObjectId,
    /// For each part of the key, in order: which parameter, from 0.
    pub parameters: Vec<usize>,
    /// Row-wise work on what is found.
    pub mfp: MapFilterProject,
    /// The base collections it depends on.
    pub bases: BTreeSet<ObjectId>,
}

impl Lookup {
    /// The key for these parameters; None if one of them is NULL, which equals nothing.
    pub fn key(&self, parameters: &[Row]) -> Option<Row> {
        let mut builder = RowBuilder::new();
        for parameter in &self.parameters {
            let row = parameters.get(*parameter)?;
            if row.iter().next()?.is_null() {
                return None;
            }
            builder.push_encoded(row.bytes());
        }
        Some(builder.finish())
    }
}

/// Recognises a lookup.
pub fn recognise(shared: &Shared, catalog: &Catalog, query: &QueryExpr) -> Option<Lookup> {
    let (mut outputs, mut relation): (Option<Vec<usize>>, _) = (None, query);
    while let QueryExpr::Project { input, outputs: columns } = relation {
        outputs = Some(match outputs {
            None => columns.clone(),
            Some(outer) => compose(&outer, columns)?,
        });
        relation = input;
    }
    let mut equal = Vec::new();
    while let QueryExpr::Filter { input, predicates } = relation {
        for predicate in predicates {
            equalities(predicate, &mut equal)?;
        }
        relation = input;
    }
    let QueryExpr::Get { id: Id::Global(id), typ } = relation else { return None };
    let definitions = CatalogDefinitions::new(catalog, shared);
    let index = definitions.indexes_on(*id).into_iter().find(|info| fits(info, &equal))?;
    let parameters = index
        .key
        .iter()
        .filter_map(|part| equal.iter().find(|(column, _)| *part == ScalarExpr::Column(*column)))
        .map(|(_, parameter)| *parameter)
        .collect();
    let mut mfp = MapFilterProject::identity(typ.arity());
    if let Some(outputs) = outputs {
        mfp.projection = outputs;
    }
    Some(Lookup { index: index.index, parameters, mfp, bases: catalog.base_collections(*id) })
}

fn compose(outer: &[usize], inner: &[usize]) -> Option<Vec<usize>> {
    outer.iter().map(|column| inner.get(*column).copied()).collect()
}

/// Whether the key is made of just the columns that are compared.
fn fits(index: &IndexInfo, equal: &[(usize, usize)]) -> bool {
    index.key.len() == equal.len()
        && index.key.iter().all(|part| {
            equal.iter().filter(|(column, _)| *part == ScalarExpr::Column(*column)).count() == 1
        })
}

/// Collects `column = parameter` from a conjunction; None if there is anything else.
fn equalities(predicate: &QueryScalar, found: &mut Vec<(usize, usize)>) -> Option<()> {
    match predicate {
        QueryScalar::And(parts) => parts.iter().try_for_each(|part| equalities(part, found)),
        QueryScalar::Call { function, arguments, .. }
            if function.name == "=" || is_equality(function.id) =>
        {
            let (column, parameter, typ) = match &arguments[..] {
                [
                    QueryScalar::Column(ColumnRef { level: 0, column }),
                    QueryScalar::Parameter(n, typ),
                ]
                | [
                    QueryScalar::Parameter(n, typ),
                    QueryScalar::Column(ColumnRef { level: 0, column }),
                ] => (*column, *n, &typ.scalar_type),
                _ => return None,
            };
            // Integers of all widths are one datum; other types must have one form a value.
            let plain = !typ.has_equal_representations() && *typ != ScalarType::Unknown;
            if !plain {
                return None;
            }
            found.push((column, parameter.checked_sub(1)?));
            Some(())
        }
        _ => None,
    }
}

/// The ids of equality functions: PostgreSQL's names for them.
fn is_equality(id: &str) -> bool {
    matches!(
        id,
        "booleq"
            | "int2eq"
            | "int4eq"
            | "int8eq"
            | "int24eq"
            | "int42eq"
            | "int28eq"
            | "int82eq"
            | "int48eq"
            | "int84eq"
            | "texteq"
            | "date_eq"
            | "time_eq"
            | "timestamp_eq"
            | "timestamptz_eq"
            | "uuid_eq"
    )
}
