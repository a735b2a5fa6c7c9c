//! When a materialized view is computed that does not follow each commit. Times are milliseconds
//! since 1970, as ticks are.

use serde::{Deserialize, Serialize};

/// The times at which a materialized view is computed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// When it was made.
    pub created: u64,
    /// Whether it is computed then.
    pub at_creation: bool,
    /// Single times.
    pub at: Vec<u64>,
    /// Times that come again and again.
    pub every: Vec<Every>,
}

/// Times at a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Every {
    /// The distance.
    pub interval: u64,
    /// One of them; the creation if it was not said.
    pub aligned_to: Option<u64>,
}

impl Every {
    /// The last of these times that is not after another; None: it would be before 1970.
    fn last(&self, created: u64, upto: u64) -> Option<u64> {
        let aligned = self.aligned_to.unwrap_or(created);
        let interval = self.interval.max(1);
        match upto.checked_sub(aligned) {
            Some(since) => Some(upto - since % interval),
            None => aligned.checked_sub((aligned - upto).div_ceil(interval).checked_mul(interval)?),
        }
    }
}

impl Refresh {
    /// The last time not after `now` at which it is to be computed.
    pub fn last_until(&self, now: u64) -> Option<u64> {
        let creation = self.at_creation.then_some(self.created);
        let every = self.every.iter().filter_map(|every| every.last(self.created, now));
        let since = every.filter(|time| *time >= self.created);
        let all = self.at.iter().copied().chain(creation).chain(since);
        all.filter(|time| *time <= now).max()
    }

    /// The first time after `time` at which it is to be computed, which is not before its
    /// creation.
    pub fn next_after(&self, time: Option<u64>) -> Option<u64> {
        let later = |next: &u64| time.is_none_or(|time| *next > time);
        let creation = self.at_creation.then_some(self.created);
        let from = time.map_or(self.created, |time| time.saturating_add(1).max(self.created));
        let every = self.every.iter().filter_map(|every| {
            let last = every.last(self.created, from);
            match last {
                Some(last) if last == from => Some(last),
                Some(last) => last.checked_add(every.interval),
                None => every.aligned_to,
            }
        });
        self.at.iter().copied().chain(creation).filter(later).chain(every).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_that_were_said() {
        let every = Every { interval: 10, aligned_to: Some(1003) };
        let refresh =
            Refresh { created: 900, at_creation: false, at: vec![907], every: vec![every] };
        assert_eq!(refresh.next_after(None), Some(903));
        assert_eq!(refresh.next_after(Some(903)), Some(907));
        assert_eq!(refresh.next_after(Some(907)), Some(913));
        assert_eq!(refresh.last_until(902), None);
        assert_eq!(refresh.last_until(903), Some(903));
        assert_eq!(refresh.last_until(912), Some(907));
        assert_eq!(refresh.last_until(1_000_007), Some(1_000_003));
        assert_eq!(refresh.next_after(Some(1_000_003)), Some(1_000_013));
        let once = Refresh { created: 5, at_creation: true, ..Refresh::default() };
        assert_eq!((once.next_after(None), once.next_after(Some(5))), (Some(5), None));
        let from_creation = Every { interval: 7, aligned_to: None };
        let refresh = Refresh { created: 100, every: vec![from_creation], ..Refresh::default() };
        assert_eq!((refresh.next_after(None), refresh.last_until(120)), (Some(100), Some(114)));
    }
}
