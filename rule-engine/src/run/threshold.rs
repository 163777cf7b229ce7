//! Threshold rules: a number of events of one group within a window, optionally with a number of distinct values.
//!
//! Sees only events that satisfy the rule's query. Each group keeps only as many times and values as the threshold asks
//! for, which is enough to decide exactly. One alert per group and window.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::condition::{Cardinality, Threshold};
use crate::record::Record;
use crate::record::key::{owner, text};
use crate::run::counters::EngineCounters;
use crate::run::groups::{Groups, keys};
use crate::value::hash::HashMap;

/// A threshold and what it remembers.
#[derive(Debug)]
pub(crate) struct ThresholdState {
    threshold: Threshold,
    groups: Groups<KeyCounts>,
}

#[derive(Debug, Default)]
struct KeyCounts {
    /// When the newest events came, oldest first.
    times: VecDeque<i64>,
    /// Digests of the values seen last, and when.
    values: HashMap<Uuid, i64>,
    alerted_ns: Option<i64>,
}

impl ThresholdState {
    pub(crate) fn new(threshold: Threshold, most_groups: usize) -> ThresholdState {
        ThresholdState {
            threshold,
            groups: Groups::new(most_groups),
        }
    }

    /// Counts an event that satisfies the query; returns the groups that reach the threshold with it.
    pub(crate) fn observe(&mut self, record: &Record, time_ns: i64, counters: &mut EngineCounters) -> Vec<String> {
        let window_ns = self.threshold.window_ns;
        let mut reached = Vec::new();
        for key in keys(&self.threshold.fields, record, &mut counters.group_keys_cut) {
            let is_over = |group: &KeyCounts| {
                group
                    .times
                    .back()
                    .is_none_or(|last| *last < time_ns.saturating_sub(window_ns))
            };
            let group = self.groups.use_state(
                &key,
                owner(record),
                KeyCounts::default,
                is_over,
                &mut counters.groups_evicted,
            );
            if group.count(&self.threshold, record, time_ns) {
                reached.push(key);
            }
        }
        reached
    }
}

impl KeyCounts {
    /// Counts the event and returns whether it raises an alert. A late event counts as if it came now.
    fn count(&mut self, threshold: &Threshold, record: &Record, time_ns: i64) -> bool {
        let now_ns = self.times.back().map_or(time_ns, |last| time_ns.max(*last));
        let start_ns = now_ns.saturating_sub(threshold.window_ns);
        self.times.push_back(now_ns);
        if self.times.len() > threshold.events {
            self.times.pop_front();
        }
        let enough_events = self.times.len() == threshold.events && self.times.front() >= Some(&start_ns);
        let enough_values = match &threshold.cardinality {
            None => true,
            Some(cardinality) => {
                self.note_values(cardinality, record, now_ns);
                self.values.values().filter(|seen_ns| **seen_ns >= start_ns).count() >= cardinality.values
            }
        };
        let silent = self.alerted_ns.is_some_and(|alerted_ns| alerted_ns >= start_ns);
        if !enough_events || !enough_values || silent {
            return false;
        }
        self.alerted_ns = Some(now_ns);
        true
    }

    fn note_values(&mut self, cardinality: &Cardinality, record: &Record, now_ns: i64) {
        let field = &cardinality.field;
        for value in record.values(field.field).filter_map(|value| text(value, field)) {
            self.values
                .insert(Uuid::new_v5(&Uuid::NAMESPACE_OID, value.as_bytes()), now_ns);
            if self.values.len() > cardinality.values {
                let oldest = self
                    .values
                    .iter()
                    .min_by_key(|(_, seen_ns)| **seen_ns)
                    .map(|(value, _)| *value);
                oldest.map(|value| self.values.remove(&value));
            }
        }
    }
}

#[cfg(test)]
mod tests;
