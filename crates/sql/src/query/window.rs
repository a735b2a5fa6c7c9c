//! Window functions: collecting the calls of a SELECT, and the operators that compute them.
//!
//! While expressions are planned, each call becomes a column far past the end of the row. When
//! all are known (and, with a grouping, put on top of it), [`Windows::apply`] puts arguments and
//! keys into columns, one Window operator for each partition and order, and [`settle`] turns the
//! references into columns of the result.

mod call;
mod definition;

use std::cell::RefCell;

use tidemill_expr::aggregate::SortDirection;
use tidemill_expr::window::{
    FrameBound, FrameExclusion, FrameUnits, WindowArgument, WindowCall, WindowFrame, WindowFunction,
};
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{ColumnOrder, QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, SqlError, SqlState};

use super::select::RowPlan;
use super::{TypedScalar, walk};

pub(super) use call::{is_window_function, plan_window_call};

/// Where the references to window calls start; no row is so wide.
const CALLS: usize = 1 << 40;
/// The same for the aggregates of one window call while it is planned.
const PARTS: usize = 1 << 41;

/// Whether window calls may stand somewhere, and why not.
#[derive(Clone, Copy)]
pub(super) enum WindowPlace<'e> {
    /// They may.
    Allowed(&'e Windows),
    /// Not in this clause.
    Clause,
    /// Not in a window call.
    Call,
    /// Not in what a window is defined by.
    Definition,
    /// Not in an aggregate.
    Aggregate,
}

/// A partition and its order.
#[derive(Clone, Debug, PartialEq)]
struct Definition {
    partition_by: Vec<QueryScalar>,
    order_by: Vec<(QueryScalar, SortDirection)>,
}

/// A window as written: the definition and the frame, if there is one.
#[derive(Clone, Debug)]
struct Window {
    partition_by: Vec<QueryScalar>,
    order_by: Vec<(TypedScalar, SortDirection)>,
    frame: Option<Frame>,
}

/// A frame over expressions.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    units: FrameUnits,
    start: Bound,
    end: Bound,
    exclusion: FrameExclusion,
}

#[derive(Clone, Debug, PartialEq)]
enum Bound {
    UnboundedPreceding,
    Preceding(QueryScalar),
    CurrentRow,
    Following(QueryScalar),
    UnboundedFollowing,
}

/// A call over expressions.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    /// Position of its definition.
    definition: usize,
    function: WindowFunction,
    arguments: Vec<QueryScalar>,
    ignore_nulls: bool,
    frame: Frame,
    typ: ColumnType,
}

/// The window calls of one SELECT, as they are met.
#[derive(Default)]
pub(super) struct Windows {
    named: RefCell<Vec<(String, Window)>>,
    definitions: RefCell<Vec<Definition>>,
    calls: RefCell<Vec<Call>>,
}

impl Frame {
    fn unspecified() -> Frame {
        Frame {
            units: FrameUnits::Range,
            start: Bound::UnboundedPreceding,
            end: Bound::CurrentRow,
            exclusion: FrameExclusion::NoOthers,
        }
    }
}

impl Bound {
    fn offset_mut(&mut self) -> Option<&mut QueryScalar> {
        match self {
            Bound::Preceding(offset) | Bound::Following(offset) => Some(offset),
            _ => None,
        }
    }
}

impl Windows {
    fn add(
        &self,
        window: &Window,
        function: WindowFunction,
        arguments: Vec<QueryScalar>,
        ignore_nulls: bool,
        typ: ColumnType,
    ) -> TypedScalar {
        let constant = |key: &&QueryScalar| !matches!(key, QueryScalar::Literal(Ok(_), _));
        let definition = Definition {
            // A constant is the same in all rows.
            partition_by: window.partition_by.iter().filter(constant).cloned().collect(),
            order_by: window
                .order_by
                .iter()
                .map(|(key, direction)| (key.expr.clone(), *direction))
                .collect(),
        };
        let definition = position(&mut self.definitions.borrow_mut(), definition);
        let uses_frame = function.uses_frame();
        let frame = window.frame.clone().filter(|_| uses_frame).unwrap_or_else(Frame::unspecified);
        let call = Call { definition, function, arguments, ignore_nulls, frame, typ: typ.clone() };
        let column = CALLS + position(&mut self.calls.borrow_mut(), call);
        TypedScalar { expr: QueryScalar::Column(ColumnRef { level: 0, column }), typ }
    }

    /// All expressions of calls and definitions, to change.
    pub fn scalars_mut(&mut self) -> Vec<&mut QueryScalar> {
        let mut scalars = Vec::new();
        for definition in self.definitions.get_mut() {
            scalars.extend(&mut definition.partition_by);
            scalars.extend(definition.order_by.iter_mut().map(|(key, _)| key));
        }
        for call in self.calls.get_mut() {
            scalars.extend(&mut call.arguments);
            scalars.extend(call.frame.start.offset_mut());
            scalars.extend(call.frame.end.offset_mut());
        }
        scalars
    }

    /// Computes the calls over a relation of so many columns; gives the relation and its
    /// columns, of which the calls are the last.
    pub fn apply(self, relation: QueryExpr, arity: usize) -> (QueryExpr, Placed) {
        let definitions = self.definitions.into_inner();
        let calls = self.calls.into_inner();
        let mut row = RowPlan::new(arity);
        let mut operators = Vec::new();
        for definition in &definitions {
            let partition_by: Vec<usize> =
                definition.partition_by.iter().map(|key| row.position(key.clone())).collect();
            let order_by: Vec<ColumnOrder> = definition
                .order_by
                .iter()
                .map(|(key, direction)| ColumnOrder {
                    column: row.position(key.clone()),
                    direction: *direction,
                })
                .collect();
            operators.push((partition_by, order_by, Vec::new()));
        }
        // Which call of which operator each is.
        let mut places = Vec::new();
        for call in calls {
            let argument = |scalar: QueryScalar, row: &mut RowPlan| match scalar {
                QueryScalar::Literal(Ok(value), _) => WindowArgument::Literal(value),
                scalar => WindowArgument::Column(row.position(scalar)),
            };
            let bound = |bound: Bound, row: &mut RowPlan| match bound {
                Bound::UnboundedPreceding => FrameBound::UnboundedPreceding,
                Bound::Preceding(offset) => FrameBound::Preceding(argument(offset, row)),
                Bound::CurrentRow => FrameBound::CurrentRow,
                Bound::Following(offset) => FrameBound::Following(argument(offset, row)),
                Bound::UnboundedFollowing => FrameBound::UnboundedFollowing,
            };
            let frame = WindowFrame {
                units: call.frame.units,
                start: bound(call.frame.start, &mut row),
                end: bound(call.frame.end, &mut row),
                exclusion: call.frame.exclusion,
            };
            let arguments =
                call.arguments.into_iter().map(|scalar| argument(scalar, &mut row)).collect();
            let operator = &mut operators[call.definition].2;
            places.push((call.definition, operator.len()));
            operator.push(WindowCall {
                function: call.function,
                arguments,
                ignore_nulls: call.ignore_nulls,
                frame,
                typ: call.typ,
            });
        }
        let mut width = row.width();
        let mut relation = row.apply(relation);
        let mut starts = Vec::new();
        for (partition_by, order_by, calls) in operators {
            starts.push(width);
            width += calls.len();
            let input = Box::new(relation);
            relation = QueryExpr::Window { input, partition_by, order_by, calls };
        }
        let columns = places.iter().map(|(operator, call)| starts[*operator] + call).collect();
        (relation, Placed { columns, arity: width })
    }

    pub fn is_empty(&self) -> bool {
        self.calls.borrow().is_empty()
    }
}

/// Where the results of window calls are.
pub(super) struct Placed {
    columns: Vec<usize>,
    /// How many columns there are now.
    pub arity: usize,
}

impl Placed {
    /// Turns references to calls into columns.
    pub fn settle(&self, scalar: &mut QueryScalar) {
        walk::walk_scalar(scalar, 0, &mut |part, depth| {
            if let QueryScalar::Column(reference) = part
                && reference.level == depth
                && let Some(call) = reference.column.checked_sub(CALLS)
                && let Some(column) = self.columns.get(call)
            {
                reference.column = *column;
            }
            true
        });
    }
}

/// Whether a column stands for a window call.
pub(super) fn is_call(column: usize) -> bool {
    column >= CALLS
}

/// Where an element is, put at the end if it is not there yet.
fn position<T: PartialEq>(all: &mut Vec<T>, wanted: T) -> usize {
    match all.iter().position(|known| *known == wanted) {
        Some(index) => index,
        None => {
            all.push(wanted);
            all.len() - 1
        }
    }
}

fn windowing_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::WINDOWING_ERROR, message)
}
