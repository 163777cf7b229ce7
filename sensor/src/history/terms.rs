//! The terms of one rule in memory: when each was seen last, who holds it, and what the disk knows of it.

use std::collections::HashMap;
use std::sync::Arc;

use rule_engine::{FairQuota, entry_bytes};

/// What maps, sets and the term itself take for a term of a container at most.
const TERM_BYTES: usize = FairQuota::<Arc<str>>::KEY_BYTES + entry_bytes::<(Arc<str>, Term)>() + 32;
/// Limits of numbers are that much smaller in tests, which reach them all.
pub(super) const SMALLER: usize = if cfg!(test) { 10 } else { 1 };

#[derive(Default)]
pub(super) struct RuleTerms {
    pub(super) first_seen: Option<Stored>,
    pub(super) terms: HashMap<Arc<str>, Term>,
    /// The terms of each container, longest unseen first. What the disk knew from an earlier run is the host's until a
    /// container sees it again.
    pub(super) by_age: FairQuota<Arc<str>>,
    pub(super) evictions_reported: bool,
}

pub(super) struct Term {
    /// How many containers hold it.
    pub(super) owners: usize,
    pub(super) stored: Stored,
}

#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) time_ms: i64,
    /// The time that was handed to the writing thread, which may be earlier; `None` if none was.
    pub(super) handed_on_ms: Option<i64>,
}

impl Stored {
    pub(super) fn on_disk(time_ms: i64) -> Self {
        Self {
            time_ms,
            handed_on_ms: Some(time_ms),
        }
    }

    pub(super) fn new(time_ms: i64, queue: Queue) -> Self {
        Self {
            time_ms,
            handed_on_ms: (queue == Queue::Taken).then_some(time_ms),
        }
    }

    pub(super) fn is_stale(&self, staleness_ms: i64) -> bool {
        self.handed_on_ms.is_none_or(|handed_on_ms| {
            let behind_ms = self.time_ms.saturating_sub(handed_on_ms);
            behind_ms > 0 && behind_ms >= staleness_ms
        })
    }
}

impl RuleTerms {
    /// A container has given the term up; returns whether nobody holds it any more.
    pub(super) fn let_go(&mut self, term: &Arc<str>) -> bool {
        let Some(known) = self.terms.get_mut(term) else {
            return false;
        };
        known.owners -= 1;
        let is_last = known.owners == 0;
        if is_last {
            self.terms.remove(term);
            if self.terms.capacity() > 4 * self.terms.len().max(64) {
                self.terms.shrink_to_fit();
            }
        }
        is_last
    }
}

pub(super) fn term_bytes(term: &str) -> usize {
    TERM_BYTES + term.len()
}

/// Whether the writing thread's queue took a change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Taken,
    Full,
}
