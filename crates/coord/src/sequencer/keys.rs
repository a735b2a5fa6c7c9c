//! Unique keys that were written lately.
//!
//! A session looks a key up at a tick, and commits later. Meanwhile another may have written the
//! same key: the clock remembers which keys were written at which tick, and refuses the second
//! one, which then looks again. What is too old, or too much, to be remembered counts as a
//! change of the whole table.

use std::collections::{HashMap, VecDeque};

use tidemill_repr::{ObjectId, Row, Tick};

use super::{Commit, Group};
use crate::snapshot::Snapshot;

/// How many keys are remembered.
const REMEMBERED: usize = 200_000;

/// How many keys of one commit are remembered one by one.
const MANY: usize = 20_000;

/// The keys that a commit looked up and writes.
#[derive(Clone, Debug, Default)]
pub struct KeyClaims {
    /// The tick at which they were looked up.
    pub tick: Tick,
    /// The index, and the key.
    pub keys: Vec<(ObjectId, Row)>,
    /// The tables whose keys these are, all of them that are written.
    pub tables: Vec<ObjectId>,
    /// Whether there are more keys than these.
    pub more: bool,
}

impl KeyClaims {
    /// Whether they are too many to be remembered one by one.
    fn many(&self) -> bool {
        self.more || self.keys.len() > MANY
    }

    /// Adds those of another statement.
    pub fn add(&mut self, other: KeyClaims) {
        self.tick = self.tick.min(other.tick);
        self.keys.extend(other.keys);
        self.tables.extend(other.tables);
        self.more |= other.more;
    }
}

/// Keys and the ticks at which they were last written.
#[derive(Default)]
pub struct RecentKeys {
    keys: HashMap<(ObjectId, Row), Tick>,
    order: VecDeque<(Tick, (ObjectId, Row))>,
    /// Tables of which not all keys are known.
    tables: HashMap<ObjectId, Tick>,
    /// Keys that were written up to this tick may be forgotten.
    floor: Tick,
}

impl RecentKeys {
    /// Whether something was written since that the claims say nothing of.
    pub(super) fn conflict(&self, snapshot: &Snapshot, group: &Group, commit: &Commit) -> bool {
        let Some(claims) = &commit.keys else { return false };
        let later = |tick: Option<&Tick>| tick.is_some_and(|tick| *tick > claims.tick);
        if claims.tick < self.floor || claims.many() {
            let changed =
                |table: &ObjectId| later(snapshot.last_change.get(table)) || group.changes(*table);
            return claims.tables.iter().any(changed);
        }
        claims.tables.iter().any(|table| later(self.tables.get(table)))
            || claims.keys.iter().any(|key| later(self.keys.get(key)))
    }

    /// Remembers what a commit writes that gets its tick after this one.
    pub(super) fn record(&mut self, last: Tick, commit: &Commit) {
        let at = last.next();
        let claims = commit.keys.as_ref().filter(|claims| !claims.many());
        let written = commit.updates.iter().map(|(table, _)| table);
        for table in written.chain(commit.parts.iter().map(|(table, _)| table)) {
            if !claims.is_some_and(|claims| claims.tables.contains(table)) {
                self.tables.insert(*table, at);
            }
        }
        for key in claims.iter().flat_map(|claims| &claims.keys) {
            self.keys.insert(key.clone(), at);
            self.order.push_back((at, key.clone()));
        }
        while self.order.len() > REMEMBERED
            && let Some((tick, key)) = self.order.pop_front()
        {
            self.floor = self.floor.max(tick);
            if self.keys.get(&key) == Some(&tick) {
                self.keys.remove(&key);
            }
        }
    }
}
