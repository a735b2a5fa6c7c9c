//! WITH: names for queries.
//!
//! A query that is named and read becomes a Let. One that uses rows of the queries around it is
//! put in place of its name instead, so that each reading sees the rows it should.

use std::rc::Rc;

use sqlparser::ast::{Query, With};
use tidemill_plan::{Id, LocalId, QueryExpr, RelationType};
use tidemill_repr::{SqlError, SqlState};

use super::error::name_of;
use super::order::{self, OutputColumn};
use super::scope::Scope;
use super::{QueryContext, walk};

/// The WITH queries that can be named, the latest first.
pub(super) type CteList = Option<Rc<Cte>>;

/// A WITH query.
#[derive(Debug)]
pub(super) struct Cte {
    pub name: String,
    id: LocalId,
    value: QueryExpr,
    columns: Vec<OutputColumn>,
    /// Whether it is put in place of its name, and how many scopes are around its definition.
    in_place: Option<usize>,
    next: CteList,
}

/// The WITH query of a name.
pub(super) fn find<'c>(list: &'c CteList, name: &str) -> Option<&'c Cte> {
    let mut next = list.as_deref();
    while let Some(cte) = next {
        if cte.name == name {
            return Some(cte);
        }
        next = cte.next.as_deref();
    }
    None
}

impl Cte {
    /// A reading of it from a place with this many scopes around.
    pub(super) fn read(
        &self,
        ctx: &QueryContext<'_>,
        depth: usize,
    ) -> (QueryExpr, Vec<OutputColumn>) {
        let relation = match self.in_place {
            Some(defined_at) => {
                let mut value = walk::copy(ctx, &self.value);
                let by =
                    isize::try_from(depth).unwrap_or(0) - isize::try_from(defined_at).unwrap_or(0);
                walk::shift_query(&mut value, 1, by);
                value
            }
            None => QueryExpr::Get {
                id: Id::Local(self.id),
                typ: RelationType::new(
                    self.columns.iter().map(|column| column.typ.clone()).collect(),
                ),
            },
        };
        (relation, self.columns.clone())
    }
}

/// Plans the queries of a WITH; the result is the surroundings in which they can be named, and
/// the bindings to put around the body.
pub(super) fn plan_with(
    ctx: &QueryContext<'_>,
    with: &With,
    around: &Rc<Scope>,
) -> Result<(Rc<Scope>, Vec<Rc<Cte>>), SqlError> {
    if with.recursive {
        return Err(ctx.unsupported("WITH RECURSIVE", with.with_token.0.span));
    }
    let mut scope = Rc::clone(around);
    let mut bindings: Vec<Rc<Cte>> = Vec::new();
    for cte in &with.cte_tables {
        let span = cte.alias.name.span;
        let name = name_of(&cte.alias.name);
        if bindings.iter().any(|binding| binding.name == name) {
            return Err(ctx.error(
                SqlState::DUPLICATE_ALIAS,
                format!("WITH query name \"{name}\" specified more than once"),
                span,
            ));
        }
        let (value, columns) = plan_cte(ctx, &cte.query, &scope)?;
        let columns = super::from::rename_columns(
            ctx,
            columns,
            &cte.alias,
            &format!("WITH query \"{name}\""),
        )?;
        let in_place = walk::is_correlated(&value).then(|| scope.depth());
        let binding = Rc::new(Cte {
            name,
            id: ctx.fresh_local(),
            value,
            columns,
            in_place,
            next: scope.ctes.clone(),
        });
        bindings.push(Rc::clone(&binding));
        scope = Rc::new(Scope { ctes: Some(binding), ..(*scope).clone() });
    }
    Ok((scope, bindings))
}

fn plan_cte(
    ctx: &QueryContext<'_>,
    query: &Query,
    scope: &Rc<Scope>,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    let parts = order::plan_query(ctx, query, scope)?;
    order::into_subquery(ctx, parts)
}

/// Puts the bindings that are read around a body.
pub(super) fn bind(bindings: Vec<Rc<Cte>>, mut body: QueryExpr) -> QueryExpr {
    for binding in bindings.into_iter().rev() {
        if binding.in_place.is_none() && walk::reads_local(&body, binding.id) {
            body = QueryExpr::Let {
                id: binding.id,
                name: binding.name.clone(),
                value: Box::new(binding.value.clone()),
                body: Box::new(body),
            };
        }
    }
    body
}
