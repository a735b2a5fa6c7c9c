//! Ticks from wall time, and which of them are durable.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tidemill_repr::{SqlError, Tick};
use tokio::sync::watch;

/// Seconds between the Unix epoch and 2000-01-01, where PostgreSQL's timestamps begin.
const POSTGRES_EPOCH_SECONDS: i64 = 946_684_800;

/// Wall time as a tick.
pub fn wall_tick() -> Tick {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Tick(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Wall time as a `timestamptz`: microseconds since 2000-01-01 UTC.
pub fn wall_timestamp() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
    micros - POSTGRES_EPOCH_SECONDS * 1_000_000
}

/// Ticks in the order they were given, and which of them are done. A tick may be read when it
/// and all before it are.
#[derive(Debug)]
pub struct Completion {
    waiting: Mutex<VecDeque<(Tick, bool)>>,
    readable: watch::Sender<Tick>,
    failed: OnceLock<SqlError>,
}

impl Completion {
    /// Everything up to `tick` is done.
    pub fn new(tick: Tick) -> Completion {
        Completion {
            waiting: Mutex::default(),
            readable: watch::Sender::new(tick),
            failed: OnceLock::new(),
        }
    }

    /// A tick was given to a commit; ticks come in order.
    pub fn begin(&self, tick: Tick) {
        self.waiting.lock().push_back((tick, false));
    }

    /// The commit of a tick is durable.
    pub fn finish(&self, tick: Tick) {
        let mut waiting = self.waiting.lock();
        if let Some(entry) = waiting.iter_mut().find(|(waiting, _)| *waiting == tick) {
            entry.1 = true;
        }
        let mut upto = None;
        while let Some((tick, true)) = waiting.front() {
            upto = Some(*tick);
            waiting.pop_front();
        }
        if let Some(tick) = upto {
            self.readable.send_replace(tick);
        }
    }

    /// A commit cannot be made durable: neither it nor any later one will ever be readable.
    pub fn fail(&self, error: SqlError) {
        self.failed.get_or_init(|| error);
        // Whoever waits looks again.
        self.readable.send_modify(|_| {});
    }

    /// Why nothing can be committed any more.
    pub fn failure(&self) -> Option<SqlError> {
        self.failed.get().cloned()
    }

    /// The last tick that may be read.
    pub fn readable(&self) -> Tick {
        *self.readable.borrow()
    }

    /// Follows the last tick that may be read.
    pub fn watch(&self) -> watch::Receiver<Tick> {
        self.readable.subscribe()
    }

    /// How many ticks were given and are not done.
    pub fn backlog(&self) -> usize {
        self.waiting.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_readable_when_all_before_it_are() {
        let completion = Completion::new(Tick(1));
        for tick in 2..=4 {
            completion.begin(Tick(tick));
        }
        completion.finish(Tick(3));
        assert_eq!(completion.readable(), Tick(1));
        completion.finish(Tick(2));
        assert_eq!(completion.readable(), Tick(3));
        completion.finish(Tick(4));
        assert_eq!((completion.readable(), completion.backlog()), (Tick(4), 0));
    }
}
