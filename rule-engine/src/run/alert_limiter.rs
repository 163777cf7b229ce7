//! Which of a rule's matches become alerts: similar ones are suppressed, and the number per interval is limited.
//!
//! The last stage before an alert. Both limits count for each owner: what one container does silences no other, and the
//! first match of an owner in an interval always becomes an alert. Time is the events' time. Nothing is dropped silently:
//! what does not become an alert is counted per rule, what is held back is told of each owner, at once and at the
//! interval's end, and by what is new in suppressed matches their alert grows.

use std::collections::BTreeSet;

use crate::condition::{AlertLimits, ListKeys};
use crate::record::Record;
use crate::record::key::Key;
use crate::run::clock::{LastTwo, Moment};
use crate::run::counters::EngineCounters;
use crate::run::fair_quota::{Owner, entry_bytes};
use crate::run::grouped::GroupTerm;
use crate::run::groups::{Groups, Remembered, Room, keys, terms_of, whole_lists_key, whole_lists_terms};
use crate::run::growth::{Growing, Suppressed, Told};
use crate::value::hash::{HashMap, give_back};

/// The limits and what they remember.
#[derive(Debug)]
pub(crate) struct AlertLimiter {
    limits: AlertLimits,
    alerted: Groups<Alerted>,
    /// Groups whose alert is to be told again by then, because it has grown.
    due: BTreeSet<(i64, Key)>,
    intervals: HashMap<Owner, Interval>,
    /// The same owners by the beginning of their intervals, and those of whom something is held back.
    by_start: BTreeSet<(i64, Owner)>,
    limited: BTreeSet<(i64, Owner)>,
    pub suppressed: u64,
    pub held_back: u64,
}

/// What is remembered of a group.
#[derive(Debug, Default)]
struct Alerted {
    /// When it last raised an alert.
    at: LastTwo,
    /// The alert, of a rule whose alerts grow.
    growing: Option<Box<Growing>>,
}

/// An owner's present interval.
#[derive(Debug)]
struct Interval {
    start_ns: i64,
    alerts: u64,
    held_back: Option<Held>,
}

/// What was held back in an interval so far.
#[derive(Debug)]
struct Held {
    count: u64,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
}

/// Matches of a rule by events of one owner that did not become alerts, because there were too many in an interval.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct HeldBack {
    /// Whose events they were: a container's id, empty for the host.
    pub owner: String,
    /// How many so far in this interval.
    pub count: u64,
    /// The `@timestamp` of the first, in nanoseconds since the epoch.
    pub first_ns: Option<i64>,
    /// The `@timestamp` of the last.
    pub last_ns: Option<i64>,
    /// Whether the interval is over, so that there will be no more; otherwise this is the first that is held back.
    pub is_complete: bool,
}

/// What becomes of a match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// With the first of its groups that is not suppressed.
    Alert(Option<Key>),
    Suppressed,
    HeldBack,
}

/// A match before the limits.
pub(crate) struct Candidate<'a> {
    pub groups: &'a [Key],
    pub owner: &'a str,
    /// Without a time nothing is limited.
    pub moment: Option<Moment>,
    /// The event's `@timestamp`.
    pub timestamp_ns: Option<i64>,
    /// The number of the alert that it may become.
    pub alert: u64,
}

impl Remembered for Alerted {
    fn heap_bytes(&self) -> usize {
        self.growing.as_ref().map_or(0, |growing| growing.bytes())
    }

    fn is_owed(&self) -> bool {
        self.growing.as_ref().is_some_and(|growing| growing.due_ns().is_some())
    }
}

impl AlertLimiter {
    /// What the interval of an owner takes at most, in bytes as allocated.
    pub(crate) const INTERVAL_BYTES: usize = {
        // As long as a container's id.
        const NAME: usize = 64 + 32;
        entry_bytes::<(Owner, Interval)>() + 2 * entry_bytes::<(i64, Owner)>() + NAME
    };

    pub(crate) fn new(limits: AlertLimits, room: Room) -> AlertLimiter {
        AlertLimiter {
            limits,
            alerted: Groups::new(room),
            due: BTreeSet::new(),
            intervals: HashMap::default(),
            by_start: BTreeSet::new(),
            limited: BTreeSet::new(),
            suppressed: 0,
            held_back: 0,
        }
    }

    pub(crate) fn set_room(&mut self, room: Room) {
        self.alerted.set_room(room);
    }

    /// Whether the rule has an `alert_suppression`.
    pub(crate) fn suppresses(&self) -> bool {
        self.limits.suppression.is_some()
    }

    /// Whether its alerts grow by what they suppress.
    pub(crate) fn grows(&self) -> bool {
        self.limits.alerts_grow()
    }

    /// What it remembers of groups takes at most, in bytes as allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.alerted.bytes() + self.due.len() * entry_bytes::<(i64, Key)>()
    }

    /// Forgets a group, as [`Groups::give_up`] says.
    pub(crate) fn give_up(&mut self, now_ns: i64, evicted: &mut u64) -> bool {
        let duration_ns = self
            .limits
            .suppression
            .as_ref()
            .map_or(0, |suppression| suppression.duration_ns);
        let is_over = |alerted: &Alerted| alerted.at.all_before(now_ns, duration_ns);
        self.alerted.give_up(is_over, evicted)
    }

    /// The suppression groups of the event; empty if it is not subject to suppression.
    pub(crate) fn groups(&self, record: &Record, counters: &mut EngineCounters) -> Vec<Key> {
        let cut = &mut counters.group_keys_cut;
        match &self.limits.suppression {
            None => Vec::new(),
            Some(suppression) if suppression.grouping == ListKeys::EachValue => {
                keys(&suppression.group_by, record, cut).into_vec()
            }
            Some(suppression) => whole_lists_key(&suppression.group_by, record, cut)
                .into_iter()
                .collect(),
        }
    }

    /// What the event shares with those that its alert suppresses under one of its groups.
    pub(crate) fn terms(&self, group: Key, record: &Record) -> Vec<GroupTerm> {
        match &self.limits.suppression {
            None => Vec::new(),
            Some(suppression) if suppression.grouping == ListKeys::EachValue => {
                terms_of(group, &suppression.group_by, record)
            }
            Some(suppression) => whole_lists_terms(&suppression.group_by, record),
        }
    }

    /// How many more matches of the owner may become alerts at this time.
    pub(crate) fn places(&self, owner: &str, moment: Option<Moment>) -> u64 {
        let interval = self.intervals.get(owner).zip(moment);
        let interval = interval.filter(|(interval, moment)| !self.is_over(interval, moment.time_ns));
        let taken = interval.map_or(0, |(interval, _)| interval.alerts);
        self.limits.max_signals.saturating_sub(taken)
    }

    /// Whether a match of these groups would be suppressed.
    pub(crate) fn is_suppressed(&self, groups: &[Key], owner: &str, moment: Option<Moment>) -> bool {
        let Some(Moment { time_ns, .. }) = moment else {
            return false;
        };
        !groups.is_empty() && groups.iter().all(|group| self.has_alerted(*group, owner, time_ns))
    }

    fn has_alerted(&self, group: Key, owner: &str, time_ns: i64) -> bool {
        let duration_ns = self.duration_ns();
        let alerted = self.alerted.get(group.and(&owner));
        alerted.is_some_and(|alerted| alerted.at.any_within(time_ns, duration_ns))
    }

    fn duration_ns(&self) -> i64 {
        self.limits
            .suppression
            .as_ref()
            .map_or(0, |suppression| suppression.duration_ns)
    }

    /// What becomes of a match, and what has to be told of those that were held back. Of so many owners alerts may be
    /// counted.
    pub(crate) fn judge(
        &mut self,
        candidate: &Candidate<'_>,
        most_intervals: usize,
        counters: &mut EngineCounters,
        tell: &mut dyn FnMut(HeldBack),
    ) -> Verdict {
        let Candidate { groups, owner, .. } = *candidate;
        let Some(Moment { time_ns, now_ns }) = candidate.moment else {
            return Verdict::Alert(None);
        };
        let is_new = |group: &Key| !self.has_alerted(*group, owner, time_ns);
        let new: Vec<Key> = groups.iter().copied().filter(is_new).collect();
        let first = new.first().copied();
        if new.is_empty() && !groups.is_empty() {
            self.suppressed += 1;
            return Verdict::Suppressed;
        }
        if !self.take_place(candidate, Moment { time_ns, now_ns }, most_intervals, tell) {
            self.held_back += 1;
            return Verdict::HeldBack;
        }
        let duration_ns = self.duration_ns();
        for group in new.into_iter().filter(|_| duration_ns > 0) {
            let interval_ns = self.limits.interval_ns;
            let growing = || Box::new(Growing::of(candidate.alert, owner, now_ns, interval_ns, duration_ns));
            let growing = self.grows().then(growing);
            let before = self.alerted.use_state(
                group.and(&owner),
                owner,
                Alerted::default,
                |alerted| {
                    alerted.at.note(Moment { time_ns, now_ns });
                    std::mem::replace(&mut alerted.growing, growing)
                },
                |alerted| alerted.at.all_before(now_ns, duration_ns),
                &mut counters.groups_evicted,
            );
            self.alerted.owe(Alerted {
                growing: before,
                ..Alerted::default()
            });
        }
        Verdict::Alert(first)
    }

    /// Has the alert of the group grow by a match that it suppressed. Returns what is to be told at once.
    pub(crate) fn grow(
        &mut self,
        group: Key,
        owner: &str,
        found: Suppressed,
        counters: &mut EngineCounters,
    ) -> Option<Told> {
        let Moment { now_ns, .. } = found.moment;
        let (key, interval_ns, duration_ns) = (group.and(&owner), self.limits.interval_ns, self.duration_ns());
        let (was_due_ns, due_ns, told) = self.alerted.use_state(
            key,
            owner,
            Alerted::default,
            |alerted| {
                let Some(growing) = &mut alerted.growing else {
                    return (None, None, None);
                };
                let was_due_ns = growing.due_ns();
                let told = growing.add(found).then(|| growing.tell(now_ns, interval_ns)).flatten();
                (was_due_ns, growing.due_ns(), told)
            },
            |alerted| alerted.at.all_before(now_ns, duration_ns),
            &mut counters.groups_evicted,
        );
        was_due_ns.map(|due_ns| self.due.remove(&(due_ns, key)));
        self.due.extend(due_ns.map(|due_ns| (due_ns, key)));
        told
    }

    /// The growths that are due at this time.
    pub(crate) fn take_due(&mut self, now_ns: i64) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some((due_ns, key)) = self.due.first().copied()
            && due_ns <= now_ns
        {
            self.due.pop_first();
            let interval_ns = self.limits.interval_ns;
            let alerted = self.alerted.get_mut(key);
            let growing = alerted.and_then(|alerted| alerted.growing.as_mut());
            told.extend(growing.and_then(|growing| growing.tell(now_ns, interval_ns)));
        }
        told
    }

    /// The growths of groups that were given up.
    pub(crate) fn take_owed(&mut self) -> Vec<Told> {
        let owed = self.alerted.take_owed().into_iter();
        let told = owed.filter_map(|alerted| alerted.growing?.tell(0, 0));
        told.collect()
    }

    /// Takes one of the owner's alerts of the interval if any is left. The first alert after an interval begins the next
    /// one.
    fn take_place(
        &mut self,
        candidate: &Candidate<'_>,
        moment: Moment,
        most_intervals: usize,
        tell: &mut dyn FnMut(HeldBack),
    ) -> bool {
        let (owner, Moment { time_ns, now_ns }) = (candidate.owner, moment);
        let known = self.intervals.get(owner);
        // An event from another time ends no interval that by the clock goes on; it begins one that no other is in.
        if known.is_some_and(|interval| self.is_over(interval, time_ns) && !self.is_over(interval, now_ns)) {
            return true;
        }
        if known.is_none_or(|interval| self.is_over(interval, time_ns)) {
            self.end_interval(owner, tell);
            self.begin_interval(owner, time_ns, most_intervals, tell);
        }
        let Some(interval) = self.intervals.get_mut(owner) else {
            return true;
        };
        if interval.alerts < self.limits.max_signals {
            interval.alerts += 1;
            return true;
        }
        match &mut interval.held_back {
            Some(held) => {
                held.count += 1;
                held.last_ns = candidate.timestamp_ns;
            }
            None => {
                let held = Held {
                    count: 1,
                    first_ns: candidate.timestamp_ns,
                    last_ns: candidate.timestamp_ns,
                };
                tell(held.told(owner, false));
                interval.held_back = Some(held);
                self.limited.insert((interval.start_ns, owner.into()));
            }
        }
        false
    }

    fn begin_interval(&mut self, owner: &str, start_ns: i64, most_intervals: usize, tell: &mut dyn FnMut(HeldBack)) {
        // Whose interval began first begins a new one with its next match, so it is not silenced.
        while self.intervals.len() >= most_intervals
            && let Some((_, first)) = self.by_start.first().cloned()
        {
            self.end_interval(&first, tell);
        }
        let owner: Owner = owner.into();
        self.by_start.insert((start_ns, Owner::clone(&owner)));
        let interval = Interval {
            start_ns,
            alerts: 0,
            held_back: None,
        };
        self.intervals.insert(owner, interval);
    }

    fn end_interval(&mut self, owner: &str, tell: &mut dyn FnMut(HeldBack)) {
        let Some((owner, interval)) = self.intervals.remove_entry(owner) else {
            return;
        };
        give_back(&mut self.intervals);
        let place = (interval.start_ns, owner);
        self.by_start.remove(&place);
        if let Some(held) = interval.held_back {
            self.limited.remove(&place);
            tell(held.told(&place.1, true));
        }
    }

    /// Of how many owners alerts are counted.
    pub(crate) fn interval_count(&self) -> usize {
        self.intervals.len()
    }

    /// When something is to be told next: an interval ends in which something was held back, or a growth is due.
    pub(crate) fn next_due_ns(&self) -> Option<i64> {
        let due_ns = self.due.first().map(|(due_ns, _)| *due_ns);
        self.next_end_ns().into_iter().chain(due_ns).min()
    }

    /// When the first interval ends in which something was held back.
    fn next_end_ns(&self) -> Option<i64> {
        let (start_ns, _) = self.limited.first()?;
        Some(start_ns.saturating_add(self.limits.interval_ns))
    }

    /// Ends the intervals in which something was held back and that are over at this time.
    pub(crate) fn end_those_over(&mut self, now_ns: i64, tell: &mut dyn FnMut(HeldBack)) {
        while self.next_end_ns().is_some_and(|end_ns| end_ns <= now_ns)
            && let Some((_, owner)) = self.limited.first().cloned()
        {
            self.end_interval(&owner, tell);
        }
    }

    /// Ends all intervals, because the rule runs no more.
    pub(crate) fn end_all(&mut self, tell: &mut dyn FnMut(HeldBack)) {
        while let Some((_, owner)) = self.by_start.first().cloned() {
            self.end_interval(&owner, tell);
        }
    }

    /// Whether the two are at least an interval apart, in either direction: a single event with a time in the future
    /// must not silence a rule until then.
    fn is_over(&self, interval: &Interval, time_ns: i64) -> bool {
        time_ns.abs_diff(interval.start_ns) >= self.limits.interval_ns.unsigned_abs()
    }
}

impl Held {
    fn told(&self, owner: &str, is_complete: bool) -> HeldBack {
        HeldBack {
            owner: owner.to_owned(),
            count: self.count,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            is_complete,
        }
    }
}

#[cfg(test)]
mod tests;
