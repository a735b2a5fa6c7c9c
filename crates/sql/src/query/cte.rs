//! WITH: names for queries.
//!
//! A query that is named and read becomes a Let. One that uses rows of the queries around it is
//! put in place of its name instead, so that each reading sees the rows it should. Queries that
//! name themselves ([`recursive`]) or one another ([`mutual`]) become a LetRec.

mod list;
mod mutual;
mod recursive;
mod reference;
mod search_cycle;

use std::rc::Rc;

use sqlparser::ast::{Cte as CteTree, SetExpr, With};
use tidemill_plan::{Id, LocalId, QueryExpr, RecursionLimit, RecursiveBinding, RelationType};
use tidemill_repr::{SqlError, SqlState};

use super::error::name_of;
use super::order::{self, OutputColumn};
use super::scope::Scope;
use super::{QueryContext, walk};
use crate::parse::{mutual_limit, search_and_cycle};

pub use list::{WithList, put_rows};

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
    /// Whether it is read from its own recursive term.
    pub recursive: bool,
    /// How many of its last columns `*` does not mean.
    pub unlisted: usize,
    /// Whether it is a statement that returns nothing.
    silent: bool,
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

/// What is bound around the body of a query with WITH.
#[derive(Clone, Debug)]
pub(super) enum Binding {
    Plain(Rc<Cte>),
    Recursive(Vec<RecursiveBinding<QueryExpr>>, RecursionLimit),
}

/// Plans the queries of a WITH; the result is the surroundings in which they can be named, and
/// the bindings to put around the body.
pub(super) fn plan_with(
    ctx: &QueryContext<'_>,
    with: &With,
    around: &Rc<Scope>,
) -> Result<(Rc<Scope>, Vec<Binding>), SqlError> {
    if let Some(limit) = mutual_limit(with)? {
        return mutual::plan_mutual_with(ctx, with, limit, around);
    }
    if with.recursive {
        return recursive::plan_recursive_with(ctx, with, around);
    }
    let mut scope = Rc::clone(around);
    let mut bindings = Vec::new();
    refuse_duplicates(ctx, &with.cte_tables)?;
    for cte in &with.cte_tables {
        refuse_clauses(ctx, cte, false)?;
        let (value, columns) = plan_cte(ctx, cte, &scope)?;
        let binding = plain(ctx, &scope, name_of(&cte.alias.name), value, columns);
        bindings.push(Binding::Plain(Rc::clone(&binding)));
        scope = Rc::new(Scope { ctes: Some(binding), ..(*scope).clone() });
    }
    Ok((scope, bindings))
}

/// Refuses a WITH two queries of which have the same name.
///
/// # Errors
/// There are such (`42712`).
pub fn refuse_duplicates(ctx: &QueryContext<'_>, ctes: &[CteTree]) -> Result<(), SqlError> {
    for (at, cte) in ctes.iter().enumerate() {
        let name = name_of(&cte.alias.name);
        if ctes.iter().take(at).any(|other| name_of(&other.alias.name) == name) {
            return Err(ctx.error(
                SqlState::DUPLICATE_ALIAS,
                format!("WITH query name \"{name}\" specified more than once"),
                cte.alias.name.span,
            ));
        }
    }
    Ok(())
}

/// What may follow a query of a WITH: SEARCH and CYCLE after one that is recursive.
fn refuse_clauses(ctx: &QueryContext<'_>, cte: &CteTree, recursive: bool) -> Result<(), SqlError> {
    let span = cte.alias.name.span;
    match &cte.from {
        None => Ok(()),
        Some(_) if search_and_cycle(cte).is_some() && !recursive => {
            Err(ctx.error(SqlState::SYNTAX_ERROR, "WITH query is not recursive", span))
        }
        Some(_) if search_and_cycle(cte).is_some() => Ok(()),
        Some(from) => Err(ctx.unsupported("FROM after a query of WITH", from.span)),
    }
}

/// A statement that writes has its place in the outermost WITH of a statement.
fn refuse_write(ctx: &QueryContext<'_>, cte: &CteTree) -> Result<(), SqlError> {
    let body = &*cte.query.body;
    if !matches!(
        body,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    ) {
        return Ok(());
    }
    if ctx.maintained {
        let message = "views must not contain data-modifying statements in WITH";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    Err(ctx.error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "WITH clause containing a data-modifying statement must be at the top level",
        cte.alias.name.span,
    ))
}

fn plan_cte(
    ctx: &QueryContext<'_>,
    cte: &CteTree,
    scope: &Rc<Scope>,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    refuse_write(ctx, cte)?;
    let parts = order::plan_query(ctx, &cte.query, scope)?;
    let (value, columns) = order::into_subquery(ctx, parts)?;
    let what = format!("WITH query \"{}\"", name_of(&cte.alias.name));
    let columns = super::from::rename_columns(ctx, columns, &cte.alias, &what)
        .map_err(|error| ctx.locate(SqlError { position: None, ..error }, cte.alias.name.span))?;
    Ok((value, columns))
}

/// A query that can be named from now on.
fn plain(
    ctx: &QueryContext<'_>,
    scope: &Scope,
    name: String,
    value: QueryExpr,
    columns: Vec<OutputColumn>,
) -> Rc<Cte> {
    let in_place = walk::is_correlated(&value).then(|| scope.depth());
    let (id, next) = (ctx.fresh_local(), scope.ctes.clone());
    Rc::new(Cte {
        name,
        id,
        value,
        columns,
        in_place,
        recursive: false,
        unlisted: 0,
        silent: false,
        next,
    })
}

/// Puts the bindings that are read around a body.
pub(super) fn bind(bindings: Vec<Binding>, mut body: QueryExpr) -> QueryExpr {
    for binding in bindings.into_iter().rev() {
        body = match binding {
            Binding::Plain(cte) if cte.in_place.is_none() && walk::reads_local(&body, cte.id) => {
                QueryExpr::Let {
                    id: cte.id,
                    name: cte.name.clone(),
                    value: Box::new(cte.value.clone()),
                    body: Box::new(body),
                }
            }
            Binding::Recursive(bindings, limit)
                if bindings.iter().any(|binding| walk::reads_local(&body, binding.id)) =>
            {
                QueryExpr::LetRec { bindings, limit, body: Box::new(body) }
            }
            _ => body,
        };
    }
    body
}
