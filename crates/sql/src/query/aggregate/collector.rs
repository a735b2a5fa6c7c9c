//! What the expressions of one SELECT call: aggregates, GROUPING, functions that give rows; and
//! how the expressions are put on top of the grouping.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sqlparser::tokenizer::Span;
use tidemill_expr::TableFunctionRef;
use tidemill_expr::table_function::{Part, in_lock_step};
use tidemill_plan::query::{ColumnRef, QueryAggregate};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use crate::query::scope::Scope;
use crate::query::window;
use crate::query::{QueryContext, TypedScalar, walk};

/// Columns from here on stand for calls of GROUPING.
const GROUPINGS: usize = 1 << 38;
/// Columns from here on stand for those of functions that give rows.
const SETS: usize = 1 << 39;
/// They end here; columns beyond stand for window calls.
const SETS_END: usize = 1 << 40;

/// The calls of one SELECT, as they are met.
#[derive(Debug)]
pub(in crate::query) struct Collector {
    /// How many columns the FROM has; the columns after them stand for aggregates.
    base: usize,
    calls: RefCell<Vec<QueryAggregate>>,
    groupings: RefCell<Vec<GroupingCall>>,
    sets: RefCell<Vec<SetCall>>,
    /// Where each column was first met outside of an aggregate.
    seen: RefCell<BTreeMap<usize, Span>>,
}

/// `GROUPING(..)`
#[derive(Clone, Debug, PartialEq, Eq)]
struct GroupingCall {
    arguments: Vec<QueryScalar>,
    span: Span,
}

/// A call of a function that gives rows.
#[derive(Clone, Debug)]
struct SetCall {
    function: TableFunctionRef,
    arguments: Vec<QueryScalar>,
    /// Its first column.
    first: usize,
    columns: Vec<ColumnType>,
}

impl Collector {
    pub fn new(base: usize) -> Collector {
        Collector {
            base,
            calls: RefCell::default(),
            groupings: RefCell::default(),
            sets: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    /// Whether nothing makes it a grouped SELECT.
    pub fn is_empty(&self) -> bool {
        self.calls.borrow().is_empty() && self.groupings.borrow().is_empty()
    }

    pub fn calls(&self) -> Vec<QueryAggregate> {
        self.calls.borrow().clone()
    }

    pub fn note_column(&self, column: usize, span: Span) {
        self.seen.borrow_mut().entry(column).or_insert(span);
    }

    pub fn add(&self, call: QueryAggregate) -> TypedScalar {
        let mut calls = self.calls.borrow_mut();
        let typ = call.typ.clone();
        let index = match calls.iter().position(|known| *known == call) {
            Some(index) => index,
            None => {
                calls.push(call);
                calls.len() - 1
            }
        };
        column(self.base + index, typ)
    }

    pub fn add_grouping(&self, arguments: Vec<QueryScalar>, span: Span) -> TypedScalar {
        let mut groupings = self.groupings.borrow_mut();
        let known = groupings.iter().position(|known| known.arguments == arguments);
        let index = known.unwrap_or_else(|| {
            groupings.push(GroupingCall { arguments, span });
            groupings.len() - 1
        });
        column(GROUPINGS + index, ColumnType::new(ScalarType::Int4).nullable(false))
    }

    /// The columns of a call of a function that gives rows.
    pub fn add_set(
        &self,
        function: TableFunctionRef,
        arguments: Vec<QueryScalar>,
        columns: Vec<ColumnType>,
    ) -> Vec<TypedScalar> {
        let mut sets = self.sets.borrow_mut();
        let same = |call: &&SetCall| call.function == function && call.arguments == arguments;
        let first = match sets.iter().find(same) {
            Some(call) => call.first,
            None => {
                let first = sets.last().map_or(SETS, |call| call.first + call.columns.len());
                sets.push(SetCall { function, arguments, first, columns: columns.clone() });
                first
            }
        };
        // Where another function has more rows, it gives NULL.
        columns
            .into_iter()
            .enumerate()
            .map(|(at, typ)| column(first + at, typ.nullable(true)))
            .collect()
    }

    /// What `GROUPING` of each call is in a grouping set.
    pub fn grouping_bits(
        &self,
        ctx: &QueryContext<'_>,
        keys: &[TypedScalar],
        set: &[usize],
    ) -> Result<Vec<i64>, SqlError> {
        let groupings = self.groupings.borrow();
        groupings
            .iter()
            .map(|call| {
                let mut bits = 0;
                for argument in &call.arguments {
                    let Some(key) = keys.iter().position(|key| key.expr == *argument) else {
                        return Err(ctx.error(
                            SqlState::GROUPING_ERROR,
                            "arguments to GROUPING must be grouping expressions of the \
                             associated query level",
                            call.span,
                        ));
                    };
                    bits = bits * 2 + i64::from(!set.contains(&key));
                }
                Ok(bits)
            })
            .collect()
    }

    /// Computes the rows of the functions whose columns are used by `scalars`, and puts their
    /// columns in place. `prepare` is called for each of their arguments first.
    pub fn spread(
        &self,
        mut relation: QueryExpr,
        arity: &mut usize,
        scalars: &mut [&mut QueryScalar],
        prepare: &mut dyn FnMut(&mut QueryScalar) -> Result<(), SqlError>,
    ) -> Result<QueryExpr, SqlError> {
        if self.sets.borrow().is_empty() {
            return Ok(relation);
        }
        let mut used = BTreeSet::new();
        for scalar in scalars.iter_mut() {
            sets_of(scalar, &mut used);
        }
        let mut calls: BTreeMap<usize, (SetCall, usize)> = BTreeMap::new();
        while let Some(column) = used.pop_first() {
            let call = self.set_of(column);
            let Some(mut call) = call.filter(|call| !calls.contains_key(&call.first)) else {
                continue;
            };
            for argument in &mut call.arguments {
                prepare(argument)?;
                sets_of(argument, &mut used);
            }
            calls.insert(call.first, (call, 0));
        }
        // Arguments come before what they are arguments of: their columns have lower numbers.
        let firsts: Vec<usize> = calls.keys().copied().collect();
        for first in &firsts {
            let mut inner = BTreeSet::new();
            if let Some((call, _)) = calls.get_mut(first) {
                call.arguments.iter_mut().for_each(|argument| sets_of(argument, &mut inner));
            }
            let level = inner
                .into_iter()
                .filter_map(|column| calls.range(..=column).next_back())
                .map(|(_, (_, level))| level + 1)
                .max();
            if let Some((_, slot)) = calls.get_mut(first) {
                *slot = level.unwrap_or(0);
            }
        }
        let mut places = BTreeMap::new();
        for level in 0..=calls.values().map(|(_, level)| *level).max().unwrap_or(0) {
            let together = calls.values().filter(|(_, at)| *at == level).map(|(call, _)| call);
            relation = side_by_side(relation, arity, together.cloned().collect(), &mut places);
        }
        for scalar in scalars {
            put_in_place(scalar, &places);
        }
        Ok(relation)
    }

    fn set_of(&self, column: usize) -> Option<SetCall> {
        let sets = self.sets.borrow();
        sets.iter()
            .find(|call| (call.first..call.first + call.columns.len()).contains(&column))
            .cloned()
    }
}

fn column(column: usize, typ: ColumnType) -> TypedScalar {
    TypedScalar { expr: QueryScalar::Column(ColumnRef { level: 0, column }), typ }
}

/// The columns of functions that give rows an expression uses. Nothing is changed: the walk is
/// one that could.
fn sets_of(scalar: &mut QueryScalar, used: &mut BTreeSet<usize>) {
    walk::walk_scalar(scalar, 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part
            && reference.level == depth
            && (SETS..SETS_END).contains(&reference.column)
        {
            used.insert(reference.column);
        }
        true
    });
}

/// Whether an expression over its own row gives a set.
pub(in crate::query) fn returns_set(scalar: &QueryScalar) -> bool {
    let mut used = BTreeSet::new();
    sets_of(&mut scalar.clone(), &mut used);
    !used.is_empty()
}

fn put_in_place(scalar: &mut QueryScalar, places: &BTreeMap<usize, usize>) {
    walk::walk_scalar(scalar, 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part
            && reference.level == depth
            && let Some(place) = places.get(&reference.column)
        {
            reference.column = *place;
        }
        true
    });
}

/// Calls of one level run in lock step.
fn side_by_side(
    relation: QueryExpr,
    arity: &mut usize,
    calls: Vec<SetCall>,
    places: &mut BTreeMap<usize, usize>,
) -> QueryExpr {
    if calls.is_empty() {
        return relation;
    }
    let mut parts = Vec::new();
    let mut arguments = Vec::new();
    let mut typ = Vec::new();
    let several = calls.len() > 1;
    let mut next = *arity;
    let mut added = BTreeMap::new();
    for call in calls {
        parts.push(Part { function: call.function, arguments: call.arguments.len() });
        for (at, column) in call.columns.into_iter().enumerate() {
            added.insert(call.first + at, next);
            next += 1;
            typ.push(if several { column.nullable(true) } else { column });
        }
        for mut argument in call.arguments {
            put_in_place(&mut argument, places);
            arguments.push(argument);
        }
    }
    places.append(&mut added);
    *arity = next;
    let function = match parts.as_slice() {
        [single] => single.function,
        parts => in_lock_step(parts, false),
    };
    QueryExpr::FlatMap { input: Box::new(relation), function, arguments, typ }
}

/// The grouping of one SELECT.
pub(in crate::query) struct Grouping<'g> {
    pub scope: &'g Scope,
    pub collector: &'g Collector,
    /// What is grouped by, over the FROM.
    pub keys: &'g [TypedScalar],
}

impl Grouping<'_> {
    /// Puts an expression over the FROM on top of the grouping.
    pub fn rewrite(
        &self,
        ctx: &QueryContext<'_>,
        scalar: &mut QueryScalar,
    ) -> Result<(), SqlError> {
        let base = self.collector.base;
        let aggregates = self.collector.calls.borrow().len();
        let mut ungrouped = None;
        walk::walk_scalar(scalar, 0, &mut |part, depth| {
            if let Some(key) = self.key_of(part, depth) {
                *part = QueryScalar::Column(ColumnRef { level: depth, column: key });
                return false;
            }
            if let QueryScalar::Column(reference) = part
                && reference.level == depth
                && !window::is_call(reference.column)
            {
                if reference.column >= SETS {
                    // It comes on top of the grouping.
                } else if reference.column >= GROUPINGS {
                    reference.column = self.keys.len() + aggregates + reference.column - GROUPINGS;
                } else if reference.column >= base {
                    reference.column = self.keys.len() + reference.column - base;
                } else if ungrouped.is_none() {
                    ungrouped = Some((reference.column, depth));
                }
            }
            true
        });
        match ungrouped {
            None => Ok(()),
            Some((column, depth)) => Err(self.ungrouped(ctx, column, depth)),
        }
    }

    fn key_of(&self, part: &QueryScalar, depth: usize) -> Option<usize> {
        self.keys.iter().map(|key| &key.expr).position(|key| {
            if depth == 0 {
                return key == part;
            }
            if std::mem::discriminant(key) != std::mem::discriminant(part)
                || walk::has_subquery(key)
            {
                return false;
            }
            let mut key = key.clone();
            walk::shift_scalar(&mut key, 0, isize::try_from(depth).unwrap_or(0));
            key == *part
        })
    }

    fn ungrouped(&self, ctx: &QueryContext<'_>, column: usize, depth: usize) -> SqlError {
        let name = self.scope.describe(column);
        let message = if depth == 0 {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an \
                 aggregate function"
            )
        } else {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        };
        let span = self.collector.seen.borrow().get(&column).copied();
        ctx.error(SqlState::GROUPING_ERROR, message, span.unwrap_or_else(Span::empty))
    }
}

/// Refuses what must not be in the keys of GROUP BY: aggregates and window calls.
pub(in crate::query) fn refuse_in_group_by(
    ctx: &QueryContext<'_>,
    base: usize,
    scalar: &QueryScalar,
    span: Span,
) -> Result<(), SqlError> {
    let (mut found, mut windowed) = (false, false);
    walk::walk_scalar(&mut scalar.clone(), 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part
            && reference.level == depth
        {
            windowed |= window::is_call(reference.column);
            found |= (base..SETS).contains(&reference.column);
        }
        !found
    });
    if windowed {
        return Err(ctx.error(
            SqlState::WINDOWING_ERROR,
            "window functions are not allowed in GROUP BY",
            span,
        ));
    }
    if found {
        return Err(ctx.error(
            SqlState::GROUPING_ERROR,
            "aggregate functions are not allowed in GROUP BY",
            span,
        ));
    }
    Ok(())
}
