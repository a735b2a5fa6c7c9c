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
    counts: Arc<Mutex<BTreeMap<Tick, usize>>>,
}

/// A held tick; dropping it lets go.
#[derive(Debug)]
pub struct Hold {
    tick: Tick,
    counts: Arc<Mutex<BTreeMap<Tick, usize>>>,
}

impl Holds {
    /// Holds a tick.
    pub fn hold(&self, tick: Tick) -> Hold {
        *self.counts.lock().entry(tick).or_default() += 1;
        Hold { tick, counts: Arc::clone(&self.counts) }
    }

    /// The least held tick.
    pub fn least(&self) -> Option<Tick> {
        self.counts.lock().keys().next().copied()
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
        let mut counts = self.counts.lock();
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
        assert_eq!(holds.least(), Some(Tick(5)));
        drop(again);
        assert_eq!(holds.least(), Some(Tick(9)));
        assert_eq!(later.tick(), Tick(9));
        drop(later);
        assert_eq!(holds.least(), None);
    }
}
