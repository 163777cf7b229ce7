//! What has been seen before: the memory behind new-terms rules.
//!
//! The engine reads and writes through [`TermHistory`]; storage and durability are the implementor's. Times are
//! milliseconds and come from the events ([`Record::time`](crate::Record::time)), never from a clock.

use std::sync::Arc;

use crate::run::fair_quota::{FairQuota, entry_bytes};
use crate::value::hash::{HashMap, give_back};

/// Remembers when each term of each rule was last seen.
pub trait TermHistory {
    /// When the rule ran for the first time ever: the earliest time of all calls, over restarts too.
    fn rule_first_seen(&mut self, rule_key: &str, now_ms: i64) -> i64;

    /// When the term was last seen, if it was.
    fn last_seen(&self, rule_key: &str, term: &str) -> Option<i64>;

    /// Records that the term was seen at `now_ms` and returns when it was last seen before, if it was. What is kept
    /// is the latest time, also when events come out of order. The term counts among those of `owner`, and of any other
    /// that sees it: past a limit, the owner with the most gives up one.
    fn observe(&mut self, rule_key: &str, term: &str, owner: &str, now_ms: i64) -> Option<i64>;
}

/// Keeps everything in memory. Beyond its limits, the owner that holds the most gives up the term that it has not seen
/// for the longest; what nobody holds any more is forgotten.
pub struct MemoryHistory {
    first_seen: HashMap<String, i64>,
    terms: HashMap<Arc<Key>, Term>,
    /// The terms of each owner, longest unseen first.
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

struct Term {
    last_seen: i64,
    /// How many owners hold it.
    owners: usize,
}

impl Default for MemoryHistory {
    fn default() -> Self {
        MemoryHistory::with_limit(Self::DEFAULT_MAX_TERMS)
    }
}

impl MemoryHistory {
    /// Terms that are kept unless said otherwise, those of all rules together.
    pub const DEFAULT_MAX_TERMS: usize = 1 << 20;
    /// Bytes of all terms together.
    pub const MAX_BYTES: usize = 256 << 20;

    /// A history that keeps this many terms; one that several owners hold counts for each.
    pub fn with_limit(max_terms: usize) -> MemoryHistory {
        MemoryHistory {
            first_seen: HashMap::default(),
            terms: HashMap::default(),
            by_age: FairQuota::default(),
            max_terms,
            evicted: 0,
        }
    }

    fn make_room(&mut self) {
        while (self.by_age.count() > self.max_terms
            || self.by_age.weight() + self.by_age.owner_bytes() > Self::MAX_BYTES)
            && let Some((_, key)) = self.by_age.take_oldest_of_largest()
            && let Some(term) = self.terms.get_mut(&key)
        {
            term.owners -= 1;
            if term.owners == 0 {
                self.terms.remove(&key);
                give_back(&mut self.terms);
                self.evicted += 1;
            }
        }
    }
}

impl TermHistory for MemoryHistory {
    fn rule_first_seen(&mut self, rule_key: &str, now_ms: i64) -> i64 {
        match self.first_seen.get_mut(rule_key) {
            Some(first_seen) => {
                *first_seen = now_ms.min(*first_seen);
                *first_seen
            }
            None => {
                self.first_seen.insert(rule_key.to_owned(), now_ms);
                now_ms
            }
        }
    }

    fn last_seen(&self, rule_key: &str, term: &str) -> Option<i64> {
        self.terms.get(&Key::new(rule_key, term)).map(|term| term.last_seen)
    }

    fn observe(&mut self, rule_key: &str, term: &str, owner: &str, now_ms: i64) -> Option<i64> {
        let key = Key::new(rule_key, term);
        let (key, previous) = match self.terms.get_key_value(&key) {
            Some((known, term)) => (Arc::clone(known), Some(term.last_seen)),
            None => (Arc::new(key), None),
        };
        let last_seen = previous.map_or(now_ms, |previous| previous.max(now_ms));
        let owner = self.by_age.owner(owner);
        let age = self.by_age.age(&owner, &key).map_or(now_ms, |age| age.max(now_ms));
        let is_new = self.by_age.insert(&owner, age, Arc::clone(&key), key.bytes());
        let term = self.terms.entry(key).or_insert(Term { last_seen, owners: 0 });
        term.last_seen = last_seen;
        term.owners += usize::from(is_new);
        self.make_room();
        previous
    }
}

impl Key {
    fn new(rule: &str, term: &str) -> Key {
        Key {
            rule: rule.to_owned(),
            term: term.to_owned(),
        }
    }

    /// What is allocated for it at most, entries of maps and sets included.
    fn bytes(&self) -> usize {
        const ALLOCATIONS: usize = 3 * 24;
        let places = FairQuota::<Arc<Key>>::KEY_BYTES + entry_bytes::<(Arc<Key>, Term)>();
        places + size_of::<Key>() + ALLOCATIONS + self.rule.len() + self.term.len()
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
