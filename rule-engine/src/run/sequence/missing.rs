//! Events that must be missing from a sequence (`![..]`): when they came, and sequences that wait for them not to come.
//!
//! Between two events of a sequence and before its first, it is enough to know when unwanted events came. After the
//! last one nothing is certain until maxspan has passed: a sequence that is otherwise complete waits here, with the
//! contents of its match.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::run::fair_quota::{FairQuota, Owner};

/// The events of a match before its last one, oldest first.
pub(crate) type EarlierEvents = Vec<Arc<Map<String, Json>>>;

/// When unwanted events came; only the two latest times matter.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Sightings {
    newest: Option<i64>,
    before_newest: Option<i64>,
}

impl Sightings {
    pub(super) fn note(&mut self, time_ns: i64) {
        if self.newest < Some(time_ns) {
            self.before_newest = self.newest;
            self.newest = Some(time_ns);
        } else if self.newest > Some(time_ns) {
            self.before_newest = self.before_newest.max(Some(time_ns));
        }
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// The newest one that is older than `time_ns`.
    pub(super) fn last_before(&self, time_ns: i64) -> Option<i64> {
        [self.newest, self.before_newest]
            .into_iter()
            .flatten()
            .find(|seen_ns| *seen_ns < time_ns)
    }
}

/// A sequence that matches unless an unwanted event comes in time.
#[derive(Debug)]
pub(super) struct Waiting {
    pub key: String,
    /// The container of the last event.
    pub owner: Owner,
    pub last_ns: i64,
    pub found: LateMatch,
}

/// A match that became known only after its last event.
#[derive(Debug)]
pub(crate) struct LateMatch {
    /// The last event, as a short ECS document.
    pub event: Arc<Map<String, Json>>,
    pub earlier_events: EarlierEvents,
    /// Why that event is the last one.
    pub reason: Vec<String>,
}

/// Waiting sequences by deadline, the last moment at which an unwanted event spoils them; up to a limit.
#[derive(Debug)]
pub(super) struct WaitingSequences {
    by_deadline: BTreeMap<(i64, u64), Waiting>,
    by_owner: FairQuota<(i64, u64)>,
    /// Orders those with equal deadlines by arrival.
    taken: u64,
    limit: usize,
}

impl WaitingSequences {
    pub(super) fn new(limit: usize) -> WaitingSequences {
        WaitingSequences {
            by_deadline: BTreeMap::new(),
            by_owner: FairQuota::default(),
            taken: 0,
            limit,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_deadline.is_empty()
    }

    /// Beyond the limit, the one with the earliest deadline of the container with the most is dropped, which `evicted`
    /// counts.
    pub(super) fn add(&mut self, deadline_ns: i64, waiting: Waiting, evicted: &mut u64) {
        if self.by_deadline.len() == self.limit
            && let Some(number) = self.by_owner.take_oldest_of_largest()
        {
            self.by_deadline.remove(&number);
            *evicted += 1;
        }
        self.taken += 1;
        let number = (deadline_ns, self.taken);
        self.by_owner.insert(&waiting.owner, deadline_ns, number);
        self.by_deadline.insert(number, waiting);
    }

    /// An unwanted event came under these keys.
    pub(super) fn spoil(&mut self, keys: &[String], time_ns: i64) {
        let by_owner = &mut self.by_owner;
        self.by_deadline.retain(|number, waiting| {
            let deadline_ns = number.0;
            let is_spoiled = waiting.last_ns < time_ns && time_ns <= deadline_ns && keys.contains(&waiting.key);
            if is_spoiled {
                by_owner.remove(&waiting.owner, deadline_ns, number);
            }
            !is_spoiled
        });
    }

    /// When the first of them becomes a match: after its deadline.
    pub(super) fn next_due_ns(&self) -> Option<i64> {
        let (deadline_ns, _) = self.by_deadline.keys().next()?;
        deadline_ns.checked_add(1)
    }

    /// Removes and returns what no event from now on can spoil.
    pub(super) fn take_due(&mut self, now_ns: i64) -> Vec<LateMatch> {
        let mut due = Vec::new();
        while let Some(first) = self.by_deadline.first_entry()
            && first.key().0 < now_ns
        {
            let (number, waiting) = first.remove_entry();
            self.by_owner.remove(&waiting.owner, number.0, &number);
            due.push(waiting.found);
        }
        due
    }
}
