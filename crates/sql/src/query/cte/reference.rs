//! Where the queries of a WITH RECURSIVE name one another, and whether a query names itself only
//! where PostgreSQL allows it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, ObjectName, Query, Select, SetExpr, SetOperator,
    SetQuantifier, Spanned, TableFactor, TableWithJoins, Visit, Visitor, With,
};
use sqlparser::tokenizer::Span;
use tidemill_repr::{SqlError, SqlState};

use crate::query::QueryContext;
use crate::query::error::name_of;

/// Where the first reference to a query of a WITH is, if there is one.
pub(super) fn mention(node: &impl Visit, name: &str) -> Option<Span> {
    let mut mentions = Mentions { name, hidden: Vec::new() };
    match node.visit(&mut mentions) {
        ControlFlow::Break(span) => Some(span),
        ControlFlow::Continue(()) => None,
    }
}

struct Mentions<'n> {
    name: &'n str,
    /// For each query around: the position of its own query of that name, and how many of its
    /// queries are in sight.
    hidden: Vec<(Option<usize>, usize)>,
}

impl Mentions<'_> {
    fn is_hidden(&self) -> bool {
        self.hidden.iter().any(|(own, visible)| own.is_some_and(|own| own < *visible))
    }
}

impl Visitor for Mentions<'_> {
    type Break = Span;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Span> {
        let (mut own, mut visible) = (None, 0);
        if let Some(with) = &query.with {
            own = with.cte_tables.iter().position(|cte| name_of(&cte.alias.name) == self.name);
            visible = if with.recursive { usize::MAX } else { 0 };
        }
        self.hidden.push((own, visible));
        match has_table(&query.body, self.name) && own.is_none() && !self.is_hidden() {
            true => ControlFlow::Break(query.span()),
            false => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Span> {
        self.hidden.pop();
        // The queries of a WITH are visited before all others inside.
        if let Some((_, visible)) = self.hidden.last_mut() {
            *visible = visible.saturating_add(1);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Span> {
        match factor {
            TableFactor::Table { name, args: None, .. }
                if is_name(name, self.name) && !self.is_hidden() =>
            {
                ControlFlow::Break(name.span())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn is_name(name: &ObjectName, wanted: &str) -> bool {
    match name.0.as_slice() {
        [part] => part.as_ident().is_some_and(|ident| name_of(ident) == wanted),
        _ => false,
    }
}

/// Whether `TABLE name` is a side of a set operation.
fn has_table(body: &SetExpr, name: &str) -> bool {
    match body {
        SetExpr::Table(table) => {
            table.schema_name.is_none()
                && table.table_name.as_ref().is_some_and(|table| table.to_lowercase() == name)
        }
        SetExpr::SetOperation { left, right, .. } => {
            has_table(left, name) || has_table(right, name)
        }
        _ => false,
    }
}

/// What is around a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Allowed,
    NonRecursive,
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

/// Looks at all references of a query to itself.
pub(super) struct SelfReferences<'a> {
    pub ctx: &'a QueryContext<'a>,
    pub name: &'a str,
    /// How many there are.
    pub count: usize,
}

impl SelfReferences<'_> {
    fn reference(&mut self, place: Place, span: Span) -> Result<(), SqlError> {
        let place = match place {
            Place::Allowed => {
                self.count += 1;
                if self.count < 2 {
                    return Ok(());
                }
                let name = self.name;
                return Err(self.ctx.error(
                    SqlState::INVALID_RECURSION,
                    format!(
                        "recursive reference to query \"{name}\" must not appear more than once"
                    ),
                    span,
                ));
            }
            Place::NonRecursive => "its non-recursive term",
            Place::Subquery => "a subquery",
            Place::OuterJoin => "an outer join",
            Place::Intersect => "INTERSECT",
            Place::Except => "EXCEPT",
        };
        let name = self.name;
        let message =
            format!("recursive reference to query \"{name}\" must not appear within {place}");
        Err(self.ctx.error(SqlState::INVALID_RECURSION, message, span))
    }

    /// The queries of a WITH; false if they hide the name.
    fn with(&mut self, with: &With, place: Place) -> Result<bool, SqlError> {
        let own = with.cte_tables.iter().position(|cte| name_of(&cte.alias.name) == self.name);
        if own.is_some() && with.recursive {
            return Ok(false);
        }
        let seen = own.map_or(with.cte_tables.len(), |own| own + 1);
        for cte in with.cte_tables.iter().take(seen) {
            self.query(&cte.query, place)?;
        }
        Ok(own.is_none())
    }

    pub fn query(&mut self, query: &Query, place: Place) -> Result<(), SqlError> {
        if let Some(with) = &query.with
            && !self.with(with, place)?
        {
            return Ok(());
        }
        self.body(&query.body, place)?;
        self.expressions(&query.order_by, place)?;
        self.expressions(&query.limit_clause, place)
    }

    pub fn with_of(&mut self, query: &Query) -> Result<(), SqlError> {
        if let Some(with) = &query.with {
            self.with(with, Place::Subquery)?;
        }
        Ok(())
    }

    pub fn body(&mut self, body: &SetExpr, place: Place) -> Result<(), SqlError> {
        let instead = |other: Place| if place == Place::Allowed { other } else { place };
        match body {
            SetExpr::Select(select) => self.select(select, place),
            SetExpr::Query(query) => self.query(query, place),
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let all = *set_quantifier == SetQuantifier::All;
                let (left_place, right_place) = match op {
                    SetOperator::Intersect if all => {
                        (instead(Place::Intersect), instead(Place::Intersect))
                    }
                    SetOperator::Except | SetOperator::Minus => {
                        (if all { instead(Place::Except) } else { place }, instead(Place::Except))
                    }
                    _ => (place, place),
                };
                self.ctx.deeper(|| {
                    self.body(left, left_place)?;
                    self.body(right, right_place)
                })
            }
            SetExpr::Table(_) => match has_table(body, self.name) {
                true => self.reference(place, body.span()),
                false => Ok(()),
            },
            other => self.expressions(other, place),
        }
    }

    /// Names in expressions are those of subqueries.
    fn expressions(&mut self, node: &impl Visit, place: Place) -> Result<(), SqlError> {
        let place = if place == Place::Allowed { Place::Subquery } else { place };
        mention(node, self.name).map_or(Ok(()), |span| self.reference(place, span))
    }

    fn select(&mut self, select: &Select, place: Place) -> Result<(), SqlError> {
        let rest = Select { from: Vec::new(), ..select.clone() };
        self.expressions(&rest, place)?;
        for table in &select.from {
            self.tables(table, place)?;
        }
        Ok(())
    }

    fn tables(&mut self, tables: &TableWithJoins, place: Place) -> Result<(), SqlError> {
        let outer = |yes: bool| match yes && place == Place::Allowed {
            true => Place::OuterJoin,
            false => place,
        };
        let nulls_left = |operator: &JoinOperator| {
            use JoinOperator::{FullOuter, Right, RightOuter};
            matches!(operator, Right(_) | RightOuter(_) | FullOuter(_))
        };
        let nulls_right = |operator: &JoinOperator| {
            use JoinOperator::{FullOuter, Left, LeftOuter};
            matches!(operator, Left(_) | LeftOuter(_) | FullOuter(_))
        };
        let joins = &tables.joins;
        let later = |from: usize| joins.iter().skip(from).any(|j| nulls_left(&j.join_operator));
        self.factor(&tables.relation, outer(later(0)))?;
        for (at, join) in joins.iter().enumerate() {
            let operator = &join.join_operator;
            self.factor(&join.relation, outer(nulls_right(operator) || later(at + 1)))?;
            if let Some(condition) = condition(operator) {
                self.expressions(condition, place)?;
            }
        }
        Ok(())
    }

    fn factor(&mut self, factor: &TableFactor, place: Place) -> Result<(), SqlError> {
        match factor {
            TableFactor::Table { name, args: None, .. } => match is_name(name, self.name) {
                true => self.reference(place, name.span()),
                false => Ok(()),
            },
            TableFactor::Derived { subquery, .. } => {
                self.ctx.deeper(|| self.query(subquery, place))
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.ctx.deeper(|| self.tables(table_with_joins, place))
            }
            other => self.expressions(other, place),
        }
    }
}

fn condition(operator: &JoinOperator) -> Option<&Expr> {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    match operator {
        Join(constraint)
        | Inner(constraint)
        | Left(constraint)
        | LeftOuter(constraint)
        | Right(constraint)
        | RightOuter(constraint)
        | FullOuter(constraint) => match constraint {
            JoinConstraint::On(condition) => Some(condition),
            _ => None,
        },
        _ => None,
    }
}
