//! Which of a rule's matches become alerts: alike ones are suppressed, and in an interval there are only so many.
//!
//! The last stage before an alert, and the only one that sees matches. Time is the events'. Nothing is lost in
//! silence: what does not become an alert is counted for its rule.

use crate::condition::{AlertLimits, ListKeys};
use crate::limits::MAX_GROUPS;
use crate::record::Record;
use crate::run::counters::EngineCounters;
use crate::run::groups::{Groups, keys, whole_lists_key};

/// The limits with what they remember.
#[derive(Debug)]
pub(crate) struct AlertLimiter {
    limits: AlertLimits,
    /// For each group when its last alert came.
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
    pub(crate) fn new(limits: AlertLimits) -> AlertLimiter {
        AlertLimiter {
            limits,
            alerted_ns: Groups::new(MAX_GROUPS),
            interval: None,
            suppressed: 0,
            held_back: 0,
        }
    }

    /// The groups of the event; none if the rule suppresses nothing, or not this event.
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

    /// Whether a match of these groups, by an event of this container, becomes an alert. One without a time always does.
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

    /// One of the interval's alerts, if there is one left. The first alert past an interval begins the next one.
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

/// Whether so much time lies between the two. A late event counts as one of now; one from long before does not, or a
/// single time in the future would keep a rule silent until then.
fn is_past(time_ns: i64, start_ns: i64, length_ns: i64) -> bool {
    time_ns.abs_diff(start_ns) >= length_ns.unsigned_abs()
}

#[cfg(test)]
mod tests;
