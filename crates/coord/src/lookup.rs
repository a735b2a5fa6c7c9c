//! Point lookups: answered with nothing but the key.
//!
//! `SELECT .. FROM t WHERE a = $1 [AND b = 7]`, where an index has just that key, needs no
//! optimiser: the parameters and constants are the key. A prepared statement keeps what was
//! found. What is recognised here is the planner's form of such a query, so whatever is not
//! recognised is planned the usual way.

use std::collections::BTreeSet;

use tidemill_catalog::Catalog;
use tidemill_expr::ScalarExpr;
use tidemill_optimize::{Definitions, IndexInfo};
use tidemill_plan::physical::MapFilterProject;
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{Id, QueryExpr, QueryScalar};
use tidemill_repr::{ObjectId, Row, RowBuilder, ScalarType, Tick};

use crate::read::CatalogDefinitions;
use crate::shared::Shared;

/// A part of a key.
#[derive(Clone, Debug)]
pub enum KeyPart {
    /// A parameter, counted from 0.
    Parameter(usize),
    /// A constant: a row of one datum.
    Literal(Row),
}

/// A lookup with a key of parameters and constants.
#[derive(Debug)]
pub struct Lookup {
    /// The index.
    pub index: ObjectId,
    /// The parts of the key, in order.
    pub key: Vec<KeyPart>,
    /// Row-wise work on what is found.
    pub mfp: MapFilterProject,
    /// The base collections it depends on.
    pub bases: BTreeSet<ObjectId>,
}

impl Lookup {
    /// The key for these parameters; None if a part of it is NULL, which equals nothing.
    pub fn key(&self, parameters: &[Row]) -> Option<Row> {
        let mut builder = RowBuilder::new();
        for part in &self.key {
            let row = match part {
                KeyPart::Parameter(parameter) => parameters.get(*parameter)?,
                KeyPart::Literal(row) => row,
            };
            if row.iter().next()?.is_null() {
                return None;
            }
            builder.push_encoded(row.bytes());
        }
        Some(builder.finish())
    }
}

/// Recognises a lookup that is read at a tick that is not before `at`.
pub fn recognise(
    shared: &Shared,
    catalog: &Catalog,
    query: &QueryExpr,
    (at, cluster): (Tick, &str),
) -> Option<Lookup> {
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
    if equal.is_empty() {
        return None;
    }
    let definitions = CatalogDefinitions::new(catalog, shared, cluster).at(at);
    let index = definitions.indexes_on(*id).into_iter().find(|info| fits(info, &equal))?;
    let key = index
        .key
        .iter()
        .filter_map(|part| equal.iter().find(|(column, _)| *part == ScalarExpr::Column(*column)))
        .map(|(_, part)| part.clone())
        .collect();
    let mut mfp = MapFilterProject::identity(typ.arity());
    if let Some(outputs) = outputs {
        mfp.projection = outputs;
    }
    Some(Lookup { index: index.index, key, mfp, bases: catalog.base_collections(*id) })
}

fn compose(outer: &[usize], inner: &[usize]) -> Option<Vec<usize>> {
    outer.iter().map(|column| inner.get(*column).copied()).collect()
}

/// Whether the key is made of just the columns that are compared.
fn fits(index: &IndexInfo, equal: &[(usize, KeyPart)]) -> bool {
    index.key.len() == equal.len()
        && index.key.iter().all(|part| {
            equal.iter().filter(|(column, _)| *part == ScalarExpr::Column(*column)).count() == 1
        })
}

/// Collects `column = parameter` and `column = constant` from a conjunction; None if there is
/// anything else.
fn equalities(predicate: &QueryScalar, found: &mut Vec<(usize, KeyPart)>) -> Option<()> {
    match predicate {
        QueryScalar::And(parts) => parts.iter().try_for_each(|part| equalities(part, found)),
        QueryScalar::Call { function, arguments, .. }
            if function.name == "=" || is_equality(function.id) =>
        {
            let [left, right] = &arguments[..] else { return None };
            let (column, (part, typ)) = match (left, right) {
                (QueryScalar::Column(ColumnRef { level: 0, column }), other)
                | (other, QueryScalar::Column(ColumnRef { level: 0, column })) => {
                    (*column, key_part(other)?)
                }
                _ => return None,
            };
            // Integers of all widths are one datum; other types must have one form a value.
            let plain = !typ.has_equal_representations() && *typ != ScalarType::Unknown;
            if !plain {
                return None;
            }
            found.push((column, part));
            Some(())
        }
        _ => None,
    }
}

/// A parameter or constant with its type.
fn key_part(scalar: &QueryScalar) -> Option<(KeyPart, &ScalarType)> {
    match scalar {
        QueryScalar::Parameter(n, typ) => {
            Some((KeyPart::Parameter(n.checked_sub(1)?), &typ.scalar_type))
        }
        QueryScalar::Literal(Ok(row), typ) => {
            Some((KeyPart::Literal(row.clone()), &typ.scalar_type))
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
