//! WITH RECURSIVE: a query that names itself.
//!
//! PostgreSQL computes it with a working table: first the rows of the non-recursive term; then,
//! as long as there are any, the recursive term's rows over those of the step before. With UNION
//! what was there already does not come again. The result is all rows of all steps.
//!
//! Mostly the recursive term is linear: its result for rows together is its results for the rows
//! one by one. Then the result is the fixpoint of
//!
//! ```text
//! x = non-recursive term + recursive term over x        (UNION: each row once)
//! ```
//!
//! for which a change needs to follow only itself. Otherwise the steps are gone through as they
//! are, in bindings of which each sees the present value of those before it:
//!
//! ```text
//! open   = is there a step to do: in round 2; later if the last one gave rows
//! step   = round 1: the non-recursive term, then: the recursive term over the step before
//!          (UNION: each row once, without those in all)
//! all    = all + step
//! third  = second, second = first, ..: rounds that are over
//! ```

use std::rc::Rc;

use sqlparser::ast::{Query, SetExpr, SetOperator, SetQuantifier, Spanned, With};
use tidemill_plan::query::JoinKind;
use tidemill_plan::{Id, LocalId, QueryExpr, RecursionLimit, RecursiveBinding, RelationType};
use tidemill_repr::{SqlError, SqlState};

use super::reference::{Place, SelfReferences, mention};
use super::search_cycle::Clauses;
use super::{Binding, Cte, refuse_duplicates};
use crate::parse::search_and_cycle;
use crate::query::cast::{coerce_branch, common_column_type};
use crate::query::error::name_of;
use crate::query::order::{self, OutputColumn};
use crate::query::scope::Scope;
use crate::query::values::unit;
use crate::query::{QueryContext, from, literal, set_operation, walk};
use crate::types::data_type_sql;

/// Plans the queries of a WITH RECURSIVE, in an order in which each comes after those it names.
pub(super) fn plan_recursive_with(
    ctx: &QueryContext<'_>,
    with: &With,
    around: &Rc<Scope>,
) -> Result<(Rc<Scope>, Vec<Binding>), SqlError> {
    let ctes = &with.cte_tables;
    refuse_duplicates(ctx, ctes)?;
    let names: Vec<String> = ctes.iter().map(|cte| name_of(&cte.alias.name)).collect();
    let order = dependency_order(ctx, with, &names)?;
    let is_recursive = |at: usize| mention(&ctes[at].query, &names[at]).is_some();
    for at in &order {
        if is_recursive(*at) {
            check(ctx, &ctes[*at].query, &names[*at], ctes[*at].alias.name.span)?;
        }
    }
    let mut scope = Rc::clone(around);
    let mut bindings = Vec::new();
    for at in order {
        let cte = &ctes[at];
        super::refuse_clauses(ctx, cte, is_recursive(at))?;
        let (value, columns) = if is_recursive(at) {
            plan_recursive(ctx, cte, &names[at], &scope)?
        } else {
            super::plan_cte(ctx, cte, &scope)?
        };
        let binding = super::plain(ctx, &scope, names[at].clone(), value, columns);
        bindings.push(Binding::Plain(Rc::clone(&binding)));
        scope = Rc::new(Scope { ctes: Some(binding), ..(*scope).clone() });
    }
    Ok((scope, bindings))
}

fn dependency_order(
    ctx: &QueryContext<'_>,
    with: &With,
    names: &[String],
) -> Result<Vec<usize>, SqlError> {
    let ctes = &with.cte_tables;
    let needs =
        |at: usize, other: usize| at != other && mention(&ctes[at].query, &names[other]).is_some();
    let mut order: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = (0..ctes.len()).collect();
    while !left.is_empty() {
        let free = |at: &&usize| !left.iter().any(|other| needs(**at, *other));
        let Some(next) = left.iter().find(free).copied() else {
            return Err(ctx
                .error(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "mutual recursion between WITH items is not implemented",
                    ctes[left[0]].alias.name.span,
                )
                .with_hint("Use WITH MUTUALLY RECURSIVE."));
        };
        order.push(next);
        left.retain(|at| *at != next);
    }
    Ok(order)
}

/// The two terms of a recursive query, under the parentheses around them.
pub(super) struct Terms<'q> {
    /// The queries around the UNION; they are one to PostgreSQL.
    levels: Vec<&'q Query>,
    pub first: &'q SetExpr,
    pub step: &'q SetExpr,
    all: bool,
}

fn terms<'q>(
    ctx: &QueryContext<'_>,
    query: &'q Query,
    name: &str,
    span: sqlparser::tokenizer::Span,
) -> Result<Terms<'q>, SqlError> {
    let mut levels = vec![query];
    let mut body = &*query.body;
    while let SetExpr::Query(inner) = body {
        levels.push(inner);
        body = &inner.body;
    }
    let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } = body else {
        return Err(ctx.error(
            SqlState::INVALID_RECURSION,
            format!(
                "recursive query \"{name}\" does not have the form non-recursive-term UNION \
                 [ALL] recursive-term"
            ),
            span,
        ));
    };
    let all = match set_quantifier {
        SetQuantifier::All => true,
        SetQuantifier::Distinct | SetQuantifier::None => false,
        _ => return Err(ctx.unsupported("UNION BY NAME", span)),
    };
    Ok(Terms { levels, first: left, step: right, all })
}

/// Whether a query names itself only where it may.
fn check(
    ctx: &QueryContext<'_>,
    query: &Query,
    name: &str,
    span: sqlparser::tokenizer::Span,
) -> Result<(), SqlError> {
    let terms = terms(ctx, query, name, span)?;
    let mut references = SelfReferences { ctx, name, count: 0 };
    for level in &terms.levels {
        references.with_of(level)?;
    }
    references.body(terms.first, Place::NonRecursive)?;
    references.body(terms.step, Place::Allowed)?;
    if references.count == 0 {
        return Err(SqlError::internal("missing recursive reference"));
    }
    for level in &terms.levels {
        let what = if level.order_by.is_some() {
            "ORDER BY"
        } else if level.limit_clause.is_some() || level.fetch.is_some() {
            let only_offset = matches!(
                &level.limit_clause,
                Some(sqlparser::ast::LimitClause::LimitOffset { offset: Some(_), .. })
            );
            if only_offset { "OFFSET" } else { "LIMIT" }
        } else if !level.locks.is_empty() {
            "FOR UPDATE/SHARE"
        } else {
            continue;
        };
        return Err(ctx.error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{what} in a recursive query is not implemented"),
            level.span(),
        ));
    }
    Ok(())
}

fn plan_recursive(
    ctx: &QueryContext<'_>,
    cte: &sqlparser::ast::Cte,
    name: &str,
    around: &Rc<Scope>,
) -> Result<(QueryExpr, Vec<OutputColumn>), SqlError> {
    let terms = terms(ctx, &cte.query, name, cte.alias.name.span)?;
    let mut scope = Rc::clone(around);
    let mut inner = Vec::new();
    for level in &terms.levels {
        if let Some(with) = &level.with {
            let (next, bindings) = super::plan_with(ctx, with, &scope)?;
            scope = next;
            inner.extend(bindings);
        }
    }
    let (mut first, mut columns) = set_operation::plan_set_expr(ctx, terms.first, &scope)?;
    order::resolve_unknown_columns(ctx, &mut columns)?;
    let what = format!("WITH query \"{name}\"");
    let mut columns = from::rename_columns(ctx, columns, &cte.alias, &what)?;
    let own = columns.len();
    let mut rewritten = None;
    if let Some(text) = search_and_cycle(cte) {
        let span = cte.alias.name.span;
        let locate = |error: SqlError| ctx.locate(error, span);
        let clauses = Clauses::read(text).map_err(locate)?;
        let mut names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        clauses.check(&names).map_err(locate)?;
        let (new_first, new_step) = clauses.rewrite(ctx, &terms, name, &names, span)?;
        (first, columns) =
            set_operation::plan_set_expr(ctx, &new_first, &scope).map_err(|error| SqlError {
                message: error.message.replace("CASE types", "CYCLE types"),
                position: None,
                ..error
            })?;
        order::resolve_unknown_columns(ctx, &mut columns)?;
        names.extend(clauses.added());
        for (column, name) in columns.iter_mut().zip(names) {
            column.name = name;
        }
        rewritten = Some(new_step);
    }
    columns.iter_mut().for_each(|column| column.typ.nullable = true);
    let id = ctx.fresh_local();
    let itself = Rc::new(Cte {
        name: name.to_owned(),
        id,
        value: unit(),
        columns: columns.clone(),
        in_place: None,
        recursive: true,
        unlisted: columns.len() - own,
        silent: false,
        next: scope.ctes.clone(),
    });
    let inside = Rc::new(Scope { ctes: Some(itself), ..(*scope).clone() });
    let step = rewritten.as_ref().unwrap_or(terms.step);
    let (step, step_columns) = set_operation::plan_set_expr(ctx, step, &inside)?;
    let step = conform_step(ctx, name, &columns, (step, &step_columns))
        .map_err(|error| ctx.locate(error, terms.step.span()))?;
    let typ = RelationType::new(columns.iter().map(|column| column.typ.clone()).collect());
    let recursion = Recursion { name, id, first, step, all: terms.all, typ };
    Ok((super::bind(inner, recursion.plan(ctx)), columns))
}

/// The recursive term with the columns of the non-recursive one, which must not have to give way.
fn conform_step(
    ctx: &QueryContext<'_>,
    name: &str,
    columns: &[OutputColumn],
    (step, step_columns): (QueryExpr, &[OutputColumn]),
) -> Result<QueryExpr, SqlError> {
    if columns.len() != step_columns.len() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            "each UNION query must have the same number of columns",
        ));
    }
    let mut targets = Vec::new();
    for (position, (column, other)) in columns.iter().zip(step_columns).enumerate() {
        let common = common_column_type("UNION", &[column.typ.clone(), other.typ.clone()])?;
        let unknown = other.raw.is_some();
        if common.scalar_type != column.typ.scalar_type
            || (common.typmod != column.typ.typmod && !unknown)
        {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "recursive query \"{name}\" column {} has type {} in non-recursive term but \
                     type {} overall",
                    position + 1,
                    data_type_sql(&column.typ),
                    data_type_sql(&common)
                ),
            )
            .with_hint("Cast the output of the non-recursive term to the correct type."));
        }
        targets.push(common);
    }
    set_operation::conform(step, step_columns, &targets, |scalar, target, _| {
        coerce_branch(ctx, "UNION", scalar, target)
    })
}

/// A recursion to be planned.
struct Recursion<'n> {
    name: &'n str,
    /// What the recursive term reads.
    id: LocalId,
    first: QueryExpr,
    step: QueryExpr,
    all: bool,
    typ: RelationType,
}

fn get(id: LocalId, typ: &RelationType) -> QueryExpr {
    QueryExpr::Get { id: Id::Local(id), typ: typ.clone() }
}

fn union(inputs: Vec<QueryExpr>) -> QueryExpr {
    QueryExpr::Union { inputs }
}

fn distinct(input: QueryExpr) -> QueryExpr {
    QueryExpr::Distinct { input: Box::new(input) }
}

fn negate(input: QueryExpr) -> QueryExpr {
    QueryExpr::Negate { input: Box::new(input) }
}

/// `left` if `right`, which has no columns, has its row.
fn gated(left: QueryExpr, right: QueryExpr) -> QueryExpr {
    QueryExpr::Join {
        left: Box::new(left),
        right: Box::new(right),
        on: literal::boolean(true),
        kind: JoinKind::Inner,
        lateral: false,
    }
}

impl Recursion<'_> {
    fn binding(&self, id: LocalId, value: QueryExpr) -> RecursiveBinding<QueryExpr> {
        RecursiveBinding { id, name: self.name.to_owned(), value, typ: self.typ.clone() }
    }

    fn plan(self, ctx: &QueryContext<'_>) -> QueryExpr {
        if is_linear(&self.step, self.id, self.all) {
            let both = union(vec![self.first.clone(), self.step.clone()]);
            let value = if self.all { both } else { distinct(both) };
            let bindings = vec![self.binding(self.id, value)];
            let body = Box::new(get(self.id, &self.typ));
            return QueryExpr::LetRec { bindings, limit: RecursionLimit::DEFAULT, body };
        }
        self.plan_steps(ctx)
    }

    fn plan_steps(self, ctx: &QueryContext<'_>) -> QueryExpr {
        let nothing = RelationType::default();
        let [first, open, all, second, third] = std::array::from_fn(|_| ctx.fresh_local());
        let flag = |id: LocalId, name: &str, value: QueryExpr| {
            let (name, typ) = (name.to_owned(), nothing.clone());
            RecursiveBinding { id, name, value, typ }
        };
        let rows =
            QueryExpr::Project { input: Box::new(get(self.id, &self.typ)), outputs: Vec::new() };
        let round_two = union(vec![get(second, &nothing), negate(get(third, &nothing))]);
        let is_open = distinct(union(vec![round_two, distinct(rows)]));
        let start = union(vec![
            get(first, &self.typ),
            negate(gated(get(first, &self.typ), get(second, &nothing))),
        ]);
        let step = union(vec![start, gated(self.step.clone(), get(open, &nothing))]);
        let step = match self.all {
            true => step,
            false => QueryExpr::Threshold {
                input: Box::new(union(vec![distinct(step), negate(get(all, &self.typ))])),
            },
        };
        let so_far = union(vec![get(all, &self.typ), get(self.id, &self.typ)]);
        let bindings = vec![
            flag(open, "open", is_open),
            self.binding(self.id, step),
            self.binding(all, so_far),
            flag(third, "third", get(second, &nothing)),
            flag(second, "second", unit()),
        ];
        let body = Box::new(get(all, &self.typ));
        let recursion = QueryExpr::LetRec { bindings, limit: RecursionLimit::DEFAULT, body };
        QueryExpr::Let {
            id: first,
            name: format!("first rows of {}", self.name),
            value: Box::new(self.first),
            body: Box::new(recursion),
        }
    }
}

/// Whether a relation, as a function of a binding, gives for rows together what it gives for
/// them one by one; with `counts` that must hold for how often each row is there too.
fn is_linear(query: &QueryExpr, id: LocalId, counts: bool) -> bool {
    let reads = |part: &QueryExpr| walk::reads_local(part, id);
    let linear = |part: &QueryExpr| is_linear(part, id, counts);
    match query {
        QueryExpr::Get { id: Id::Local(found), .. } => *found == id,
        QueryExpr::Project { input, .. }
        | QueryExpr::Map { input, .. }
        | QueryExpr::Filter { input, .. }
        | QueryExpr::FlatMap { input, .. } => linear(input),
        QueryExpr::Distinct { input } => !counts && linear(input),
        QueryExpr::Join { left, right, kind, .. } => {
            let by_left = linear(left) && !reads(right);
            let by_right = !reads(left) && linear(right);
            match kind {
                JoinKind::Inner => by_left || by_right,
                JoinKind::Left => by_left,
                JoinKind::Right => by_right,
                JoinKind::Full => false,
            }
        }
        QueryExpr::Union { inputs } => inputs.iter().all(linear),
        QueryExpr::Let { value, body, .. } => !reads(value) && linear(body),
        _ => false,
    }
}
