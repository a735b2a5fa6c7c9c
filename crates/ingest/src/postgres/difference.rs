//! What has to be done to a table so that it holds what it should: nothing more (TRUNCATE), or what
//! was read anew (RESYNC).
//!
//! The content of a table comes as it lies in the ledger: the updates of all transactions since
//! the last checkpoint, of which many cancel each other. They are summed up before anything is
//! made of them; else each TRUNCATE would double what the ledger holds.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tidemill_repr::{ColumnType, Diff, ObjectId, Row, RowBatch, RowRef, SqlError};

use crate::sink::{IngestSink, Rows};

use super::transaction::Transaction;

/// Rows as they should be, in parts and beside them.
#[derive(Default)]
pub(crate) struct Target {
    pub(crate) parts: Vec<String>,
    pub(crate) rows: RowBatch,
}

/// How much is held in memory at once.
const SUMMED_BYTES: usize = 64 << 20;

/// The content is read once for each share.
const MOST_SHARES: u64 = 1 << 12;

/// What a row costs beside its bytes, about.
const ROW_OVERHEAD: usize = 64;

/// Adds what makes a table into its target to a transaction that has no changes of the table.
/// Works on a share of the rows after the other, so that memory is bounded whatever the table's
/// size; as many shares as it turns out to need.
pub(crate) async fn difference(
    sink: &Arc<dyn IngestSink>,
    transaction: &mut Transaction,
    (id, types): (ObjectId, &[ColumnType]),
    target: &Target,
) -> Result<(), SqlError> {
    let mut sums = Sums::new(SUMMED_BYTES);
    loop {
        sums.add(&target.rows, 1);
        let sides: [(Rows, Diff); 2] =
            [(sink.read_parts(target.parts.clone()), 1), (sink.content(id).await?, -1)];
        for (mut rows, sign) in sides {
            while let Some(batch) = rows.recv().await {
                sums.add(&*batch?, sign);
            }
        }
        for (row, diff) in sums.rows.drain() {
            if let Some(out) = transaction.rows(id, row.bytes().len()) {
                out.push(row.as_ref(), diff);
            }
        }
        if transaction.is_large() {
            transaction.spill(sink, |table| (table == id).then(|| types.to_vec())).await?;
        }
        if !sums.next_share() {
            return Ok(());
        }
    }
}

/// The sums of the diffs of a share of all rows.
struct Sums {
    rows: HashMap<Row, Diff>,
    bytes: usize,
    /// What may be in memory.
    most: usize,
    /// Which share, of how many; a power of two.
    share: u64,
    shares: u64,
}

impl Sums {
    fn new(most: usize) -> Sums {
        Sums { rows: HashMap::new(), bytes: 0, most, share: 0, shares: 1 }
    }

    fn add(&mut self, batch: &RowBatch, sign: Diff) {
        for (row, diff) in batch.iter() {
            if share_of(row, self.shares) == self.share {
                self.add_row(row, diff * sign);
            }
        }
    }

    fn add_row(&mut self, row: RowRef<'_>, diff: Diff) {
        let cost = row.bytes().len() + ROW_OVERHEAD;
        match self.rows.entry(row.to_owned()) {
            Entry::Occupied(sum) if *sum.get() + diff == 0 => {
                sum.remove();
                self.bytes -= cost;
            }
            Entry::Occupied(mut sum) => *sum.get_mut() += diff,
            Entry::Vacant(place) => {
                place.insert(diff);
                self.bytes += cost;
            }
        }
        // The shares to come are about as large as the first.
        let divisible = self.rows.len() > 1 && self.shares < MOST_SHARES;
        if self.bytes > self.most && self.share == 0 && divisible {
            self.shares *= 2;
            let shares = self.shares;
            self.rows.retain(|row, _| share_of(row.as_ref(), shares) == 0);
            let costs = self.rows.keys().map(|row| row.bytes().len() + ROW_OVERHEAD);
            self.bytes = costs.sum();
        }
    }

    /// Goes on to the next share; false if there is none.
    fn next_share(&mut self) -> bool {
        self.rows.clear();
        self.bytes = 0;
        self.share += 1;
        self.share < self.shares
    }
}

fn share_of(row: RowRef<'_>, shares: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.bytes().hash(&mut hasher);
    hasher.finish() % shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemill_repr::Datum;

    use super::*;

    proptest! {
        // However small the memory, the shares together are the sums of all.
        #[test]
        fn shares_are_the_whole(
            updates in proptest::collection::vec((0i64..40, -2i64..3), 0..200),
            most in 1usize..4000,
        ) {
            let mut expected: HashMap<i64, Diff> = HashMap::new();
            let mut batches = vec![RowBatch::new()];
            for (value, diff) in &updates {
                *expected.entry(*value).or_default() += diff;
                if batches.last().is_some_and(|batch| batch.len() > 7) {
                    batches.push(RowBatch::new());
                }
                if let Some(batch) = batches.last_mut().filter(|_| *diff != 0) {
                    batch.push(Row::pack([Datum::Int(*value)]).as_ref(), *diff);
                }
            }
            let expected: HashMap<Row, Diff> = expected
                .into_iter()
                .filter(|(_, diff)| *diff != 0)
                .map(|(value, diff)| (Row::pack([Datum::Int(value)]), diff))
                .collect();
            let mut sums = Sums::new(most);
            let mut found: HashMap<Row, Diff> = HashMap::new();
            loop {
                batches.iter().for_each(|batch| sums.add(batch, 1));
                for (row, diff) in sums.rows.drain() {
                    prop_assert!(found.insert(row, diff).is_none(), "a row in two shares");
                }
                if !sums.next_share() {
                    break;
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
