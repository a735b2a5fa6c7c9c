//! One partition: its rows in order, its groups of peers, and results as they are made.

use std::cmp::Ordering;
use std::ops::Range;

use tidemill_repr::{Datum, Diff, RowBuilder, RowRef, SqlState};

use crate::aggregate::SortDirection;
use crate::error::EvalError;
use crate::window::WindowArgument;

/// More rows than this in one partition are refused: each copy of a row is one of its own.
const MOST_ROWS: usize = 1 << 28;

/// A row that is there, once or more often.
struct Member<'a> {
    row: RowRef<'a>,
    datums: Vec<Datum<'a>>,
}

/// The rows of a partition in their order, ties in the order of their bytes.
pub(super) struct Partition<'a> {
    members: Vec<Member<'a>>,
    /// The member at each position: one that is there twice has two positions.
    positions: Vec<u32>,
    /// The group of peers at each position.
    groups: Vec<u32>,
    /// Where each group starts, and where the last one ends.
    starts: Vec<usize>,
    /// The sort keys.
    pub(super) order_by: &'a [(usize, SortDirection)],
}

impl<'a> Partition<'a> {
    pub(super) fn new(
        rows: &[(RowRef<'a>, Diff)],
        order_by: &'a [(usize, SortDirection)],
    ) -> Result<Partition<'a>, EvalError> {
        let mut sorted: Vec<(Member<'a>, usize)> = Vec::with_capacity(rows.len());
        let mut total = 0usize;
        for (row, count) in rows {
            let count = usize::try_from(*count).map_err(|_| EvalError::NegativeMultiplicity)?;
            total = total.saturating_add(count);
            sorted.push((Member { row: *row, datums: row.iter().collect() }, count));
        }
        if total > MOST_ROWS {
            return Err(EvalError::invalid(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "too many rows in one window partition",
            ));
        }
        sorted.sort_by(|(a, _), (b, _)| {
            compare(order_by, a, b).then_with(|| a.row.bytes().cmp(b.row.bytes()))
        });
        let mut partition = Partition {
            members: Vec::with_capacity(sorted.len()),
            positions: Vec::with_capacity(total),
            groups: Vec::with_capacity(total),
            starts: Vec::new(),
            order_by,
        };
        for (member, count) in sorted {
            let peer = partition
                .members
                .last()
                .is_some_and(|last| compare(order_by, last, &member) == Ordering::Equal);
            if !peer || partition.starts.is_empty() {
                partition.starts.push(partition.positions.len());
            }
            // Fewer than MOST_ROWS of both.
            let (index, group) =
                (partition.members.len() as u32, partition.starts.len() as u32 - 1);
            partition.positions.resize(partition.positions.len() + count, index);
            partition.groups.resize(partition.groups.len() + count, group);
            partition.members.push(member);
        }
        partition.starts.push(partition.positions.len());
        Ok(partition)
    }

    /// How many rows there are, copies included.
    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// The row at a position.
    pub(super) fn row(&self, position: usize) -> RowRef<'a> {
        self.members[self.positions[position] as usize].row
    }

    /// A column of the row at a position.
    pub(super) fn column(&self, position: usize, column: usize) -> Datum<'a> {
        let member = &self.members[self.positions[position] as usize];
        member.datums.get(column).copied().unwrap_or(Datum::Null)
    }

    /// An argument for the row at a position.
    pub(super) fn argument<'b>(&self, position: usize, argument: &'b WindowArgument) -> Datum<'b>
    where
        'a: 'b,
    {
        match argument {
            WindowArgument::Column(column) => self.column(position, *column),
            WindowArgument::Literal(row) => row.iter().next().unwrap_or(Datum::Null),
        }
    }

    /// The number of the group of peers at a position, from 0.
    pub(super) fn group(&self, position: usize) -> usize {
        self.groups[position] as usize
    }

    /// How many groups of peers there are.
    pub(super) fn group_count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The positions of a group.
    pub(super) fn group_range(&self, group: usize) -> Range<usize> {
        self.starts[group]..self.starts[group + 1]
    }

    /// The positions of the peers of a row, itself included.
    pub(super) fn peers(&self, position: usize) -> Range<usize> {
        self.group_range(self.group(position))
    }
}

/// SQL's order of two rows by the sort keys.
fn compare(order_by: &[(usize, SortDirection)], a: &Member<'_>, b: &Member<'_>) -> Ordering {
    for (column, direction) in order_by {
        let (Some(left), Some(right)) = (a.datums.get(*column), b.datums.get(*column)) else {
            continue;
        };
        let ordering = match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if direction.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if direction.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if direction.descending => right.sql_cmp(left),
            (false, false) => left.sql_cmp(right),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

/// The results of one call, one for each position, encoded.
pub(super) struct Results {
    builder: RowBuilder,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Results {
    pub(super) fn new(rows: usize) -> Results {
        Results { builder: RowBuilder::new(), bytes: Vec::new(), ends: Vec::with_capacity(rows) }
    }

    pub(super) fn push(&mut self, datum: Datum<'_>) {
        self.builder.clear();
        self.builder.push(datum);
        self.bytes.extend_from_slice(self.builder.bytes());
        self.ends.push(self.bytes.len());
    }

    pub(super) fn push_encoded(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn get(&self, position: usize) -> &[u8] {
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        &self.bytes[start..self.ends[position]]
    }
}
