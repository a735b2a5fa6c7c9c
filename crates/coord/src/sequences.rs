//! Where sequences stand.
//!
//! A number is handed out in memory. Before an answer leaves the session, the ledger says that
//! some numbers from there on are used up ([`AHEAD`] at once, so that few entries are written):
//! after a crash the sequence goes on behind them, and never gives a number twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_catalog::Sequence;
use tidemill_repr::{ObjectId, SqlError, SqlState};

use crate::sequencer::Commit;
use crate::shared::Shared;

/// How many numbers the ledger is told of at once, as in PostgreSQL.
const AHEAD: u32 = 32;

/// How many at most, for a sequence that is used much.
const MOST_AHEAD: u32 = 8192;

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last number, or, if none was given yet, the next.
    pub value: i64,
    /// Whether it was given.
    pub called: bool,
}

/// A sequence in memory.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    position: Position,
    /// What the ledger is to say.
    wanted: Position,
    /// What the ledger says; None: nothing yet, the sequence is where its definition starts.
    durable: Option<Position>,
    /// How many numbers are left before the ledger must be told again.
    left: u32,
    /// How many the ledger will be told of next time.
    ahead: u32,
}

/// The sequences that were used since the server started.
#[derive(Default)]
pub struct Sequences {
    counters: Mutex<HashMap<ObjectId, Counter>>,
    /// What the ledger said when the server started.
    recovered: BTreeMap<ObjectId, Vec<u8>>,
    /// One tells the ledger at a time.
    flushing: tokio::sync::Mutex<()>,
}

impl Position {
    /// As the ledger keeps it.
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = self.value.to_be_bytes().to_vec();
        bytes.push(u8::from(self.called));
        bytes
    }

    /// What [`Position::encode`] made.
    pub fn decode(bytes: &[u8]) -> Option<Position> {
        let (value, called) = bytes.split_at_checked(8)?;
        let value = i64::from_be_bytes(value.try_into().ok()?);
        Some(Position { value, called: *called.first()? != 0 })
    }

    /// The number after this; None: there is none.
    fn next(self, sequence: &Sequence) -> Option<i64> {
        if !self.called {
            return Some(self.value);
        }
        let next = self.value.checked_add(sequence.increment);
        match next.filter(|next| (sequence.min..=sequence.max).contains(next)) {
            Some(next) => Some(next),
            None if !sequence.cycle => None,
            None if sequence.increment > 0 => Some(sequence.min),
            None => Some(sequence.max),
        }
    }
}

impl Counter {
    /// A sequence that the ledger says nothing of, or this.
    pub fn new(sequence: &Sequence, durable: Option<Position>) -> Counter {
        let position = durable.unwrap_or(Position { value: sequence.start, called: false });
        Counter { position, wanted: position, durable, left: 0, ahead: AHEAD }
    }

    /// Takes the next number.
    ///
    /// # Errors
    /// There is none.
    pub fn next(&mut self, sequence: &Sequence, name: &str) -> Result<i64, SqlError> {
        let Some(next) = self.position.next(sequence) else {
            let (end, bound) = match sequence.increment > 0 {
                true => ("maximum", sequence.max),
                false => ("minimum", sequence.min),
            };
            return Err(SqlError::new(
                SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
                format!("nextval: reached {end} value of sequence \"{name}\" ({bound})"),
            ));
        };
        self.position = Position { value: next, called: true };
        if self.left == 0 {
            self.look_ahead(sequence);
        } else {
            self.left -= 1;
        }
        Ok(next)
    }

    /// Reserves numbers from the present one on.
    fn look_ahead(&mut self, sequence: &Sequence) {
        let mut wanted = self.position;
        let mut left = 0;
        while left < self.ahead {
            match wanted.next(sequence) {
                Some(value) => wanted = Position { value, called: true },
                None => break,
            }
            left += 1;
        }
        self.left = left;
        self.wanted = wanted;
        self.ahead = (self.ahead * 2).min(MOST_AHEAD);
    }

    /// Sets where it stands.
    ///
    /// # Errors
    /// The number is out of bounds.
    pub fn set(
        &mut self,
        sequence: &Sequence,
        name: &str,
        position: Position,
    ) -> Result<(), SqlError> {
        let (min, max, value) = (sequence.min, sequence.max, position.value);
        if !(min..=max).contains(&value) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{name}\" ({min}..{max})"
                ),
            ));
        }
        *self = Counter { position, wanted: position, left: 0, ahead: AHEAD, ..*self };
        Ok(())
    }

    /// What the ledger must say of it.
    pub fn wanted(&self) -> Position {
        self.wanted
    }
}

impl Sequences {
    /// With what the ledger said when the server started.
    pub fn recovered(positions: &HashMap<ObjectId, Vec<u8>>) -> Sequences {
        let recovered = positions.iter().map(|(id, bytes)| (*id, bytes.clone())).collect();
        Sequences { recovered, ..Sequences::default() }
    }

    /// Uses a sequence.
    pub fn with<T>(
        &self,
        id: ObjectId,
        sequence: &Sequence,
        run: impl FnOnce(&mut Counter) -> T,
    ) -> T {
        let mut counters = self.counters.lock();
        let counter = counters.entry(id).or_insert_with(|| {
            let durable = self.recovered.get(&id).and_then(|bytes| Position::decode(bytes));
            Counter::new(sequence, durable)
        });
        run(counter)
    }

    /// A sequence that was made and used by a transaction that is committed now.
    pub fn adopt(&self, id: ObjectId, counter: Counter) {
        let durable = Some(counter.wanted);
        self.counters.lock().insert(id, Counter { durable, ..counter });
    }

    /// A sequence that is gone.
    pub fn forget(&self, id: ObjectId) {
        self.counters.lock().remove(&id);
    }
}

/// Waits until the ledger knows of all numbers of these sequences that were handed out.
///
/// # Errors
/// The disk fails.
pub async fn flush(shared: &Arc<Shared>, ids: &[ObjectId]) -> Result<(), SqlError> {
    if ids.is_empty() {
        return Ok(());
    }
    let behind = || -> Vec<(ObjectId, Position)> {
        let counters = shared.sequences.counters.lock();
        let found = ids.iter().filter_map(|id| Some((*id, counters.get(id)?)));
        found
            .filter(|(_, counter)| counter.durable != Some(counter.wanted))
            .map(|(id, counter)| (id, counter.wanted))
            .collect()
    };
    if behind().is_empty() {
        return Ok(());
    }
    let _turn = shared.sequences.flushing.lock().await;
    let wanted = behind();
    if wanted.is_empty() {
        return Ok(());
    }
    let sequences = wanted.iter().map(|(id, position)| (*id, position.encode())).collect();
    shared.commit(Commit { sequences, ..Commit::default() }).await?;
    let mut counters = shared.sequences.counters.lock();
    for (id, position) in wanted {
        if let Some(counter) = counters.get_mut(&id) {
            counter.durable = Some(position);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(max: i64, cycle: bool) -> Sequence {
        Sequence {
            data_type: "bigint".to_owned(),
            start: 1,
            increment: 1,
            min: 1,
            max,
            cache: 1,
            cycle,
            owned_by: None,
        }
    }

    #[test]
    fn the_ledger_is_always_ahead() {
        let sequence = sequence(1000, false);
        let mut counter = Counter::new(&sequence, None);
        for expected in 1..=1000 {
            assert_eq!(counter.next(&sequence, "s").unwrap(), expected);
            assert!(counter.wanted().value >= expected);
        }
        let error = counter.next(&sequence, "s").unwrap_err();
        assert_eq!(error.message, "nextval: reached maximum value of sequence \"s\" (1000)");
    }

    #[test]
    fn a_cycle_begins_again() {
        let sequence = sequence(2, true);
        let mut counter = Counter::new(&sequence, None);
        let numbers: Vec<i64> = (0..5).map(|_| counter.next(&sequence, "s").unwrap()).collect();
        assert_eq!(numbers, [1, 2, 1, 2, 1]);
    }

    #[test]
    fn positions_are_read_back() {
        let position = Position { value: -7, called: true };
        assert_eq!(Position::decode(&position.encode()), Some(position));
        assert_eq!(Position::decode(&[1, 2]), None);
    }
}
