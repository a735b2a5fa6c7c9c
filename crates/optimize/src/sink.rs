//! Before decorrelation: predicates sink below outer joins, and outer joins whose padded rows a
//! predicate drops anyway become inner ones.
//!
//! An outer join becomes bindings that are read in several places ([`crate::decorrelate`]), into
//! which no predicate can be pushed any more. `WHERE id = 5` over a view that joins a dozen tables
//! with LEFT JOIN must not compute the whole view: so it goes to its table here, through the
//! view's query, which takes the view's place where it is read once and has no index.

mod nulls;
mod views;

use tidemill_plan::query::{ColumnRef, JoinKind};
use tidemill_plan::relation::build::grow;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Datum, Row, ScalarType};

use crate::definitions::Definitions;
use crate::equality::is_equality;

/// The query with its predicates as far down as they go, if it has outer joins.
pub fn sink(query: &QueryExpr, definitions: &dyn Definitions) -> Option<QueryExpr> {
    if !views::holds_outer_join(query, definitions) {
        return None;
    }
    Some(push(views::inlined(query, definitions), Vec::new()))
}

/// `query` filtered by `predicates`, which hold no subqueries.
fn push(query: QueryExpr, predicates: Vec<QueryScalar>) -> QueryExpr {
    grow(|| push_here(query, predicates))
}

fn push_here(query: QueryExpr, mut predicates: Vec<QueryScalar>) -> QueryExpr {
    match query {
        QueryExpr::Filter { input, predicates: own } => {
            // The inner ones stay in front: they may guard the others.
            let (mut below, mut above) = (Vec::new(), Vec::new());
            for predicate in own {
                conjuncts(predicate, &mut below, &mut above);
            }
            below.append(&mut predicates);
            filtered(push(*input, below), above)
        }
        QueryExpr::Project { input, outputs } => {
            for predicate in &mut predicates {
                map_columns(predicate, &|column| outputs.get(column).copied().unwrap_or(column));
            }
            QueryExpr::Project { input: Box::new(push(*input, predicates)), outputs }
        }
        QueryExpr::Map { input, scalars } => {
            let arity = arity(&input);
            let (below, above) = split(predicates, |column| column < arity);
            let input = Box::new(push(*input, below));
            filtered(QueryExpr::Map { input, scalars }, above)
        }
        QueryExpr::FlatMap { input, function, arguments, typ } => {
            let arity = arity(&input);
            let (below, above) = split(predicates, |column| column < arity);
            let input = Box::new(push(*input, below));
            filtered(QueryExpr::FlatMap { input, function, arguments, typ }, above)
        }
        QueryExpr::Join { left, right, on, kind, lateral } => {
            push_join(Join { left: *left, right: *right, on, kind, lateral }, predicates)
        }
        QueryExpr::Reduce { input, group_key, aggregates } => {
            let keys = group_key.len();
            // Without a key there is a row for no rows too.
            let (mut below, above) = split(predicates, |column| column < keys);
            for predicate in &mut below {
                map_columns(predicate, &|column| group_key.get(column).copied().unwrap_or(column));
            }
            let input = Box::new(push(*input, below));
            filtered(QueryExpr::Reduce { input, group_key, aggregates }, above)
        }
        QueryExpr::Distinct { input } => {
            QueryExpr::Distinct { input: Box::new(push(*input, predicates)) }
        }
        QueryExpr::Negate { input } => {
            QueryExpr::Negate { input: Box::new(push(*input, predicates)) }
        }
        QueryExpr::Threshold { input } => {
            QueryExpr::Threshold { input: Box::new(push(*input, predicates)) }
        }
        QueryExpr::Union { inputs } => {
            let inputs = inputs.into_iter().map(|input| push(input, predicates.clone())).collect();
            QueryExpr::Union { inputs }
        }
        QueryExpr::Let { id, name, value, body } => {
            let value = Box::new(push(*value, Vec::new()));
            QueryExpr::Let { id, name, value, body: Box::new(push(*body, predicates)) }
        }
        QueryExpr::TopK { input, group_key, order_by, limit, offset } => {
            let input = Box::new(push(*input, Vec::new()));
            filtered(QueryExpr::TopK { input, group_key, order_by, limit, offset }, predicates)
        }
        QueryExpr::Window { input, partition_by, order_by, calls } => {
            let input = Box::new(push(*input, Vec::new()));
            filtered(QueryExpr::Window { input, partition_by, order_by, calls }, predicates)
        }
        leaf @ (QueryExpr::Constant { .. } | QueryExpr::Get { .. } | QueryExpr::LetRec { .. }) => {
            filtered(leaf, predicates)
        }
    }
}

/// A join of a query.
struct Join {
    left: QueryExpr,
    right: QueryExpr,
    on: QueryScalar,
    kind: JoinKind,
    lateral: bool,
}

fn push_join(join: Join, predicates: Vec<QueryScalar>) -> QueryExpr {
    let Join { left, right, on, mut kind, lateral } = join;
    let width = arity(&left);
    for predicate in &predicates {
        kind = match kind {
            JoinKind::Left if nulls::drops(predicate, |column| column >= width) => JoinKind::Inner,
            JoinKind::Right if nulls::drops(predicate, |column| column < width) => JoinKind::Inner,
            JoinKind::Full => {
                let keeps_left = !nulls::drops(predicate, |column| column >= width);
                let keeps_right = !nulls::drops(predicate, |column| column < width);
                match (keeps_left, keeps_right) {
                    (true, true) => JoinKind::Full,
                    (true, false) => JoinKind::Left,
                    (false, true) => JoinKind::Right,
                    (false, false) => JoinKind::Inner,
                }
            }
            kind => kind,
        };
    }
    // Padded rows of a side are its rows: what is said of them can be said before the join. Of the
    // condition, what is said of the side that is padded with NULLs.
    let (keeps_left, keeps_right) = match kind {
        JoinKind::Inner => (true, true),
        JoinKind::Left => (true, false),
        JoinKind::Right => (false, true),
        JoinKind::Full => (false, false),
    };
    let (on_left, on_right) = match kind {
        JoinKind::Inner => (true, true),
        JoinKind::Left => (false, true),
        JoinKind::Right => (true, false),
        JoinKind::Full => (false, false),
    };
    let (mut condition, mut kept) = (Vec::new(), Vec::new());
    conjuncts(on, &mut condition, &mut kept);
    let (mut to_left, condition) = split(condition, |column| on_left && column < width);
    let on_right = on_right && !lateral;
    let (mut to_right, mut condition) = split(condition, |column| on_right && column >= width);
    let (below, rest) = split(predicates, |column| keeps_left && column < width);
    to_left.extend(below);
    let keeps_right = keeps_right && !lateral;
    let (below, above) = split(rest, |column| keeps_right && column >= width);
    to_right.extend(below);
    if on_right {
        // A row of the left side only meets rows with the value that it must have itself.
        for predicate in to_left.clone() {
            for other in condition.iter().filter_map(|equal| with_partner(&predicate, equal)) {
                if columns(&other).iter().all(|column| *column >= width)
                    && !to_right.contains(&other)
                {
                    to_right.push(other);
                }
            }
        }
    }
    for predicate in &mut to_right {
        map_columns(predicate, &|column| column.saturating_sub(width));
    }
    condition.extend(kept);
    let on = match condition.len() {
        0 => {
            let typ = ColumnType::new(ScalarType::Bool).nullable(false);
            QueryScalar::Literal(Ok(Row::pack([Datum::Bool(true)])), typ)
        }
        1 => condition.remove(0),
        _ => QueryScalar::And(condition),
    };
    let left = Box::new(push(left, to_left));
    let right = Box::new(push(right, to_right));
    filtered(QueryExpr::Join { left, right, on, kind, lateral }, above)
}

/// `b = literal`, where `a = literal` is given and `a = b` is asked for, all by one function.
fn with_partner(predicate: &QueryScalar, equal: &QueryScalar) -> Option<QueryScalar> {
    let QueryScalar::Call { function, arguments, typ } = predicate else { return None };
    let QueryScalar::Call { function: other, arguments: sides, .. } = equal else { return None };
    if function != other || !is_equality(*function) {
        return None;
    }
    let ([left, right], [one, two]) = (arguments.as_slice(), sides.as_slice()) else { return None };
    let (column, value) = match (left, right) {
        (column @ QueryScalar::Column(_), value @ QueryScalar::Literal(..))
        | (value @ QueryScalar::Literal(..), column @ QueryScalar::Column(_)) => (column, value),
        _ => return None,
    };
    let partner = match (column == one, column == two) {
        (true, false) => two,
        (false, true) => one,
        _ => return None,
    };
    matches!(partner, QueryScalar::Column(_)).then(|| QueryScalar::Call {
        function: *function,
        arguments: vec![partner.clone(), value.clone()],
        typ: typ.clone(),
    })
}

fn filtered(query: QueryExpr, predicates: Vec<QueryScalar>) -> QueryExpr {
    if predicates.is_empty() {
        return query;
    }
    QueryExpr::Filter { input: Box::new(query), predicates }
}

/// Takes a conjunction apart: what can be moved, and what holds a subquery.
fn conjuncts(predicate: QueryScalar, plain: &mut Vec<QueryScalar>, other: &mut Vec<QueryScalar>) {
    match predicate {
        QueryScalar::And(parts) => {
            parts.into_iter().for_each(|part| conjuncts(part, plain, other));
        }
        predicate if is_plain(&predicate) => plain.push(predicate),
        predicate => other.push(predicate),
    }
}

fn children(scalar: &QueryScalar) -> Vec<&QueryScalar> {
    match scalar {
        QueryScalar::Call { arguments: parts, .. }
        | QueryScalar::And(parts)
        | QueryScalar::Or(parts)
        | QueryScalar::Coalesce(parts) => parts.iter().collect(),
        QueryScalar::Not(part) | QueryScalar::IsNull(part) => vec![part],
        QueryScalar::If(condition, then, otherwise) => vec![condition, then, otherwise],
        QueryScalar::Column(_)
        | QueryScalar::Parameter(..)
        | QueryScalar::Literal(..)
        | QueryScalar::Exists(_)
        | QueryScalar::Subquery(_) => Vec::new(),
    }
}

fn is_plain(scalar: &QueryScalar) -> bool {
    !matches!(scalar, QueryScalar::Exists(_) | QueryScalar::Subquery(_))
        && children(scalar).into_iter().all(is_plain)
}

/// The columns of the own scope that a plain expression uses.
fn columns(scalar: &QueryScalar) -> Vec<usize> {
    match scalar {
        QueryScalar::Column(ColumnRef { level: 0, column }) => vec![*column],
        other => children(other).into_iter().flat_map(columns).collect(),
    }
}

/// Puts column `map(c)` for each column c of the own scope, in a plain expression.
fn map_columns(scalar: &mut QueryScalar, map: &dyn Fn(usize) -> usize) {
    match scalar {
        QueryScalar::Column(ColumnRef { level: 0, column }) => *column = map(*column),
        QueryScalar::Call { arguments: parts, .. }
        | QueryScalar::And(parts)
        | QueryScalar::Or(parts)
        | QueryScalar::Coalesce(parts) => parts.iter_mut().for_each(|part| map_columns(part, map)),
        QueryScalar::Not(part) | QueryScalar::IsNull(part) => map_columns(part, map),
        QueryScalar::If(condition, then, otherwise) => {
            [condition, then, otherwise].into_iter().for_each(|part| map_columns(part, map));
        }
        QueryScalar::Column(_)
        | QueryScalar::Parameter(..)
        | QueryScalar::Literal(..)
        | QueryScalar::Exists(_)
        | QueryScalar::Subquery(_) => {}
    }
}

/// Predicates on some columns of these only (at least one), and the others.
fn split(
    predicates: Vec<QueryScalar>,
    below: impl Fn(usize) -> bool,
) -> (Vec<QueryScalar>, Vec<QueryScalar>) {
    predicates.into_iter().partition(|predicate| {
        let columns = columns(predicate);
        !columns.is_empty() && columns.into_iter().all(&below)
    })
}

fn arity(query: &QueryExpr) -> usize {
    grow(|| match query {
        QueryExpr::Constant { typ, .. } | QueryExpr::Get { typ, .. } => typ.arity(),
        QueryExpr::Let { body, .. } | QueryExpr::LetRec { body, .. } => arity(body),
        QueryExpr::Project { outputs, .. } => outputs.len(),
        QueryExpr::Map { input, scalars } => arity(input) + scalars.len(),
        QueryExpr::FlatMap { input, typ, .. } => arity(input) + typ.len(),
        QueryExpr::Join { left, right, .. } => arity(left) + arity(right),
        QueryExpr::Reduce { group_key, aggregates, .. } => group_key.len() + aggregates.len(),
        QueryExpr::Window { input, calls, .. } => arity(input) + calls.len(),
        QueryExpr::Filter { input, .. }
        | QueryExpr::Distinct { input }
        | QueryExpr::TopK { input, .. }
        | QueryExpr::Negate { input }
        | QueryExpr::Threshold { input } => arity(input),
        QueryExpr::Union { inputs } => inputs.first().map_or(0, arity),
    })
}
