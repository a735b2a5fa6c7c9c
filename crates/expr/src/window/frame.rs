//! Frames: which positions a row looks at.

use std::ops::Range;

use smallvec::SmallVec;
use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::window::partition::Partition;
use crate::window::range::RangeBounds;
use crate::window::{FrameBound, FrameExclusion, FrameUnits, WindowFrame};

/// Positions in order; exclusion cuts at most two holes.
pub(super) type Ranges = SmallVec<[Range<usize>; 3]>;

/// Gives the frame of each row of a partition.
pub(super) struct Frames<'p, 'a> {
    partition: &'p Partition<'a>,
    frame: &'p WindowFrame,
    start: Bound<'p>,
    end: Bound<'p>,
}

/// A bound with its offset known.
enum Bound<'p> {
    First,
    Before(usize),
    Current,
    After(usize),
    Last,
    Distance(RangeBounds<'p>),
}

impl<'p, 'a> Frames<'p, 'a> {
    pub(super) fn new(
        partition: &'p Partition<'a>,
        frame: &'p WindowFrame,
    ) -> Result<Frames<'p, 'a>, EvalError> {
        let start = bound(partition, frame, &frame.start, "starting")?;
        let end = bound(partition, frame, &frame.end, "ending")?;
        Ok(Frames { partition, frame, start, end })
    }

    /// The frame of the row at a position, with nothing left out.
    fn whole(&self, position: usize) -> Result<Range<usize>, EvalError> {
        let start = self.edge(&self.start, position, true)?;
        let end = self.edge(&self.end, position, false)?;
        Ok(start..end.max(start))
    }

    /// Where a bound lies: the first position inside, or the first one after.
    fn edge(&self, bound: &Bound<'_>, position: usize, start: bool) -> Result<usize, EvalError> {
        let rows = self.partition.len();
        let after = usize::from(!start);
        let by_rows = self.frame.units == FrameUnits::Rows;
        let group_edge = |group: usize| {
            let range = self.partition.group_range(group);
            if start { range.start } else { range.end }
        };
        Ok(match bound {
            Bound::First => 0,
            Bound::Last => rows,
            Bound::Distance(range) => range.edge(self.partition, position, start)?,
            Bound::Current if by_rows => position + after,
            Bound::Current => group_edge(self.partition.group(position)),
            Bound::Before(offset) if by_rows => (position + after).saturating_sub(*offset),
            Bound::After(offset) if by_rows => (position + after).saturating_add(*offset).min(rows),
            Bound::Before(offset) => match self.partition.group(position).checked_sub(*offset) {
                Some(group) => group_edge(group),
                None => 0,
            },
            Bound::After(offset) => {
                let group = self.partition.group(position).saturating_add(*offset);
                if group < self.partition.group_count() { group_edge(group) } else { rows }
            }
        })
    }

    /// The frame of the row at a position.
    pub(super) fn of(&self, position: usize) -> Result<Ranges, EvalError> {
        let whole = self.whole(position)?;
        let mut ranges = Ranges::new();
        let mut add = |range: Range<usize>| {
            if !range.is_empty() {
                ranges.push(range);
            }
        };
        let cut = match self.frame.exclusion {
            FrameExclusion::NoOthers => {
                add(whole);
                return Ok(ranges);
            }
            FrameExclusion::CurrentRow => position..position + 1,
            FrameExclusion::Group | FrameExclusion::Ties => self.partition.peers(position),
        };
        add(whole.start..cut.start.min(whole.end));
        if self.frame.exclusion == FrameExclusion::Ties && whole.contains(&position) {
            add(position..position + 1);
        }
        add(cut.end.max(whole.start)..whole.end);
        Ok(ranges)
    }
}

fn bound<'p>(
    partition: &'p Partition<'_>,
    frame: &'p WindowFrame,
    bound: &'p FrameBound,
    which: &str,
) -> Result<Bound<'p>, EvalError> {
    let (offset, before) = match bound {
        FrameBound::UnboundedPreceding => return Ok(Bound::First),
        FrameBound::CurrentRow => return Ok(Bound::Current),
        FrameBound::UnboundedFollowing => return Ok(Bound::Last),
        FrameBound::Preceding(offset) => (partition.argument(0, offset), true),
        FrameBound::Following(offset) => (partition.argument(0, offset), false),
    };
    if offset.is_null() {
        let message = format!("frame {which} offset must not be null");
        return Err(EvalError::invalid(SqlState::NULL_VALUE_NOT_ALLOWED, message));
    }
    if frame.units == FrameUnits::Range {
        return Ok(Bound::Distance(RangeBounds::new(partition, offset, before)?));
    }
    let count = match offset {
        Datum::Int(offset) => usize::try_from(offset).ok(),
        _ => None,
    };
    let count = count.ok_or_else(|| {
        let message = format!("frame {which} offset must not be negative");
        EvalError::invalid(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message)
    })?;
    Ok(if before { Bound::Before(count) } else { Bound::After(count) })
}
