//! FOR UPDATE and FOR SHARE: there are no locks on rows. A transaction that writes fails when it
//! commits if what it read has changed, which is what the clause is there to prevent; so it is
//! accepted where PostgreSQL accepts it.

use sqlparser::ast::{
    GroupByExpr, LockClause, LockType, Query, Select, SetExpr, Spanned, TableFactor, TableWithJoins,
};
use tidemill_repr::{SqlError, SqlState};

use crate::query::QueryContext;
use crate::query::error::name_of;
use crate::query::from::name_parts;

/// Notes that a query asks for locks.
///
/// # Errors
/// PostgreSQL does not allow it here.
pub(super) fn check(ctx: &QueryContext<'_>, query: &Query) -> Result<(), SqlError> {
    let Some(first) = query.locks.first() else { return Ok(()) };
    let words = words(first);
    if ctx.maintained {
        return Err(
            ctx.unsupported(&format!("{words} of a query that is maintained"), query.span())
        );
    }
    let refuse = |what: &str| {
        Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{words} is not allowed with {what}"),
        ))
    };
    match &*query.body {
        SetExpr::SetOperation { .. } => return refuse("UNION/INTERSECT/EXCEPT"),
        SetExpr::Values(_) => {
            let message = format!("{words} cannot be applied to VALUES");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        SetExpr::Select(select) => {
            if select.distinct.is_some() {
                return refuse("DISTINCT clause");
            }
            if !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty()) {
                return refuse("GROUP BY clause");
            }
            if select.having.is_some() {
                return refuse("HAVING clause");
            }
            query.locks.iter().try_for_each(|lock| check_table(ctx, select, lock))?;
        }
        _ => {}
    }
    ctx.locks.set(true);
    Ok(())
}

fn words(lock: &LockClause) -> &'static str {
    match lock.lock_type {
        LockType::Share => "FOR SHARE",
        LockType::Update => "FOR UPDATE",
    }
}

/// `OF t` names a table of FROM.
fn check_table(ctx: &QueryContext<'_>, select: &Select, lock: &LockClause) -> Result<(), SqlError> {
    let Some(of) = &lock.of else { return Ok(()) };
    let parts = name_parts(ctx, of)?;
    let words = words(lock);
    let [wanted] = parts.as_slice() else {
        let message = format!("{words} must specify unqualified relation names");
        return Err(ctx.error(SqlState::SYNTAX_ERROR, message, of.span()));
    };
    if select.from.iter().any(|table| names(table, wanted)) {
        return Ok(());
    }
    Err(ctx.error(
        SqlState::UNDEFINED_TABLE,
        format!("relation \"{wanted}\" in {words} clause not found in FROM clause"),
        of.span(),
    ))
}

fn names(table: &TableWithJoins, wanted: &str) -> bool {
    let factors = std::iter::once(&table.relation).chain(table.joins.iter().map(|j| &j.relation));
    factors.into_iter().any(|factor| match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => name_of(&alias.name) == wanted,
        TableFactor::Table { name, .. } => {
            let last = name.0.last().and_then(|part| part.as_ident());
            last.is_some_and(|ident| name_of(ident) == wanted)
        }
        TableFactor::NestedJoin { table_with_joins, .. } => names(table_with_joins, wanted),
        _ => false,
    })
}
