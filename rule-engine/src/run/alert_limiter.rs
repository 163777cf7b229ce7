//! Which of a rule's matches become alerts: similar ones are suppressed, and the number per interval is limited.
//!
//! The last stage before an alert. Time is the events' time. Nothing is dropped silently: what does not become an alert
//! is counted per rule.

use crate::condition::{AlertLimits, ListKeys};
use crate::record::Record;
use crate::run::counters::EngineCounters;
use crate::run::groups::{Groups, keys, whole_lists_key};

/// The limits and what they remember.
#[derive(Debug)]
pub(crate) struct AlertLimiter {
    limits: AlertLimits,
    /// When each group last raised an alert.
    alerted_ns: Groups<i64>,
    interval: Option<Interval>,
    pub suppressed: u64,
    pub held_back: u64,
}

#[derive(Copy, Clone, Debug)]
struct Interval {
    start_ns: i64,
    alerts: u64,
}

impl AlertLimiter {
    pub(crate) fn new(limits: AlertLimits, most_groups: usize) -> AlertLimiter {
        AlertLimiter {
            limits,
            alerted_ns: Groups::new(most_groups),
            interval: None,
            suppressed: 0,
            held_back: 0,
        }
    }

    /// The suppression groups of the event; empty if it is not subject to suppression.
    pub(crate) fn groups(&self, record: &Record, counters: &mut EngineCounters) -> Vec<String> {
        let cut = &mut counters.group_keys_cut;
        match &self.limits.suppression {
            None => Vec::new(),
            Some(suppression) if suppression.grouping == ListKeys::EachValue => {
                keys(&suppression.group_by, record, cut)
            }
            Some(suppression) => whole_lists_key(&suppression.group_by, record, cut)
                .into_iter()
                .collect(),
        }
    }

    /// Whether a match of these groups by an event of this container becomes an alert. One without a time always does.
    pub(crate) fn allows(
        &mut self,
        groups: &[String],
        owner: &str,
        time_ns: Option<i64>,
        counters: &mut EngineCounters,
    ) -> bool {
        let Some(time_ns) = time_ns else {
            return true;
        };
        let duration_ns = self
            .limits
            .suppression
            .as_ref()
            .map(|suppression| suppression.duration_ns);
        let is_over = |alerted_ns: &i64| duration_ns.is_none_or(|duration| is_past(time_ns, *alerted_ns, duration));
        let new: Vec<&String> = groups
            .iter()
            .filter(|group| {
                self.alerted_ns
                    .get_mut(group)
                    .is_none_or(|alerted_ns| is_over(alerted_ns))
            })
            .collect();
        if new.is_empty() && !groups.is_empty() {
            self.suppressed += 1;
            return false;
        }
        if !self.take_place(time_ns) {
            self.held_back += 1;
            return false;
        }
        for group in new.into_iter().filter(|_| duration_ns.is_some()) {
            let evicted = &mut counters.groups_evicted;
            *self.alerted_ns.use_state(group, owner, || time_ns, is_over, evicted) = time_ns;
        }
        true
    }

    /// Takes one of the interval's alerts if any is left. The first alert after an interval begins the next one.
    fn take_place(&mut self, time_ns: i64) -> bool {
        let is_over = |interval: &Interval| is_past(time_ns, interval.start_ns, self.limits.interval_ns);
        let mut interval = self.interval.filter(|interval| !is_over(interval)).unwrap_or(Interval {
            start_ns: time_ns,
            alerts: 0,
        });
        let has_place = interval.alerts < self.limits.max_signals;
        interval.alerts += u64::from(has_place);
        self.interval = Some(interval);
        has_place
    }
}

/// Whether the two are at least `length_ns` apart, in either direction: a single event with a time in the future must
/// not silence a rule until then.
fn is_past(time_ns: i64, start_ns: i64, length_ns: i64) -> bool {
    time_ns.abs_diff(start_ns) >= length_ns.unsigned_abs()
}

#[cfg(test)]
mod tests;
