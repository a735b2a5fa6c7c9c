//! Content of the collections that are not in the ledger: built-in relations that follow from
//! the catalog or from reports of the running server.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use tidemill_repr::{Diff, ObjectId, Row, RowBatch, Tick};

/// How many batches a collection keeps before they are folded.
const FOLD_AT: usize = 64;

/// Batches by tick, ascending.
type History = Vec<(Tick, Arc<RowBatch>)>;

/// The collections, each as a list of batches by tick.
#[derive(Debug, Default)]
pub struct VolatileStore {
    collections: RwLock<HashMap<ObjectId, History>>,
}

impl VolatileStore {
    /// Appends a batch; history before `since` may be folded.
    pub fn append(&self, collection: ObjectId, tick: Tick, batch: Arc<RowBatch>, since: Tick) {
        let mut collections = self.collections.write();
        let batches = collections.entry(collection).or_default();
        batches.push((tick, batch));
        if batches.len() > FOLD_AT {
            fold(batches, since);
        }
    }

    /// The content at a tick.
    pub fn read(&self, collection: ObjectId, as_of: Tick) -> Vec<Arc<RowBatch>> {
        let collections = self.collections.read();
        let batches = collections.get(&collection).map_or(&[][..], Vec::as_slice);
        let upto = batches.iter().take_while(|(tick, _)| *tick <= as_of);
        upto.map(|(_, batch)| Arc::clone(batch)).collect()
    }
}

fn fold(batches: &mut History, since: Tick) {
    let count = batches.iter().take_while(|(tick, _)| *tick <= since).count();
    if count < FOLD_AT / 2 {
        return;
    }
    let folded = consolidate(batches[..count].iter().map(|(_, batch)| batch.as_ref()));
    let tick = batches[count - 1].0;
    batches.splice(..count, [(tick, Arc::new(folded))]);
}

/// One batch with each row once and no row that adds up to nothing.
pub fn consolidate<'a>(batches: impl IntoIterator<Item = &'a RowBatch>) -> RowBatch {
    let mut counts: BTreeMap<Row, Diff> = BTreeMap::new();
    for batch in batches {
        for (row, diff) in batch.iter() {
            *counts.entry(row.to_owned()).or_default() += diff;
        }
    }
    let mut result = RowBatch::new();
    for (row, diff) in &counts {
        if *diff != 0 {
            result.push(row.as_ref(), *diff);
        }
    }
    result
}

/// What must be added to `old` to get `new`.
pub fn difference(old: &[Row], new: &[Row]) -> RowBatch {
    let batch = |rows: &[Row], diff| {
        let mut batch = RowBatch::new();
        rows.iter().for_each(|row| batch.push(row.as_ref(), diff));
        batch
    };
    consolidate([&batch(old, -1), &batch(new, 1)])
}

#[cfg(test)]
mod tests {
    use tidemill_repr::Datum;

    use super::*;

    #[test]
    fn content_at_a_tick_survives_folding() {
        let store = VolatileStore::default();
        let id = ObjectId::System(1);
        for number in 0..200 {
            let mut batch = RowBatch::new();
            batch.push(Row::pack([Datum::Int(number)]).as_ref(), 1);
            if number > 0 {
                batch.push(Row::pack([Datum::Int(number - 1)]).as_ref(), -1);
            }
            let tick = Tick(u64::try_from(number).unwrap());
            store.append(id, tick, Arc::new(batch), Tick(150));
        }
        for tick in [150, 170, 199] {
            let content = consolidate(store.read(id, Tick(tick)).iter().map(Arc::as_ref));
            assert_eq!(content.len(), 1);
            let (row, diff) = content.get(0).unwrap();
            let number = i64::try_from(tick).unwrap();
            assert_eq!((row.to_owned(), diff), (Row::pack([Datum::Int(number)]), 1));
        }
        assert!(store.read(id, Tick(199)).len() < 100);
    }
}
