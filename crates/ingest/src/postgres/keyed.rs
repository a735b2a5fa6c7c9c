//! A table's own content by key: where the old row comes from when the stream does not tell it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tidemill_repr::{Diff, Row, RowBatch, RowBuilder, RowRef, SqlError, SqlState};

/// The rows of a table by the columns of its replica identity.
#[derive(Debug)]
pub(crate) struct KeyedContent {
    /// Which columns of the table here are the key.
    key: Vec<usize>,
    rows: HashMap<Row, Row>,
    /// While it is being put together: keys that were seen with more than one row.
    several: HashMap<Row, Vec<(Row, Diff)>>,
    builder: RowBuilder,
}

impl KeyedContent {
    pub(crate) fn new(key: Vec<usize>) -> KeyedContent {
        KeyedContent {
            key,
            rows: HashMap::new(),
            several: HashMap::new(),
            builder: RowBuilder::new(),
        }
    }

    /// The columns of the key.
    pub(crate) fn key(&self) -> &[usize] {
        &self.key
    }

    /// Adds part of the content. Batches may take away rows that come later.
    pub(crate) fn load(&mut self, batch: &RowBatch) -> Result<(), SqlError> {
        for (row, diff) in batch.iter() {
            let key = self.key_of(row)?;
            if let Some(rows) = self.several.get_mut(&key) {
                rows.push((row.to_owned(), diff));
                continue;
            }
            match self.rows.entry(key) {
                Entry::Vacant(vacant) if diff == 1 => {
                    vacant.insert(row.to_owned());
                }
                Entry::Vacant(vacant) => {
                    self.several.insert(vacant.into_key(), vec![(row.to_owned(), diff)]);
                }
                Entry::Occupied(occupied) => {
                    let (key, first) = occupied.remove_entry();
                    self.several.insert(key, vec![(first, 1), (row.to_owned(), diff)]);
                }
            }
        }
        Ok(())
    }

    /// The content is whole: each key has one row.
    pub(crate) fn loaded(&mut self) -> Result<(), SqlError> {
        for (key, rows) in std::mem::take(&mut self.several) {
            let mut sums: HashMap<Row, Diff> = HashMap::new();
            for (row, diff) in rows {
                *sums.entry(row).or_default() += diff;
            }
            sums.retain(|_, sum| *sum != 0);
            let mut left = sums.into_iter();
            match (left.next(), left.next()) {
                (None, _) => {}
                (Some((row, 1)), None) => {
                    self.rows.insert(key, row);
                }
                _ => return Err(not_unique()),
            }
        }
        Ok(())
    }

    /// The key of a row here.
    fn key_of(&mut self, row: RowRef<'_>) -> Result<Row, SqlError> {
        let mut datums = row.iter();
        let mut next = 0;
        for column in &self.key {
            if *column < next {
                datums = row.iter();
                next = 0;
            }
            for _ in next..*column {
                datums.next_bytes();
            }
            let bytes = datums.next_bytes();
            next = column + 1;
            let bytes = bytes.ok_or_else(|| SqlError::internal("a row without its key"))?;
            self.builder.push_encoded(bytes);
        }
        Ok(self.builder.finish())
    }

    /// A row is there.
    pub(crate) fn insert(&mut self, row: RowRef<'_>) -> Result<(), SqlError> {
        let key = self.key_of(row)?;
        match self.rows.insert(key, row.to_owned()) {
            None => Ok(()),
            Some(_) => Err(not_unique()),
        }
    }

    /// Takes out the row with a key.
    pub(crate) fn remove(&mut self, key: &Row) -> Result<Row, SqlError> {
        self.rows.remove(key).ok_or_else(|| {
            let message = "the upstream changed a row that is not in the table here";
            SqlError::new(SqlState::DATA_CORRUPTED, message)
        })
    }

    /// All rows are gone.
    pub(crate) fn clear(&mut self) {
        self.rows = HashMap::new();
        self.several = HashMap::new();
    }
}

fn not_unique() -> SqlError {
    let message = "the table has several rows with one key of its replica identity";
    SqlError::new(SqlState::DATA_CORRUPTED, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemill_repr::Datum;

    use super::*;

    fn row(key: i64, value: i64) -> Row {
        Row::pack([Datum::Int(value), Datum::Int(key)])
    }

    fn batch(updates: &[(i64, i64, Diff)]) -> RowBatch {
        let mut batch = RowBatch::new();
        for (key, value, diff) in updates {
            batch.push(row(*key, *value).as_ref(), *diff);
        }
        batch
    }

    proptest! {
        // Whatever the order in which levels and tails are read, the sum is what counts.
        #[test]
        fn the_order_of_updates_does_not_matter(
            histories in proptest::collection::vec(proptest::collection::vec(0i64..4, 1..5), 1..6),
            seed in any::<u64>(),
        ) {
            let mut updates = Vec::new();
            for (key, values) in (0i64..).zip(&histories) {
                let mut last = None;
                for value in values {
                    updates.extend(last.map(|last| (key, last, -1)));
                    updates.push((key, *value, 1));
                    last = Some(*value);
                }
                // Every other key is gone at last.
                if key % 2 == 1 {
                    updates.extend(last.map(|last| (key, last, -1)));
                }
            }
            updates.sort_by_key(|update| {
                let mixed = (update.0 as u64) << 8 | (update.1 as u64) << 1 | (update.2 == 1) as u64;
                mixed.wrapping_mul(seed | 1)
            });
            let mut content = KeyedContent::new(vec![1]);
            content.load(&batch(&updates)).unwrap();
            content.loaded().unwrap();
            for (key, values) in (0i64..).zip(&histories) {
                let found = content.remove(&Row::pack1(Datum::Int(key))).ok();
                let wanted = (key % 2 == 0).then(|| values.last().map(|v| row(key, *v))).flatten();
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn a_key_has_one_row() {
        let mut content = KeyedContent::new(vec![1]);
        content.load(&batch(&[(1, 1, 1), (1, 2, 1)])).unwrap();
        assert!(content.loaded().is_err());
        let mut content = KeyedContent::new(vec![1]);
        content.insert(row(1, 1).as_ref()).unwrap();
        assert!(content.insert(row(1, 2).as_ref()).is_err());
        assert!(content.remove(&Row::pack1(Datum::Int(2))).is_err());
        content.clear();
        assert!(content.insert(row(1, 2).as_ref()).is_ok());
    }
}
