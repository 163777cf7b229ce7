//! Events that must be missing from a sequence (`![..]`): when they came, and sequences that wait for them not to come.
//!
//! Between two events of a sequence and before its first, it is enough to know when unwanted events came. After the
//! last one nothing is certain until maxspan has passed: a sequence that is otherwise complete waits here, with the
//! contents of its match.

use std::collections::{BTreeMap, BTreeSet};

use super::summary::{EarlierEvents, Summary};
use crate::record::key::Key;
use crate::run::clock::Moment;
use crate::run::fair_quota::{FairQuota, Owner, entry_bytes};
use crate::run::groups::Room;

/// When unwanted events came; only the two latest times matter.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Sightings {
    newest: Option<i64>,
    before_newest: Option<i64>,
}

impl Sightings {
    pub(super) fn note(&mut self, moment: Moment) {
        let time_ns = moment.time_ns;
        if self.newest.is_some_and(|newest_ns| moment.refutes(newest_ns)) {
            self.newest = self.before_newest.take();
        }
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
    pub key: Key,
    pub last_ns: i64,
    pub found: LateMatch,
}

/// A match that became known only after its last event.
#[derive(Debug)]
pub(crate) struct LateMatch {
    /// Whose event was the last one.
    pub owner: Owner,
    /// The last event, as a short ECS document.
    pub event: Summary,
    /// The `@timestamp` of the last event.
    pub timestamp_ns: Option<i64>,
    pub earlier_events: EarlierEvents,
    /// Why that event is the last one.
    pub reason: Vec<String>,
}

/// A deadline, and a number that orders those with equal ones by arrival.
type Number = (i64, u64);

/// Waiting sequences by deadline, the last moment at which an unwanted event spoils them; up to a limit.
#[derive(Debug)]
pub(super) struct WaitingSequences {
    by_deadline: BTreeMap<Number, Waiting>,
    by_key: BTreeSet<(Key, Number)>,
    by_owner: FairQuota<Number>,
    taken: u64,
    room: Room,
}

/// What maps and sets take for a waiting sequence at most.
const WAITING_BYTES: usize =
    entry_bytes::<(Number, Waiting)>() + entry_bytes::<(Key, Number)>() + FairQuota::<Number>::KEY_BYTES;

impl WaitingSequences {
    pub(super) fn new(room: Room) -> WaitingSequences {
        WaitingSequences {
            by_deadline: BTreeMap::new(),
            by_key: BTreeSet::new(),
            by_owner: FairQuota::default(),
            taken: 0,
            room,
        }
    }

    pub(super) fn set_room(&mut self, room: Room) {
        self.room = room;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_deadline.is_empty()
    }

    pub(super) fn has_one_of(&self, key: Key) -> bool {
        let of_key = (key, (i64::MIN, 0))..=(key, (i64::MAX, u64::MAX));
        self.by_key.range(of_key).next().is_some()
    }

    /// Beyond the limit, the one with the earliest deadline of the owner with the most is dropped, which `evicted`
    /// counts. `bytes` are those of the events that it keeps.
    pub(super) fn add(&mut self, deadline_ns: i64, waiting: Waiting, bytes: usize, evicted: &mut u64) {
        self.taken += 1;
        let number = (deadline_ns, self.taken);
        let line = |line: &String| line.capacity() + 16;
        let lines: usize = waiting.found.reason.iter().map(line).sum();
        let reason = waiting.found.reason.capacity() * size_of::<String>() + lines;
        let earlier = waiting.found.earlier_events.capacity() * size_of::<Summary>();
        self.by_key.insert((waiting.key, number));
        let bytes = WAITING_BYTES + bytes + reason + earlier + 32;
        self.by_owner.insert(&waiting.found.owner, deadline_ns, number, bytes);
        self.by_deadline.insert(number, waiting);
        while self.by_owner.count() > self.room.keys || self.bytes() > self.room.bytes {
            if !self.give_up(evicted) {
                break;
            }
        }
    }

    /// Drops the one with the earliest deadline of the owner with the most; returns whether there was one.
    pub(super) fn give_up(&mut self, evicted: &mut u64) -> bool {
        let Some((_, number)) = self.by_owner.take_oldest_of_largest() else {
            return false;
        };
        self.remove(number);
        *evicted += 1;
        true
    }

    /// What all of them take at most, in bytes as allocated.
    pub(super) fn bytes(&self) -> usize {
        self.by_owner.weight() + self.by_owner.owner_bytes()
    }

    /// An unwanted event came under these keys.
    pub(super) fn spoil(&mut self, keys: &[Key], time_ns: i64) {
        for key in keys {
            // Those whose deadline is not over.
            let waiting = self.by_key.range((*key, (time_ns, 0))..=(*key, (i64::MAX, u64::MAX)));
            let is_spoiled = |number: &Number| {
                let last_ns = self.by_deadline.get(number).map(|waiting| waiting.last_ns);
                last_ns < Some(time_ns)
            };
            let spoiled: Vec<Number> = waiting.map(|(_, number)| *number).filter(is_spoiled).collect();
            for number in spoiled {
                self.remove(number);
            }
        }
    }

    /// When the first of them becomes a match: after its deadline.
    pub(super) fn next_due_ns(&self) -> Option<i64> {
        let (deadline_ns, _) = self.by_deadline.keys().next()?;
        deadline_ns.checked_add(1)
    }

    /// Removes and returns what no event from now on can spoil.
    pub(super) fn take_due(&mut self, now_ns: i64) -> Vec<LateMatch> {
        let mut due = Vec::new();
        while let Some(number) = self.by_deadline.keys().next().copied()
            && number.0 < now_ns
        {
            due.extend(self.remove(number));
        }
        due
    }

    fn remove(&mut self, number: Number) -> Option<LateMatch> {
        let waiting = self.by_deadline.remove(&number)?;
        self.by_owner.remove(&waiting.found.owner, &number);
        self.by_key.remove(&(waiting.key, number));
        Some(waiting.found)
    }
}
