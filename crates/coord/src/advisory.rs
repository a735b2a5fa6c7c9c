//! Advisory locks, and the numbers of transactions: what sessions know of one another.
//!
//! Both are gone when the server ends. A session that waits for a lock tries again whenever one
//! is given back; after a second it looks whether those it waits for wait for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tidemill_expr::EvalError;
use tidemill_expr::functions::backends::AdvisoryKey;
use tidemill_repr::{SqlError, SqlState};
use tidemill_sql::Plan;
use tokio::sync::Notify;

use crate::session::{Session, Transaction};

/// `deadlock_timeout`
const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Transactions that were rolled back and are remembered.
const REMEMBERED: usize = 10_000;

/// A lock: the database's oid, and its key there.
type Place = (u32, AdvisoryKey);

/// Who has a lock.
#[derive(Clone, Copy, Debug)]
struct Holder {
    session: i32,
    shared: bool,
    transaction: bool,
    /// How many times it was taken.
    count: u32,
}

/// A lock that is held, or waited for.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub database: u32,
    pub key: AdvisoryKey,
    pub session: i32,
    pub shared: bool,
    pub granted: bool,
}

#[derive(Default)]
struct Locks {
    held: BTreeMap<Place, Vec<Holder>>,
    waiting: BTreeMap<i32, (Place, bool)>,
}

impl Locks {
    /// Those who must give a lock back first.
    fn in_the_way(&self, place: Place, session: i32, shared: bool) -> BTreeSet<i32> {
        let holders = self.held.get(&place).map_or(&[][..], Vec::as_slice);
        holders
            .iter()
            .filter(|holder| holder.session != session && !(shared && holder.shared))
            .map(|holder| holder.session)
            .collect()
    }

    fn take(&mut self, place: Place, session: i32, shared: bool, transaction: bool) -> bool {
        if !self.in_the_way(place, session, shared).is_empty() {
            return false;
        }
        let holders = self.held.entry(place).or_default();
        let same = |holder: &&mut Holder| {
            (holder.session, holder.shared, holder.transaction) == (session, shared, transaction)
        };
        match holders.iter_mut().find(same) {
            Some(holder) => holder.count = holder.count.saturating_add(1),
            None => holders.push(Holder { session, shared, transaction, count: 1 }),
        }
        true
    }

    /// Whether a session waits, in the end, for itself.
    fn is_deadlocked(&self, session: i32) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![session];
        while let Some(waiter) = next.pop() {
            let Some((place, shared)) = self.waiting.get(&waiter) else { continue };
            for other in self.in_the_way(*place, waiter, *shared) {
                if other == session {
                    return true;
                }
                if seen.insert(other) {
                    next.push(other);
                }
            }
        }
        false
    }

    fn retain(&mut self, keep: impl Fn(&Holder) -> bool) {
        self.held.retain(|_, holders| {
            holders.retain(|holder| keep(holder));
            !holders.is_empty()
        });
    }
}

/// All advisory locks.
#[derive(Default)]
pub(crate) struct AdvisoryLocks {
    locks: Mutex<Locks>,
    /// Some lock was given back.
    freed: Notify,
}

/// A session that waits, as the others see it, until it is done or gives up.
struct Waiting<'a> {
    locks: &'a AdvisoryLocks,
    session: i32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.locks.locks.lock().waiting.remove(&self.session);
    }
}

impl AdvisoryLocks {
    /// Takes a lock, if nobody else has it.
    pub(crate) fn take(&self, place: Place, session: i32, shared: bool, transaction: bool) -> bool {
        self.locks.lock().take(place, session, shared, transaction)
    }

    /// Takes a lock as soon as nobody else has it.
    pub(crate) async fn wait(
        &self,
        place: Place,
        session: i32,
        shared: bool,
        transaction: bool,
    ) -> Result<(), SqlError> {
        self.locks.lock().waiting.insert(session, (place, shared));
        let _waiting = Waiting { locks: self, session };
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.take(place, session, shared, transaction) {
                return Ok(());
            }
            if tokio::time::timeout(DEADLOCK_TIMEOUT, freed).await.is_err()
                && self.locks.lock().is_deadlocked(session)
            {
                return Err(SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                    .with_hint("Take advisory locks in the same order everywhere."));
            }
        }
    }

    /// Gives a lock of the session back; false if there is none.
    pub(crate) fn give_back(&self, place: Place, session: i32, shared: bool) -> bool {
        let mut locks = self.locks.lock();
        let Some(holders) = locks.held.get_mut(&place) else { return false };
        let own = holders.iter().position(|holder| {
            holder.session == session && holder.shared == shared && !holder.transaction
        });
        let Some(at) = own else { return false };
        if let Some(holder) = holders.get_mut(at) {
            holder.count -= 1;
            if holder.count == 0 {
                holders.remove(at);
            }
        }
        if holders.is_empty() {
            locks.held.remove(&place);
        }
        drop(locks);
        self.freed.notify_waiters();
        true
    }

    /// Gives back what a session holds for itself.
    pub(crate) fn give_all_back(&self, session: i32) {
        self.release(|holder| holder.session == session && !holder.transaction);
    }

    /// A transaction of a session has ended.
    pub(crate) fn end_transaction(&self, session: i32) {
        self.release(|holder| holder.session == session && holder.transaction);
    }

    /// A session has ended.
    pub(crate) fn leave(&self, session: i32) {
        self.release(|holder| holder.session == session);
    }

    fn release(&self, gone: impl Fn(&Holder) -> bool) {
        let mut locks = self.locks.lock();
        if locks.held.is_empty() {
            return;
        }
        locks.retain(|holder| !gone(holder));
        drop(locks);
        self.freed.notify_waiters();
    }

    /// All locks, those that are waited for too.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let locks = self.locks.lock();
        let mut listed = Vec::new();
        for ((database, key), holders) in &locks.held {
            let mut seen = BTreeSet::new();
            for holder in holders {
                if seen.insert((holder.session, holder.shared)) {
                    let (session, shared) = (holder.session, holder.shared);
                    let (database, key) = (*database, *key);
                    listed.push(Listed { database, key, session, shared, granted: true });
                }
            }
        }
        for (session, ((database, key), shared)) in &locks.waiting {
            let (database, key, session, shared) = (*database, *key, *session, *shared);
            listed.push(Listed { database, key, session, shared, granted: false });
        }
        listed
    }

    /// The sessions that one waits for.
    pub(crate) fn blocking(&self, session: i32) -> Vec<i32> {
        let locks = self.locks.lock();
        let Some((place, shared)) = locks.waiting.get(&session) else { return Vec::new() };
        locks.in_the_way(*place, session, *shared).into_iter().collect()
    }
}

/// The numbers of transactions.
pub(crate) struct Transactions {
    state: Mutex<Numbers>,
}

struct Numbers {
    first: i64,
    next: i64,
    open: BTreeSet<i64>,
    aborted: BTreeSet<i64>,
    order: VecDeque<i64>,
}

impl Default for Transactions {
    fn default() -> Transactions {
        // Seconds, so that a later server goes on behind an earlier one.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let first = now.map_or(1, |now| i64::try_from(now.as_secs()).unwrap_or(1));
        Transactions {
            state: Mutex::new(Numbers {
                first,
                next: first,
                open: BTreeSet::new(),
                aborted: BTreeSet::new(),
                order: VecDeque::new(),
            }),
        }
    }
}

impl Transactions {
    /// A new one.
    pub(crate) fn begin(&self) -> i64 {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.open.insert(number);
        number
    }

    /// It has ended.
    pub(crate) fn end(&self, number: i64, aborted: bool) {
        let mut state = self.state.lock();
        state.open.remove(&number);
        if aborted && state.aborted.insert(number) {
            state.order.push_back(number);
            if state.order.len() > REMEMBERED
                && let Some(oldest) = state.order.pop_front()
            {
                state.aborted.remove(&oldest);
                state.first = oldest + 1;
            }
        }
    }

    /// What became of it; None if that is not known any more.
    pub(crate) fn status(&self, number: i64) -> Result<Option<&'static str>, EvalError> {
        let state = self.state.lock();
        if number >= state.next {
            return Err(EvalError::invalid(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("transaction ID {number} is in the future"),
            ));
        }
        Ok(match number {
            _ if number < state.first => None,
            _ if state.open.contains(&number) => Some("in progress"),
            _ if state.aborted.contains(&number) => Some("aborted"),
            _ => Some("committed"),
        })
    }
}

/// What a session does and knows besides its statements.
#[derive(Default)]
pub(crate) struct OwnState {
    /// The number of its transaction.
    pub transaction: Option<i64>,
    /// The state of `random()` after `setseed`.
    pub random: Option<(u64, u64)>,
    /// What was done for the present row, to be given again when it is evaluated again.
    pub done: Vec<bool>,
    /// What must be waited for before that.
    pub pending: Option<Pending>,
}

/// What an evaluation waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pending {
    Sleep(Duration),
    Lock { place: Place, shared: bool, transaction: bool },
}

/// The state of a generator of random numbers (xoroshiro128**) after a seed, as PostgreSQL has
/// it.
pub(crate) fn seeded(seed: f64) -> (u64, u64) {
    #[allow(clippy::cast_possible_truncation, reason = "the seed is between -1 and 1")]
    let mut state = ((((1u64 << 52) - 1) as f64) * seed) as i64 as u64;
    let mut split = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = state;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    };
    (split(), split())
}

/// The next number from 0 up to 1.
pub(crate) fn next_random(state: &mut (u64, u64)) -> f64 {
    let first = state.0;
    let mixed = state.1 ^ first;
    let value = first.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
    state.0 = first.rotate_left(24) ^ mixed ^ (mixed << 16);
    state.1 = mixed.rotate_left(37);
    (value >> 12) as f64 / (1u64 << 52) as f64
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end_own_transaction(true);
        self.shared.advisory.leave(self.id);
        self.shared.activity.leave(self.id);
    }
}

impl Session {
    /// A statement is over, and perhaps the transaction with it.
    pub(crate) fn settle_own_transaction(&mut self, plan: &Plan, failed: bool) {
        if !matches!(self.transaction, Transaction::Open(_)) {
            self.end_own_transaction(failed || matches!(plan, Plan::Rollback { .. }));
        }
    }

    /// The transaction has ended: its advisory locks are given back.
    pub(crate) fn end_own_transaction(&mut self, aborted: bool) {
        self.shared.advisory.end_transaction(self.id);
        if let Some(number) = self.own.transaction.take() {
            self.shared.transactions.end(number, aborted);
        }
        self.own.done.clear();
        self.own.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn key(object: u32) -> Place {
        (1, AdvisoryKey { class: 0, object, pair: false })
    }

    #[test]
    fn locks_are_shared_or_not() {
        let locks = AdvisoryLocks::default();
        assert!(locks.take(key(1), 1, true, false));
        assert!(locks.take(key(1), 2, true, false));
        assert!(!locks.take(key(1), 2, false, false));
        assert!(locks.give_back(key(1), 1, true));
        assert!(!locks.give_back(key(1), 1, true));
        assert!(locks.take(key(1), 2, false, true));
        locks.leave(2);
        assert!(locks.take(key(1), 3, false, false));
    }

    #[tokio::test]
    async fn a_deadlock_is_found() {
        let locks = Arc::new(AdvisoryLocks::default());
        assert!(locks.take(key(1), 1, false, false));
        assert!(locks.take(key(2), 2, false, false));
        let other = {
            let locks = Arc::clone(&locks);
            tokio::spawn(async move {
                let result = locks.wait(key(2), 1, false, false).await;
                locks.leave(1);
                result
            })
        };
        let one = locks.wait(key(1), 2, false, false).await;
        locks.leave(2);
        let results = [one, other.await.unwrap()];
        assert!(results.iter().any(Result::is_err));
    }

    #[test]
    fn numbers_by_a_seed() {
        let mut state = seeded(0.5);
        let numbers: Vec<String> =
            (0..2).map(|_| format!("{:.12}", next_random(&mut state))).collect();
        // PostgreSQL 15's.
        assert_eq!(numbers, ["0.985167717535", "0.825301858028"]);
    }
}
