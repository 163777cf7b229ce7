//! Threshold rules: a number of events of one group within a window, optionally with a number of distinct values.
//!
//! Sees only events that satisfy the rule's query. Each group keeps only as many times and values as the threshold asks
//! for, which is enough to decide exactly; past that, it forgets the one farthest from now, so an event from
//! the future costs none of them. One alert per group and window.

use std::collections::{BTreeSet, VecDeque};

use crate::condition::Threshold;
use crate::record::Record;
use crate::record::key::{Key, owner};
use crate::run::clock::{LastTwo, Moment};
use crate::run::counters::EngineCounters;
use crate::run::fair_quota::entry_bytes;
use crate::run::grouped::ThresholdResult;
use crate::run::groups::{Groups, Remembered, Room, keys, terms_of};
use crate::schema::fields;
use crate::value::hash::{HashMap, HashSet, digest};

/// A threshold and what it remembers.
#[derive(Debug)]
pub(crate) struct ThresholdState {
    threshold: Threshold,
    groups: Groups<KeyCounts>,
}

#[derive(Debug, Default)]
struct KeyCounts {
    /// When events came, in order.
    times: VecDeque<i64>,
    values: SeenValues,
    alerted: LastTwo,
}

/// Digests of values, and when each was seen last.
#[derive(Debug, Default)]
struct SeenValues {
    seen_ns: HashMap<u128, i64>,
    by_time: BTreeSet<(i64, u128)>,
}

impl ThresholdState {
    pub(crate) fn new(threshold: Threshold, room: Room) -> ThresholdState {
        ThresholdState {
            threshold,
            groups: Groups::new(room),
        }
    }

    pub(crate) fn set_room(&mut self, room: Room) {
        self.groups.set_room(room);
    }

    /// What it remembers takes at most, in bytes as allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.groups.bytes()
    }

    /// Forgets a group, as [`Groups::give_up`] says.
    pub(crate) fn give_up(&mut self, now_ns: i64, evicted: &mut u64) -> bool {
        self.groups.give_up(is_over(&self.threshold, now_ns), evicted)
    }

    /// Counts an event that satisfies the query; returns the groups that reach the threshold with it, each with how.
    pub(crate) fn observe(
        &mut self,
        record: &Record,
        moment: Moment,
        counters: &mut EngineCounters,
    ) -> Vec<(Key, ThresholdResult)> {
        let threshold = &self.threshold;
        let values = values(threshold, record);
        let mut reached = Vec::new();
        for key in keys(&threshold.fields, record, &mut counters.group_keys_cut) {
            let first_ns = self.groups.use_state(
                key,
                owner(record),
                KeyCounts::default,
                |group| group.count(threshold, &values, moment),
                is_over(threshold, moment.now_ns),
                &mut counters.groups_evicted,
            );
            if let Some(first_ns) = first_ns {
                let before_ns = moment.time_ns.saturating_sub(first_ns);
                reached.push((key, result(threshold, record, key, before_ns)));
            }
        }
        reached
    }
}

/// How the group reached the threshold with this event, the first one having been so much before it.
fn result(threshold: &Threshold, record: &Record, key: Key, before_ns: i64) -> ThresholdResult {
    let cardinality = threshold.cardinality.as_ref();
    ThresholdResult {
        terms: terms_of(key, &threshold.fields, record),
        cardinality: cardinality.map(|cardinality| (cardinality.field.name(), cardinality.values as u64)),
        count: threshold.events as u64,
        from_ns: record
            .first_date(fields::TIMESTAMP)
            .map(|timestamp_ns| timestamp_ns.saturating_sub(before_ns)),
    }
}

/// Whether all events of a group are out of the window.
fn is_over(threshold: &Threshold, now_ns: i64) -> impl Fn(&KeyCounts) -> bool {
    let begin_ns = now_ns.saturating_sub(threshold.window_ns);
    move |group| group.times.back().is_none_or(|last_ns| *last_ns < begin_ns)
}

/// Different values of the event, as many as the threshold asks for.
fn values(threshold: &Threshold, record: &Record) -> HashSet<u128> {
    let mut values = HashSet::default();
    let Some(cardinality) = &threshold.cardinality else {
        return values;
    };
    for text in cardinality.field.keys(record) {
        if values.len() == cardinality.values {
            break;
        }
        values.insert(digest(&text));
    }
    values
}

impl Remembered for KeyCounts {
    fn heap_bytes(&self) -> usize {
        // The smallest tree has places for 11.
        const SMALLEST: usize = 16 * size_of::<(i64, u128)>();
        let values = match self.values.seen_ns.len() {
            0 => 0,
            count => SMALLEST + count * (entry_bytes::<(u128, i64)>() + entry_bytes::<(i64, u128)>()),
        };
        self.times.capacity() * size_of::<i64>() + 16 + values
    }
}

impl KeyCounts {
    /// Counts the event; if it raises an alert, returns the time of the first event that counts for it.
    fn count(&mut self, threshold: &Threshold, values: &HashSet<u128>, moment: Moment) -> Option<i64> {
        let (window_ns, time_ns) = (threshold.window_ns, moment.time_ns);
        self.note_time(moment, threshold.events);
        // All are within the window if the first and the last are.
        let is_within =
            |at_ns: Option<i64>| at_ns.is_some_and(|at_ns| time_ns.abs_diff(at_ns) <= window_ns.unsigned_abs());
        let enough_events = self.times.len() == threshold.events
            && is_within(self.times.front().copied())
            && is_within(self.times.back().copied());
        let enough_values = threshold.cardinality.as_ref().is_none_or(|cardinality| {
            let seen = &mut self.values;
            let known = values
                .iter()
                .filter(|value| !seen.note(**value, moment, cardinality.values));
            if known.count() > 0 {
                let is_other = |(value, at_ns): &(&u128, &i64)| !values.contains(*value) && is_within(Some(**at_ns));
                return values.len() + seen.seen_ns.iter().filter(is_other).count() >= cardinality.values;
            }
            seen.seen_ns.len() == cardinality.values
                && is_within(seen.by_time.first().map(|(at_ns, _)| *at_ns))
                && is_within(seen.by_time.last().map(|(at_ns, _)| *at_ns))
        });
        let silent = self.alerted.any_within(time_ns, window_ns.saturating_add(1));
        if !enough_events || !enough_values || silent {
            return None;
        }
        self.alerted.note(moment);
        self.times.front().copied()
    }

    fn note_time(&mut self, moment: Moment, most: usize) {
        let Moment { time_ns, now_ns } = moment;
        let place = self.times.partition_point(|at_ns| *at_ns <= time_ns);
        self.times.insert(place, time_ns);
        let (Some(first), Some(last)) = (self.times.front(), self.times.back()) else {
            return;
        };
        if self.times.len() > most {
            if now_ns.abs_diff(*first) >= now_ns.abs_diff(*last) {
                self.times.pop_front();
            } else {
                self.times.pop_back();
            }
        }
    }
}

impl SeenValues {
    /// Returns whether the time counts from now on: not if the value was seen at one nearer to now.
    fn note(&mut self, value: u128, moment: Moment, most: usize) -> bool {
        let Moment { time_ns, now_ns } = moment;
        if let Some(before_ns) = self.seen_ns.get(&value).copied() {
            if now_ns.abs_diff(before_ns) < now_ns.abs_diff(time_ns) {
                return false;
            }
            self.by_time.remove(&(before_ns, value));
        }
        self.seen_ns.insert(value, time_ns);
        self.by_time.insert((time_ns, value));
        let (Some(first), Some(last)) = (self.by_time.first(), self.by_time.last()) else {
            return true;
        };
        if self.by_time.len() > most {
            let farthest = if now_ns.abs_diff(first.0) >= now_ns.abs_diff(last.0) {
                *first
            } else {
                *last
            };
            self.by_time.remove(&farthest);
            self.seen_ns.remove(&farthest.1);
        }
        true
    }
}

#[cfg(test)]
mod tests;
