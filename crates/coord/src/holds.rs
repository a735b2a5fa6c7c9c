//! Which ticks somebody still reads.
//!
//! A transaction, a subscription that hydrates, a dataflow that is being fed: each holds its
//! tick while it needs it. History before the least held tick may be forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_repr::Tick;

/// The held ticks.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// How often each tick is held.
    counts: BTreeMap<Tick, usize>,
    /// History before may be forgotten already.
    since: Tick,
    /// History before is not kept in the ledger either.
    retained: Tick,
}

/// A held tick; dropping it lets go.
#[derive(Debug)]
pub struct Hold {
    tick: Tick,
    state: Arc<Mutex<State>>,
}

impl Holds {
    /// Nothing is held, and there is no history before a tick.
    pub fn new(since: Tick) -> Holds {
        let state = State { since, retained: since, ..State::default() };
        Holds { state: Arc::new(Mutex::new(state)) }
    }

    /// Holds a tick that is held already, or of which the caller knows that it is not too old.
    pub fn hold(&self, tick: Tick) -> Hold {
        *self.state.lock().counts.entry(tick).or_default() += 1;
        Hold { tick, state: Arc::clone(&self.state) }
    }

    /// Holds a tick, unless history there may be forgotten already: then says from where on there
    /// is some.
    pub fn try_hold(&self, tick: Tick) -> Result<Hold, Tick> {
        let mut state = self.state.lock();
        if tick < state.since {
            return Err(state.since);
        }
        *state.counts.entry(tick).or_default() += 1;
        Ok(Hold { tick, state: Arc::clone(&self.state) })
    }

    /// Holds a tick of which only the ledger still has the history, unless that has not either:
    /// then says from where on it has.
    pub fn try_hold_retained(&self, tick: Tick) -> Result<Hold, Tick> {
        let mut state = self.state.lock();
        if tick < state.retained {
            return Err(state.retained);
        }
        *state.counts.entry(tick).or_default() += 1;
        Ok(Hold { tick, state: Arc::clone(&self.state) })
    }

    /// Says from where on the ledger has history when the server starts.
    pub fn begin_retained(&self, from: Tick) {
        let mut state = self.state.lock();
        state.retained = state.retained.min(from);
    }

    /// Lets the ledger's history up to a tick be forgotten, as far as nobody holds it. Gives the
    /// first tick that must be kept.
    pub fn advance_retained(&self, upto: Tick) -> Tick {
        let mut state = self.state.lock();
        let least = state.counts.keys().next().copied().unwrap_or(upto);
        state.retained = state.retained.max(upto.min(least).min(state.since));
        state.retained
    }

    /// Lets history up to a tick be forgotten, as far as nobody holds it. Gives the first tick
    /// that must be kept.
    pub fn advance(&self, upto: Tick) -> Tick {
        let mut state = self.state.lock();
        let least = state.counts.keys().next().copied().unwrap_or(upto);
        state.since = state.since.max(upto.min(least));
        state.since
    }
}

impl Hold {
    /// The held tick.
    pub fn tick(&self) -> Tick {
        self.tick
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let counts = &mut self.state.lock().counts;
        if let Some(count) = counts.get_mut(&self.tick) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tick);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_hold_wins_until_it_is_dropped() {
        let holds = Holds::default();
        let first = holds.hold(Tick(5));
        let again = holds.hold(Tick(5));
        let later = holds.hold(Tick(9));
        drop(first);
        assert_eq!(holds.advance(Tick(20)), Tick(5));
        drop(again);
        assert_eq!(holds.advance(Tick(20)), Tick(9));
        assert_eq!(later.tick(), Tick(9));
        assert_eq!(holds.try_hold(Tick(8)).unwrap_err(), Tick(9));
        drop(later);
        assert_eq!(holds.advance(Tick(20)), Tick(20));
        assert_eq!(holds.advance(Tick(10)), Tick(20));
    }
}
