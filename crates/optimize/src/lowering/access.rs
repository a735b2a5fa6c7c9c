//! Which rows of an arrangement can pass a filter: its keys, or a range of them.

use std::collections::HashMap;
use std::ops::Bound;

use tidemill_expr::ScalarExpr;
use tidemill_plan::physical::MapFilterProject;
use tidemill_repr::{ColumnType, Datum, Row, RowBuilder};

use crate::equality::{Bytes, Comparison, as_comparison, comparable_bytes};

/// How many keys are looked up one by one at most.
const MOST_POINTS: usize = 10_000;
/// Greater than any tag of a datum: ends a range of keys that begin alike.
const AFTER_ALL: u8 = 0xFF;
/// The tag of NULL, which is greater than all values.
const NULL_TAG: u8 = 0xF0;

/// The keys that can pass, and the predicates that say so.
pub(crate) struct Points {
    pub(crate) keys: Vec<Row>,
    pub(crate) predicates: Vec<usize>,
}

/// `expr compared with literal`, if the bytes of both compare like the values.
fn with_literal<'p>(
    predicate: &'p ScalarExpr,
    columns: &[ColumnType],
) -> Option<(Comparison, &'p ScalarExpr, &'p Row)> {
    let (comparison, left, right) = as_comparison(predicate)?;
    let (comparison, expr, literal) = match (left, right) {
        (expr, ScalarExpr::Literal(..)) => (comparison, expr, right),
        (ScalarExpr::Literal(..), expr) => (comparison.flipped(), expr, left),
        _ => return None,
    };
    let ScalarExpr::Literal(Ok(row), literal_type) = literal else { return None };
    let is_null = matches!(row.iter().next(), Some(Datum::Null) | None);
    let typ = expr.typ(columns);
    let plain = comparable_bytes(&typ, literal_type) == Some(Bytes::Plain)
        && !typ.scalar_type.has_equal_representations();
    (plain && !is_null).then_some((comparison, expr, row))
}

/// The literals that a predicate allows for one expression.
fn allowed<'p>(
    predicate: &'p ScalarExpr,
    columns: &[ColumnType],
) -> Option<(&'p ScalarExpr, Vec<&'p Row>)> {
    if let ScalarExpr::Or(arguments) = predicate {
        let mut subject = None;
        let mut rows = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let (Comparison::Equal, expr, row) = with_literal(argument, columns)? else {
                return None;
            };
            if *subject.get_or_insert(expr) != expr {
                return None;
            }
            rows.push(row);
        }
        rows.sort();
        rows.dedup();
        return Some((subject?, rows));
    }
    match with_literal(predicate, columns)? {
        (Comparison::Equal, expr, row) => Some((expr, vec![row])),
        _ => None,
    }
}

/// The literals of each expression that has some: (predicate, literals).
fn all_allowed<'m>(
    mfp: &'m MapFilterProject,
    columns: &[ColumnType],
) -> HashMap<&'m ScalarExpr, (usize, Vec<&'m Row>)> {
    let mut found: HashMap<&ScalarExpr, (usize, Vec<&Row>)> = HashMap::new();
    for (at, (_, predicate)) in mfp.predicates.iter().enumerate() {
        if let Some((expr, rows)) = allowed(predicate, columns) {
            let better = found.get(expr).is_none_or(|(_, before)| rows.len() < before.len());
            if better {
                found.insert(expr, (at, rows));
            }
        }
    }
    found
}

/// The expressions that have one of some given values in all rows that pass, in order.
pub(crate) fn fixed(mfp: &MapFilterProject, columns: &[ColumnType]) -> Vec<ScalarExpr> {
    let mut fixed: Vec<ScalarExpr> = all_allowed(mfp, columns).into_keys().cloned().collect();
    fixed.sort();
    fixed
}

/// The expressions that have one given value in all rows that pass.
pub(crate) fn single(mfp: &MapFilterProject, columns: &[ColumnType]) -> Vec<ScalarExpr> {
    let found = all_allowed(mfp, columns).into_iter().filter(|(_, (_, rows))| rows.len() == 1);
    found.map(|(expr, _)| expr.clone()).collect()
}

/// The keys by which rows can pass, if predicates fix all expressions of the key.
pub(crate) fn points(
    mfp: &MapFilterProject,
    columns: &[ColumnType],
    key: &[ScalarExpr],
) -> Option<Points> {
    if key.is_empty() {
        return None;
    }
    let found = all_allowed(mfp, columns);
    let mut keys = vec![Row::default()];
    let mut predicates = Vec::new();
    for expr in key {
        let (at, rows) = found.get(expr)?;
        if keys.len() * rows.len() > MOST_POINTS {
            return None;
        }
        predicates.push(*at);
        keys = keys
            .iter()
            .flat_map(|key| {
                rows.iter().map(|row| Row::from_bytes(&[key.bytes(), row.bytes()].concat()))
            })
            .collect();
    }
    keys.sort();
    keys.dedup();
    predicates.sort_unstable();
    predicates.dedup();
    Some(Points { keys, predicates })
}

/// Takes predicates away that an access fulfils by itself.
pub(crate) fn drop_predicates(mfp: &mut MapFilterProject, positions: &[usize]) {
    let mut at = 0;
    mfp.predicates.retain(|_| {
        at += 1;
        !positions.contains(&(at - 1))
    });
}

/// The bytes with which the values of an expression begin that pass a `LIKE 'abc%'` or a
/// `starts_with`.
fn beginning(predicate: &ScalarExpr, subject: &ScalarExpr) -> Option<Vec<u8>> {
    let ScalarExpr::Call { function, arguments, .. } = predicate else { return None };
    let [expr, ScalarExpr::Literal(Ok(row), _)] = arguments.as_slice() else { return None };
    let Some(Datum::Text(pattern)) = row.iter().next() else { return None };
    let pattern = match function.id {
        _ if expr != subject => return None,
        "textlike" | "textlike_call" | "namelike" | "namelike_call" => {
            let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
            &pattern[..end]
        }
        "text_starts_with" => pattern,
        _ => return None,
    };
    let mut row = RowBuilder::new();
    row.push(Datum::Text(pattern));
    // A text ends with a zero, its beginning does not.
    let mut bytes = row.bytes().to_vec();
    bytes.pop();
    (!pattern.is_empty()).then_some(bytes)
}

/// The range of keys by which rows can pass, if a predicate bounds the first expression of the
/// key, or those after a few that are fixed. The predicates stay.
pub(crate) fn range(
    mfp: &MapFilterProject,
    columns: &[ColumnType],
    key: &[ScalarExpr],
) -> Option<(Bound<Row>, Bound<Row>)> {
    let found = all_allowed(mfp, columns);
    let mut prefix = RowBuilder::new();
    let mut fixed = 0;
    for expr in key {
        match found.get(expr) {
            Some((_, rows)) if rows.len() == 1 => prefix.push_encoded(rows[0].bytes()),
            _ => break,
        }
        fixed += 1;
    }
    let bytes = |parts: &[&[u8]]| {
        let mut bytes = prefix.bytes().to_vec();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Row::from_bytes(&bytes)
    };
    let mut lower: Option<Row> = None;
    let mut upper: Option<Row> = None;
    if let Some(next) = key.get(fixed)
        && next.typ(columns).scalar_type.is_byte_ordered()
    {
        for (_, predicate) in &mfp.predicates {
            if let Some(begin) = beginning(predicate, next) {
                let (at, after) = (bytes(&[&begin]), bytes(&[&begin, &[AFTER_ALL]]));
                lower = lower.into_iter().chain([at]).max();
                upper = upper.into_iter().chain([after]).min();
                continue;
            }
            let Some((comparison, expr, row)) = with_literal(predicate, columns) else { continue };
            if expr != next {
                continue;
            }
            let (at, after) = (bytes(&[row.bytes()]), bytes(&[row.bytes(), &[AFTER_ALL]]));
            let (low, high) = match comparison {
                Comparison::Equal => (Some(at), Some(after)),
                Comparison::Less => (None, Some(at)),
                Comparison::LessOrEqual => (None, Some(after)),
                Comparison::Greater => (Some(after), None),
                Comparison::GreaterOrEqual => (Some(at), None),
            };
            lower = lower.into_iter().chain(low).max();
            upper = upper.into_iter().chain(high).min();
        }
    }
    if fixed == 0 && lower.is_none() && upper.is_none() {
        return None;
    }
    let bounded = lower.is_some() || upper.is_some();
    let lower = lower.unwrap_or_else(|| bytes(&[]));
    let end = if bounded { NULL_TAG } else { AFTER_ALL };
    let upper = upper.unwrap_or_else(|| bytes(&[&[end]]));
    Some((Bound::Included(lower), Bound::Excluded(upper)))
}
