//! What has been seen before: the memory behind new-terms rules.
//!
//! The engine reads and writes through [`TermHistory`]; storage and durability are the implementor's. Times are
//! milliseconds since the epoch and come from the events, never from a clock.

use std::sync::Arc;

use crate::run::fair_quota::{FairQuota, Owner};
use crate::value::hash::HashMap;

/// Remembers when each term of each rule was last seen.
pub trait TermHistory {
    /// When the rule ran for the first time ever; the first call records `now_ms`.
    fn rule_first_seen(&mut self, rule_key: &str, now_ms: i64) -> i64;

    /// Records that the term was seen at `now_ms` and returns when it was last seen before, if it was. What is kept
    /// is the latest time, also when events come out of order. A new term counts among those of `container`, the id of
    /// the event's container or empty: past a limit, the container with the most terms loses one.
    fn observe(&mut self, rule_key: &str, term: &str, container: &str, now_ms: i64) -> Option<i64>;
}

/// Keeps everything in memory. Beyond its limit, the term unseen the longest of the container with the most terms is
/// dropped.
pub struct MemoryHistory {
    first_seen: HashMap<String, i64>,
    last_seen: HashMap<Arc<Key>, (i64, Owner)>,
    /// The same terms, longest unseen first.
    by_age: FairQuota<Arc<Key>>,
    max_terms: usize,
    /// Terms dropped for lack of room.
    pub evicted: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    rule: String,
    term: String,
}

impl Default for MemoryHistory {
    fn default() -> Self {
        MemoryHistory::with_limit(Self::DEFAULT_MAX_TERMS)
    }
}

impl MemoryHistory {
    /// Terms that are kept unless said otherwise, those of all rules together.
    pub const DEFAULT_MAX_TERMS: usize = 1 << 20;

    /// A history that keeps this many terms.
    pub fn with_limit(max_terms: usize) -> MemoryHistory {
        MemoryHistory {
            first_seen: HashMap::default(),
            last_seen: HashMap::default(),
            by_age: FairQuota::default(),
            max_terms,
            evicted: 0,
        }
    }
}

impl TermHistory for MemoryHistory {
    fn rule_first_seen(&mut self, rule_key: &str, now_ms: i64) -> i64 {
        match self.first_seen.get(rule_key) {
            Some(first_seen) => *first_seen,
            None => {
                self.first_seen.insert(rule_key.to_owned(), now_ms);
                now_ms
            }
        }
    }

    fn observe(&mut self, rule_key: &str, term: &str, container: &str, now_ms: i64) -> Option<i64> {
        let key = Arc::new(Key {
            rule: rule_key.to_owned(),
            term: term.to_owned(),
        });
        let known = self.last_seen.get(&key).cloned();
        let previous = known.as_ref().map(|(previous, _)| *previous);
        if previous.is_some_and(|previous| previous >= now_ms) {
            return previous;
        }
        let owner = match known {
            Some((previous, owner)) => {
                self.by_age.remove(&owner, previous, &key);
                owner
            }
            None => self.by_age.owner(container),
        };
        if previous.is_none()
            && self.last_seen.len() == self.max_terms
            && let Some(oldest) = self.by_age.take_oldest_of_largest()
        {
            self.last_seen.remove(&oldest);
            self.evicted += 1;
        }
        self.by_age.insert(&owner, now_ms, Arc::clone(&key));
        self.last_seen.insert(key, (now_ms, owner));
        previous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_unseen_the_longest_is_forgotten_when_there_is_no_room() {
        let mut history = MemoryHistory::with_limit(10);
        for number in 0..10 {
            assert_eq!(history.observe("rule", &number.to_string(), "", number), None);
        }
        assert_eq!(history.observe("rule", "0", "", i64::MAX), Some(0));
        assert_eq!(history.observe("rule", "one more", "", i64::MAX), None);
        assert_eq!(history.evicted, 1);
        assert_eq!(history.observe("rule", "0", "", i64::MAX), Some(i64::MAX));
        assert_eq!(history.observe("rule", "1", "", i64::MAX), None);
    }

    #[test]
    fn rules_do_not_share_terms() {
        let mut history = MemoryHistory::default();
        assert_eq!(history.observe("one", "a", "", 1), None);
        assert_eq!(history.observe("other", "a", "", 2), None);
        assert_eq!(history.rule_first_seen("one", 5), 5);
        assert_eq!(history.rule_first_seen("one", 9), 5);
    }
}
