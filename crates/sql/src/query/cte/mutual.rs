//! WITH MUTUALLY RECURSIVE: queries that name one another and themselves, with declared columns.

use std::rc::Rc;

use sqlparser::ast::{Cte as CteTree, With};
use tidemill_expr::CastContext;
use tidemill_plan::{QueryExpr, RecursionLimit, RecursiveBinding, RelationType};
use tidemill_repr::{ColumnType, SqlError, SqlState};

use super::{Binding, Cte, refuse_clauses, refuse_duplicates};
use crate::query::cast::coerce;
use crate::query::error::name_of;
use crate::query::order::{self, OutputColumn};
use crate::query::scope::Scope;
use crate::query::values::unit;
use crate::query::{QueryContext, set_operation, walk};

/// Plans the queries; in the result all of them can be named.
pub(super) fn plan_mutual_with(
    ctx: &QueryContext<'_>,
    with: &With,
    limit: RecursionLimit,
    around: &Rc<Scope>,
) -> Result<(Rc<Scope>, Vec<Binding>), SqlError> {
    // The first one stands for the options.
    let ctes = with.cte_tables.get(1..).unwrap_or_default();
    refuse_duplicates(ctx, ctes)?;
    let mut declared = Vec::new();
    let mut inside = around.ctes.clone();
    for cte in ctes {
        refuse_clauses(ctx, cte, false)?;
        let columns = declared_columns(ctx, cte)?;
        let id = ctx.fresh_local();
        let itself = Rc::new(Cte {
            name: name_of(&cte.alias.name),
            id,
            value: unit(),
            columns: columns.clone(),
            in_place: None,
            recursive: false,
            unlisted: 0,
            silent: false,
            next: inside,
        });
        inside = Some(Rc::clone(&itself));
        declared.push(itself);
    }
    let scope = Rc::new(Scope { ctes: inside, ..(**around).clone() });
    let mut bindings = Vec::new();
    for (cte, itself) in ctes.iter().zip(&declared) {
        let value = plan_value(ctx, cte, &itself.columns, &scope)?;
        let typ = RelationType::new(itself.columns.iter().map(|c| c.typ.clone()).collect());
        let name = itself.name.clone();
        bindings.push(RecursiveBinding { id: itself.id, name, value, typ });
    }
    if !bindings.iter().any(|binding| walk::is_correlated(&binding.value)) {
        return Ok((scope, vec![Binding::Recursive(bindings, limit)]));
    }
    // Each reading gets a recursion of its own, for the rows around it.
    let mut readable = around.ctes.clone();
    for itself in declared {
        let typ = RelationType::new(itself.columns.iter().map(|c| c.typ.clone()).collect());
        let body = Box::new(QueryExpr::Get { id: tidemill_plan::Id::Local(itself.id), typ });
        let value = QueryExpr::LetRec { bindings: bindings.clone(), limit, body };
        readable = Some(Rc::new(Cte {
            name: itself.name.clone(),
            id: itself.id,
            value,
            columns: itself.columns.clone(),
            in_place: Some(around.depth()),
            recursive: false,
            unlisted: 0,
            silent: false,
            next: readable,
        }));
    }
    Ok((Rc::new(Scope { ctes: readable, ..(**around).clone() }), Vec::new()))
}

fn declared_columns(ctx: &QueryContext<'_>, cte: &CteTree) -> Result<Vec<OutputColumn>, SqlError> {
    let name = name_of(&cte.alias.name);
    let untyped = || {
        ctx.error(
            SqlState::SYNTAX_ERROR,
            format!("WITH MUTUALLY RECURSIVE query \"{name}\" needs the types of its columns"),
            cte.alias.name.span,
        )
        .with_hint("Write its columns with their types, as in name (a int, b text) AS (..).")
    };
    if cte.alias.columns.is_empty() {
        return Err(untyped());
    }
    let mut columns: Vec<OutputColumn> = Vec::new();
    for column in &cte.alias.columns {
        let data_type = column.data_type.as_ref().ok_or_else(untyped)?;
        let typ = ctx
            .data_type(data_type)
            .map_err(|error| ctx.locate(error, column.name.span))?
            .nullable(true);
        let name = name_of(&column.name);
        if columns.iter().any(|other| other.name == name) {
            return Err(ctx.error(
                SqlState::DUPLICATE_COLUMN,
                format!("column name \"{name}\" specified more than once"),
                column.name.span,
            ));
        }
        columns.push(OutputColumn { name, typ, raw: None });
    }
    Ok(columns)
}

/// A query with its columns as they are declared.
fn plan_value(
    ctx: &QueryContext<'_>,
    cte: &CteTree,
    declared: &[OutputColumn],
    scope: &Rc<Scope>,
) -> Result<QueryExpr, SqlError> {
    let (name, span) = (name_of(&cte.alias.name), cte.alias.name.span);
    let parts = order::plan_query(ctx, &cte.query, scope)?;
    let columns = parts.columns();
    let value = order::into_relation(ctx, parts)?;
    if columns.len() != declared.len() {
        return Err(ctx.error(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "WITH MUTUALLY RECURSIVE query \"{name}\" declares {} columns but returns {}",
                declared.len(),
                columns.len()
            ),
            span,
        ));
    }
    let targets: Vec<ColumnType> = declared.iter().map(|column| column.typ.clone()).collect();
    set_operation::conform(value, &columns, &targets, |scalar, target, position| {
        let from = scalar.typ.scalar_type.clone();
        coerce(ctx, scalar, target, CastContext::Assignment)?.ok_or_else(|| {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "WITH MUTUALLY RECURSIVE query \"{name}\" declares column {} of type {} but \
                     returns type {from}",
                    position + 1,
                    target.scalar_type
                ),
            )
        })
    })
    .map_err(|error| ctx.locate(error, span))
}
