//! Reading a collection: its parts, then its tail.

use std::collections::VecDeque;
use std::sync::Arc;

use tidemill_repr::{RowBatch, Tick};

use crate::error::LedgerError;
use crate::part::PartFile;
use crate::part::reader::PartReader;
use crate::state::{Collection, Piece};

/// Small batches of the tail are put together up to this many updates.
const TOGETHER: usize = 4096;

/// The updates of a collection up to a tick; their sum is its content. The parts stay on disk
/// until the reader is dropped, whatever checkpoints do meanwhile.
#[derive(Debug, Default)]
pub struct CollectionReader {
    pieces: VecDeque<Piece>,
    open: Option<(PartReader, Arc<PartFile>)>,
}

impl CollectionReader {
    pub(crate) fn new(collection: &Collection, as_of: Tick) -> CollectionReader {
        let parts = collection.levels.iter().flat_map(|level| &level.parts);
        let tail = collection.tail.iter().take_while(|(tick, _)| *tick <= as_of);
        let pieces = parts
            .map(|part| Piece::Part(Arc::clone(part)))
            .chain(tail.map(|(_, piece)| piece.clone()))
            .collect();
        CollectionReader { pieces, open: None }
    }

    pub(crate) fn of_pieces(pieces: VecDeque<Piece>) -> CollectionReader {
        CollectionReader { pieces, open: None }
    }

    /// The rest of a batch of the tail together with the small ones that follow.
    fn gather(&mut self, first: Arc<RowBatch>) -> Arc<RowBatch> {
        let next_is_rows = matches!(self.pieces.front(), Some(Piece::Rows(_)));
        if first.len() >= TOGETHER || !next_is_rows {
            return first;
        }
        let mut together = RowBatch::clone(&first);
        while together.len() < TOGETHER {
            match self.pieces.pop_front() {
                Some(Piece::Rows(rows)) => together.append(&rows),
                Some(part) => {
                    self.pieces.push_front(part);
                    break;
                }
                None => break,
            }
        }
        Arc::new(together)
    }
}

impl Iterator for CollectionReader {
    type Item = Result<Arc<RowBatch>, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((reader, _)) = &mut self.open {
                match reader.next() {
                    Some(Ok(batch)) => return Some(Ok(Arc::new(batch))),
                    Some(Err(error)) => {
                        self.pieces.clear();
                        self.open = None;
                        return Some(Err(error));
                    }
                    None => self.open = None,
                }
            }
            match self.pieces.pop_front()? {
                Piece::Rows(rows) => return Some(Ok(self.gather(rows))),
                Piece::Part(part) => match PartReader::open(&part.path) {
                    Ok(reader) => self.open = Some((reader, part)),
                    Err(error) => {
                        self.pieces.clear();
                        return Some(Err(error));
                    }
                },
            }
        }
    }
}
