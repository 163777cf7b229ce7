//! Changes on their way to the thread that writes, and those that found no room in its queue.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::change::{Change, QUEUE_LENGTH, Seen};
use super::terms::{Queue, SMALLER, Term};
use super::{History, REFRESH_INTERVAL_MS};

/// Terms that the disk may have kept because the queue had no room to say that they were forgotten; past that, everything
/// on it is written anew.
pub(super) const KEPT_ON_DISK_AT_MOST: usize = 50_000 / SMALLER;
/// Containers that the disk knows to hold a term.
const HOLDERS_ON_DISK: usize = 16;
/// How often changes that found the queue full are offered again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl History {
    /// Has the disk know when a term was seen last, and who holds it.
    pub(super) fn hand_on_term(&mut self, rule: &Arc<str>, term: &Arc<str>) -> Queue {
        let Some(terms) = self.rules.get(rule) else {
            return Queue::Taken;
        };
        let Some(Term { stored, .. }) = terms.terms.get(term) else {
            return Queue::Taken;
        };
        let time_ms = stored.time_ms;
        let holders: Vec<&str> = terms
            .by_age
            .owners_of(term)
            .take(HOLDERS_ON_DISK)
            .map(AsRef::as_ref)
            .collect();
        let seen = Seen {
            time_ms,
            holders: holders.join("\n"),
        };
        let change = Change::TermSeen {
            rule: Arc::clone(rule),
            term: Arc::clone(term),
            seen,
        };
        let taken = self.hand_on(change);
        let terms = self.rules.get_mut(rule);
        if let Some(known) = terms.and_then(|terms| terms.terms.get_mut(term)) {
            known.stored.handed_on_ms = match taken {
                Queue::Taken => Some(time_ms),
                Queue::Full => known.stored.handed_on_ms,
            };
        }
        taken
    }

    pub(super) fn hand_on_forgotten(&mut self, rule: &Arc<str>, term: Arc<str>) {
        let change = Change::TermForgotten {
            rule: Arc::clone(rule),
            term,
        };
        self.kept_on_disk += usize::from(self.hand_on(change) == Queue::Full);
    }

    /// Gives a change to the writing thread. A change that finds no room is found again by [`Self::catch_up`], except
    /// for a forgotten term, which is then forgotten again at the next start, or when there are too many of them.
    pub(super) fn hand_on(&mut self, change: Change) -> Queue {
        match self.changes.try_send(change) {
            Ok(()) => Queue::Taken,
            Err(_) => {
                self.behind.get_or_insert_with(Instant::now);
                Queue::Full
            }
        }
    }

    /// Offers again what the queue refused, and everything after the file was replaced.
    pub(super) fn catch_up(&mut self) {
        let is_too_much_kept =
            self.kept_on_disk > KEPT_ON_DISK_AT_MOST && self.hand_on(Change::TermsAnew) == Queue::Taken;
        if self.shared.was_replaced.swap(false, Relaxed) || is_too_much_kept {
            self.kept_on_disk = 0;
            for rule in self.rules.values_mut() {
                rule.first_seen
                    .iter_mut()
                    .chain(rule.terms.values_mut().map(|term| &mut term.stored))
                    .for_each(|stored| stored.handed_on_ms = None);
            }
            self.behind.get_or_insert_with(Instant::now);
        }
        if self.behind.is_some_and(|since| since.elapsed() >= RETRY_INTERVAL) {
            self.behind = None;
            self.hand_on_everything(REFRESH_INTERVAL_MS);
        }
    }

    /// Hands on all times of which the disk knows none, or one at least `staleness_ms` older.
    pub(super) fn hand_on_everything(&mut self, staleness_ms: i64) -> Queue {
        let mut rules = std::mem::take(&mut self.rules);
        let mut result = Queue::Taken;
        'rules: for (rule, terms) in &mut rules {
            if let Some(first_seen) = &mut terms.first_seen
                && first_seen.handed_on_ms.is_none()
            {
                let change = Change::RuleFirstSeen {
                    rule: Arc::clone(rule),
                    time_ms: first_seen.time_ms,
                };
                result = self.hand_on(change);
                if result == Queue::Full {
                    break 'rules;
                }
                first_seen.handed_on_ms = Some(first_seen.time_ms);
            }
        }
        self.rules = rules;
        if result == Queue::Full {
            return result;
        }
        let stale = self.rules.iter().flat_map(|(rule, terms)| {
            let stale = terms
                .terms
                .iter()
                .filter(|(_, term)| term.stored.is_stale(staleness_ms));
            stale.map(|(term, _)| (Arc::clone(rule), Arc::clone(term)))
        });
        // No more at a time than the queue has room for.
        let stale: Vec<_> = stale.take(QUEUE_LENGTH + 1).collect();
        for (rule, term) in stale.iter().take(QUEUE_LENGTH) {
            if self.hand_on_term(rule, term) == Queue::Full {
                return Queue::Full;
            }
        }
        if stale.len() > QUEUE_LENGTH {
            self.behind.get_or_insert_with(Instant::now);
            return Queue::Full;
        }
        result
    }
}
