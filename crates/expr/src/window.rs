//! Window functions: values of a row computed from the rows around it.
//!
//! A [`WindowCall`] names columns of the rows it is computed over; the planner has put arguments,
//! partition keys and sort keys there. [`evaluate`] gives the rows of one partition with the
//! results behind their columns. It needs nothing but the rows, so that the dataflow, the tests'
//! evaluator and constant folding share it.

mod aggregates;
mod frame;
mod functions;
mod partition;
mod range;
#[cfg(test)]
mod tests;
mod tree;

use serde::{Deserialize, Serialize};
use tidemill_repr::{ColumnType, Diff, Row, RowBuilder, RowRef};

use crate::aggregate::{AggregateKind, SortDirection};
use crate::error::EvalError;
use crate::window::partition::Partition;

/// What a window call computes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WindowFunction {
    /// The number of the row in its partition, from 1 (`int8`).
    RowNumber,
    /// The number of the first peer of the row.
    Rank,
    /// How many groups of peers there are up to the row's.
    DenseRank,
    /// `(rank - 1) / (rows - 1)`, 0 for a single row (`float8`).
    PercentRank,
    /// How many rows there are up to the row's last peer, divided by how many there are at all.
    CumeDist,
    /// The number of the row's bucket. Argument: how many buckets (`int4`).
    Ntile,
    /// The value so many rows before. Arguments: value, offset (`int4`), default.
    Lag,
    /// The value so many rows after. Arguments as for lag.
    Lead,
    /// The value of the frame's first row.
    FirstValue,
    /// The value of the frame's last row.
    LastValue,
    /// The value of the frame's nth row. Arguments: value, n (`int4`), counted from 1.
    NthValue,
    /// An aggregate of the frame's rows; records are taken in the order of the frame.
    Aggregate(AggregateKind),
}

impl WindowFunction {
    /// The name in EXPLAIN.
    pub fn name(&self) -> String {
        match self {
            WindowFunction::RowNumber => "row_number".to_owned(),
            WindowFunction::Rank => "rank".to_owned(),
            WindowFunction::DenseRank => "dense_rank".to_owned(),
            WindowFunction::PercentRank => "percent_rank".to_owned(),
            WindowFunction::CumeDist => "cume_dist".to_owned(),
            WindowFunction::Ntile => "ntile".to_owned(),
            WindowFunction::Lag => "lag".to_owned(),
            WindowFunction::Lead => "lead".to_owned(),
            WindowFunction::FirstValue => "first_value".to_owned(),
            WindowFunction::LastValue => "last_value".to_owned(),
            WindowFunction::NthValue => "nth_value".to_owned(),
            WindowFunction::Aggregate(kind) => format!("{kind:?}").to_lowercase(),
        }
    }

    /// Whether the frame says which rows count.
    pub fn uses_frame(&self) -> bool {
        matches!(
            self,
            WindowFunction::FirstValue
                | WindowFunction::LastValue
                | WindowFunction::NthValue
                | WindowFunction::Aggregate(_)
        )
    }
}

/// An argument: a column of the row, or the same value for all rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WindowArgument {
    /// A column's position.
    Column(usize),
    /// A row of one datum.
    Literal(Row),
}

/// What a frame's bounds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FrameUnits {
    /// Rows.
    Rows,
    /// Distances of the one sort key.
    Range,
    /// Groups of peers.
    Groups,
}

/// Where a frame starts or ends. An offset is the same for all rows of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FrameBound {
    /// With the partition.
    UnboundedPreceding,
    /// So far before the row.
    Preceding(WindowArgument),
    /// With the row, or its peers.
    CurrentRow,
    /// So far after the row.
    Following(WindowArgument),
    /// With the partition's end.
    UnboundedFollowing,
}

/// Which rows a frame leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FrameExclusion {
    /// None.
    NoOthers,
    /// The row itself.
    CurrentRow,
    /// The row and its peers.
    Group,
    /// The row's peers, not the row.
    Ties,
}

/// The rows that a call looks at, for each row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowFrame {
    /// What the bounds count.
    pub units: FrameUnits,
    /// The first row.
    pub start: FrameBound,
    /// The last row.
    pub end: FrameBound,
    /// What is left out between them.
    pub exclusion: FrameExclusion,
}

impl WindowFrame {
    /// `RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`, which is the frame if none is given.
    pub fn unspecified() -> WindowFrame {
        WindowFrame {
            units: FrameUnits::Range,
            start: FrameBound::UnboundedPreceding,
            end: FrameBound::CurrentRow,
            exclusion: FrameExclusion::NoOthers,
        }
    }
}

/// One window call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowCall {
    /// What is computed.
    pub function: WindowFunction,
    /// From what. FILTER has become a CASE that gives NULL, as for
    /// [`crate::AggregateCall::argument`].
    pub arguments: Vec<WindowArgument>,
    /// `IGNORE NULLS`: rows whose value is NULL do not count.
    pub ignore_nulls: bool,
    /// Over which rows.
    pub frame: WindowFrame,
    /// The type of the result.
    pub typ: ColumnType,
}

impl WindowCall {
    /// The arguments and the frame's offsets.
    pub fn inputs(&self) -> impl Iterator<Item = &WindowArgument> {
        self.arguments.iter().chain(self.frame.start.offset()).chain(self.frame.end.offset())
    }

    /// Gives columns new positions.
    pub fn map_columns(&mut self, place: &dyn Fn(usize) -> usize) {
        let WindowFrame { start, end, .. } = &mut self.frame;
        let offsets = start.offset_mut().into_iter().chain(end.offset_mut());
        for argument in self.arguments.iter_mut().chain(offsets) {
            if let WindowArgument::Column(column) = argument {
                *column = place(*column);
            }
        }
    }

    /// Whether the result depends on the order of rows that tie.
    pub fn tells_ties_apart(&self) -> bool {
        match &self.function {
            WindowFunction::Rank
            | WindowFunction::DenseRank
            | WindowFunction::PercentRank
            | WindowFunction::CumeDist => false,
            WindowFunction::Aggregate(
                AggregateKind::Count
                | AggregateKind::SumInt
                | AggregateKind::SumIntToNumeric
                | AggregateKind::SumNumeric
                | AggregateKind::All
                | AggregateKind::Any
                | AggregateKind::Statistic(_)
                | AggregateKind::SumInterval
                | AggregateKind::BitAnd
                | AggregateKind::BitOr
                | AggregateKind::BitXor,
            ) => self.frame.units == FrameUnits::Rows,
            _ => true,
        }
    }

    /// The columns that it uses.
    pub fn support(&self) -> impl Iterator<Item = usize> {
        self.inputs().filter_map(|argument| match argument {
            WindowArgument::Column(column) => Some(*column),
            WindowArgument::Literal(_) => None,
        })
    }
}

impl FrameBound {
    /// How far from the row.
    pub fn offset(&self) -> Option<&WindowArgument> {
        match self {
            FrameBound::Preceding(offset) | FrameBound::Following(offset) => Some(offset),
            _ => None,
        }
    }

    fn offset_mut(&mut self) -> Option<&mut WindowArgument> {
        match self {
            FrameBound::Preceding(offset) | FrameBound::Following(offset) => Some(offset),
            _ => None,
        }
    }
}

/// The rows of one partition, each with how often it is there, with the results of the calls
/// behind their columns.
///
/// # Errors
/// An argument or an offset has no meaning, or a sum does not fit.
pub fn evaluate(
    rows: &[(RowRef<'_>, Diff)],
    order_by: &[(usize, SortDirection)],
    calls: &[WindowCall],
) -> Result<Vec<(Row, Diff)>, EvalError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let partition = Partition::new(rows, order_by)?;
    let mut results = Vec::with_capacity(calls.len());
    for call in calls {
        results.push(partition.results(call)?);
    }
    let mut builder = RowBuilder::new();
    let mut evaluated: Vec<(Row, Diff)> = Vec::with_capacity(partition.len());
    for position in 0..partition.len() {
        builder.clear();
        builder.push_encoded(partition.row(position).bytes());
        for results in &results {
            builder.push_encoded(results.get(position));
        }
        match evaluated.last_mut() {
            Some((last, count)) if last.bytes() == builder.bytes() => *count += 1,
            _ => evaluated.push((builder.finish(), 1)),
        }
    }
    Ok(evaluated)
}
