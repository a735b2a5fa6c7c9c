//! `ASSERT NOT NULL` of materialized views: a NULL in such a column is an error of the view until
//! the row is gone.

use tidemill_expr::EvalError;
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{RelationDesc, SqlError, SqlState};

use crate::ast::{CreateView, NamedOption, OptionValue, Statement};
use crate::names;
use crate::parse::parse;

const OPTION: &str = "ASSERT NOT NULL";

/// Whether an option is one of these.
pub(super) fn is_assertion(option: &NamedOption) -> bool {
    option.name == OPTION
}

/// The query of a materialized view with what its statement asserts; `desc` has its columns by
/// their final names, and loses their nullability.
///
/// # Errors
/// There is no such column.
pub(super) fn asserted(
    statement: &CreateView,
    query: QueryExpr,
    desc: &mut RelationDesc,
) -> Result<QueryExpr, SqlError> {
    let mut columns = Vec::new();
    for option in statement.with.iter().filter(|option| is_assertion(option)) {
        let name = match &option.value {
            OptionValue::Name(name) => names::parts(name)?.join("."),
            OptionValue::Text(name) => name.clone(),
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("option {OPTION} requires the name of a column"),
                ));
            }
        };
        let position = desc.columns.iter().position(|column| column.name == name);
        columns.push(position.ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" in {OPTION} option not found"),
            )
        })?);
    }
    columns.retain(|column| desc.columns.get(*column).is_some_and(|column| column.typ.nullable));
    columns.sort_unstable();
    columns.dedup();
    if columns.is_empty() {
        return Ok(query);
    }
    let mut outputs: Vec<usize> = (0..desc.arity()).collect();
    let mut scalars = Vec::new();
    for column in columns {
        let Some(described) = desc.columns.get_mut(column) else { continue };
        let value = || Box::new(QueryScalar::Column(ColumnRef { level: 0, column }));
        let message = format!("column \"{}\" must not be null", described.name);
        let error = EvalError::invalid(SqlState::NOT_NULL_VIOLATION, message);
        let error = QueryScalar::Literal(Err(error), described.typ.clone().nullable(false));
        let is_null = Box::new(QueryScalar::IsNull(value()));
        outputs[column] = outputs.len() + scalars.len();
        scalars.push(QueryScalar::If(is_null, Box::new(error), value()));
        described.typ.nullable = false;
    }
    let mapped = QueryExpr::Map { input: Box::new(query), scalars };
    Ok(QueryExpr::Project { input: Box::new(mapped), outputs })
}

/// The same for a view that is in the catalog: `desc` is that of its query, `named` has the names
/// of its columns.
///
/// # Errors
/// Its text cannot be read any more.
pub(crate) fn asserted_again(
    create_sql: &str,
    query: QueryExpr,
    desc: &mut RelationDesc,
    named: &RelationDesc,
) -> Result<QueryExpr, SqlError> {
    if !create_sql.contains(OPTION) {
        return Ok(query);
    }
    let Some(Statement::CreateView(create)) = parse(create_sql)?.pop().map(|one| one.statement)
    else {
        return Err(SqlError::internal("a view whose text is no CREATE VIEW"));
    };
    let mut final_desc = desc.clone();
    for (column, named) in final_desc.columns.iter_mut().zip(&named.columns) {
        column.name.clone_from(&named.name);
    }
    let query = asserted(&create, query, &mut final_desc)?;
    for (column, asserted) in desc.columns.iter_mut().zip(&final_desc.columns) {
        column.typ.nullable = asserted.typ.nullable;
    }
    Ok(query)
}
