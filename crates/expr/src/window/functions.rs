//! The window functions proper.

use std::ops::Range;

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::window::frame::Frames;
use crate::window::partition::{Partition, Results};
use crate::window::{WindowCall, WindowFunction};

impl Partition<'_> {
    /// The results of a call for all rows.
    pub(super) fn results(&self, call: &WindowCall) -> Result<Results, EvalError> {
        match &call.function {
            WindowFunction::Ntile => self.ntile(call),
            WindowFunction::Lag => self.shifted(call, true),
            WindowFunction::Lead => self.shifted(call, false),
            WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue => {
                self.frame_value(call)
            }
            WindowFunction::Aggregate(kind) => self.aggregate(call, kind),
            _ => Ok(self.ranked(&call.function)),
        }
    }

    /// Functions of the place in the partition alone.
    fn ranked(&self, function: &WindowFunction) -> Results {
        let rows = self.len();
        let mut results = Results::new(rows);
        for position in 0..rows {
            let peers = self.peers(position);
            results.push(match function {
                WindowFunction::Rank => integer(peers.start + 1),
                WindowFunction::DenseRank => integer(self.group(position) + 1),
                WindowFunction::PercentRank if rows == 1 => Datum::Float8(0.0),
                WindowFunction::PercentRank => {
                    Datum::Float8(peers.start as f64 / (rows - 1) as f64)
                }
                WindowFunction::CumeDist => Datum::Float8(peers.end as f64 / rows as f64),
                _ => integer(position + 1),
            });
        }
        results
    }

    /// Buckets of equal size, the first ones one larger where it does not come out even. The
    /// argument is that of the first row that has one.
    fn ntile(&self, call: &WindowCall) -> Result<Results, EvalError> {
        let rows = self.len();
        let mut results = Results::new(rows);
        // (buckets, where they start)
        let mut known: Option<(usize, usize)> = None;
        for position in 0..rows {
            if known.is_none()
                && let Some(Datum::Int(buckets)) = self.argument_of(position, call, 0)
            {
                let buckets = usize::try_from(buckets).ok().filter(|buckets| *buckets > 0);
                let buckets = buckets.ok_or_else(|| {
                    EvalError::invalid(
                        SqlState::INVALID_ARGUMENT_FOR_NTILE,
                        "argument of ntile must be greater than zero",
                    )
                })?;
                known = Some((buckets, position));
            }
            let Some((buckets, start)) = known else {
                results.push(Datum::Null);
                continue;
            };
            let (small, larger) = (rows / buckets, rows % buckets);
            let place = position - start;
            let in_larger = larger * (small + 1);
            // Without small buckets, all rows are in the larger ones.
            let bucket = if place < in_larger || small == 0 {
                place / (small + 1)
            } else {
                larger + (place - in_larger) / small
            };
            results.push(integer(bucket + 1));
        }
        Ok(results)
    }

    fn argument_of<'b>(
        &'b self,
        position: usize,
        call: &'b WindowCall,
        at: usize,
    ) -> Option<Datum<'b>> {
        call.arguments.get(at).map(|argument| self.argument(position, argument))
    }

    /// The positions whose value is not NULL.
    fn present(&self, call: &WindowCall) -> Vec<usize> {
        let value = |position: &usize| {
            self.argument_of(*position, call, 0).is_some_and(|value| !value.is_null())
        };
        (0..self.len()).filter(value).collect()
    }

    /// `lag` and `lead`.
    fn shifted(&self, call: &WindowCall, back: bool) -> Result<Results, EvalError> {
        let rows = self.len();
        let mut results = Results::new(rows);
        let present = if call.ignore_nulls { self.present(call) } else { Vec::new() };
        for position in 0..rows {
            let distance = match self.argument_of(position, call, 1) {
                None => 1,
                Some(Datum::Int(distance)) => i128::from(distance),
                Some(_) => {
                    results.push(Datum::Null);
                    continue;
                }
            };
            let distance = if back { -distance } else { distance };
            let wanted = if call.ignore_nulls && distance != 0 {
                // The first one that is not before the row; after it, for what follows.
                let next = present.partition_point(|place| {
                    if distance > 0 { *place <= position } else { *place < position }
                });
                let next = next as i128;
                place(next + if distance > 0 { distance - 1 } else { distance }, present.len())
                    .map(|index| present[index])
            } else {
                place(position as i128 + distance, rows)
            };
            results.push(match wanted {
                Some(wanted) => self.argument_of(wanted, call, 0).unwrap_or(Datum::Null),
                None => self.argument_of(position, call, 2).unwrap_or(Datum::Null),
            });
        }
        Ok(results)
    }

    /// `first_value`, `last_value` and `nth_value`.
    fn frame_value(&self, call: &WindowCall) -> Result<Results, EvalError> {
        let rows = self.len();
        let mut results = Results::new(rows);
        let frames = Frames::new(self, &call.frame)?;
        let present = if call.ignore_nulls { Some(self.present(call)) } else { None };
        for position in 0..rows {
            let mut ranges = frames.of(position)?;
            if let Some(present) = &present {
                // From positions to places among those with a value.
                let index = |place: usize| present.partition_point(|known| *known < place);
                for range in &mut ranges {
                    *range = index(range.start)..index(range.end);
                }
            }
            let count: usize = ranges.iter().map(Range::len).sum();
            let wanted = match call.function {
                WindowFunction::FirstValue => Some(0),
                WindowFunction::LastValue => count.checked_sub(1),
                _ => match self.argument_of(position, call, 1) {
                    Some(Datum::Int(number)) if number > 0 => usize::try_from(number - 1).ok(),
                    Some(Datum::Int(_)) => {
                        return Err(EvalError::invalid(
                            SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE,
                            "argument of nth_value must be greater than zero",
                        ));
                    }
                    _ => None,
                },
            };
            let found = wanted.and_then(|wanted| nth(&ranges, wanted));
            let found = match (&present, found) {
                (Some(present), Some(index)) => present.get(index).copied(),
                (_, found) => found,
            };
            results.push(
                found.and_then(|found| self.argument_of(found, call, 0)).unwrap_or(Datum::Null),
            );
        }
        Ok(results)
    }
}

fn integer(value: usize) -> Datum<'static> {
    Datum::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A place within so many.
fn place(wanted: i128, count: usize) -> Option<usize> {
    usize::try_from(wanted).ok().filter(|wanted| *wanted < count)
}

/// The nth element of several ranges.
fn nth(ranges: &[Range<usize>], wanted: usize) -> Option<usize> {
    let mut left = wanted;
    for range in ranges {
        if left < range.len() {
            return Some(range.start + left);
        }
        left -= range.len();
    }
    None
}
