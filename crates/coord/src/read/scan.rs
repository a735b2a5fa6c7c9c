//! Reads of one arrangement by a session, which end as soon as it has what it wants.

use std::cmp::Ordering;

use tidemill_compute::IndexReader;
use tidemill_optimize::{Access, KeyOrder};
use tidemill_plan::physical::MapFilterProject;
use tidemill_plan::{ColumnOrder, Finishing};
use tidemill_repr::{Diff, Row, SqlError, Tick};

use super::RowWorker;
use crate::finish::compare;

/// A step backwards looks for the next key from the beginning: it costs as much as this many
/// steps forwards, about.
const STEP_BACK: usize = 64;

/// Which rows a reader wants, where it does not want all.
pub struct FirstRows<'f> {
    /// How many.
    need: u64,
    /// The leading columns of its order by which the keys are ordered.
    order: &'f [ColumnOrder],
    /// Whether the last keys are wanted first.
    descending: bool,
}

impl<'f> FirstRows<'f> {
    /// The rows that a finishing leaves, read in this order; None if all have to be seen.
    pub fn new(finishing: &'f Finishing, order: Option<KeyOrder>) -> Option<FirstRows<'f>> {
        let need = finishing.limit?.saturating_add(finishing.offset);
        match order {
            None if finishing.order_by.is_empty() => {
                Some(FirstRows { need, order: &[], descending: false })
            }
            None => None,
            Some(KeyOrder { columns, descending }) => {
                let order = finishing.order_by.get(..columns)?;
                Some(FirstRows { need, order, descending })
            }
        }
    }
}

/// Counts rows until there are enough.
struct Enough<'f> {
    wanted: &'f FirstRows<'f>,
    seen: u64,
    /// The row with which there were enough: its peers may still come before it.
    last: Option<Row>,
}

impl<'f> Enough<'f> {
    fn new(wanted: &'f FirstRows<'f>) -> Enough<'f> {
        Enough { wanted, seen: 0, last: None }
    }

    /// Whether no further row is wanted, that just read among them.
    fn is_reached(&mut self, row: &Row, diff: Diff) -> bool {
        if let Some(last) = &self.last {
            let order = compare(self.wanted.order, &last.unpack(), &row.unpack());
            return self.wanted.order.is_empty() || order == Ordering::Less;
        }
        self.seen = self.seen.saturating_add(u64::try_from(diff).unwrap_or(0));
        if self.seen >= self.wanted.need {
            self.last = Some(row.clone());
        }
        false
    }
}

/// Reads an index and does row-wise work on what may be among the rows wanted.
pub fn read_index(
    reader: &IndexReader,
    (access, wanted): (&Access, Option<FirstRows<'_>>),
    mfp: &MapFilterProject,
    tick: Tick,
) -> Result<Vec<(Row, Diff)>, SqlError> {
    let mut worker = RowWorker::new(mfp);
    let (lower, upper) = match access {
        Access::Point(keys) => {
            for key in keys {
                for (row, diff) in reader.lookup(tick, key.as_ref())? {
                    worker.add(row.as_ref(), diff)?;
                }
            }
            return Ok(worker.rows);
        }
        Access::Range { lower, upper } => {
            (lower.as_ref().map(Row::bytes), upper.as_ref().map(Row::bytes))
        }
        Access::Scan => (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
    };
    if let Some(wanted) = &wanted
        && wanted.need == 0
    {
        return Ok(Vec::new());
    }
    if let Some(wanted) = &wanted
        && wanted.descending
    {
        // So many steps are worth it; if there are not enough rows then, all are read.
        let steps = reader.update_count() / STEP_BACK;
        let is_near = usize::try_from(wanted.need).is_ok_and(|need| need <= steps);
        let mut scan = reader.range_backward(tick, lower, upper)?;
        let mut enough = Enough::new(wanted);
        for _ in 0..if is_near { steps } else { 0 } {
            let Some(rows) = scan.next_key() else { return Ok(worker.rows) };
            for (row, diff) in rows {
                if add(&mut worker, &mut enough, &row, diff)? {
                    return Ok(worker.rows);
                }
            }
        }
        worker.rows.clear();
    }
    let mut enough = wanted.as_ref().filter(|wanted| !wanted.descending).map(Enough::new);
    for (row, diff) in reader.range(tick, lower, upper)? {
        let Some(enough) = &mut enough else {
            worker.add(row.as_ref(), diff)?;
            continue;
        };
        if add(&mut worker, enough, &row, diff)? {
            break;
        }
    }
    Ok(worker.rows)
}

/// Takes a row; true if it and those behind it are not wanted.
fn add(
    worker: &mut RowWorker<'_>,
    enough: &mut Enough<'_>,
    row: &Row,
    diff: Diff,
) -> Result<bool, SqlError> {
    let before = worker.rows.len();
    worker.add(row.as_ref(), diff)?;
    if worker.rows.len() == before {
        return Ok(false);
    }
    Ok(worker.rows.last().is_some_and(|(row, diff)| enough.is_reached(row, *diff)))
}
