//! How the event thread waits for records: at low rates each record wakes it, so that none is delayed; at high rates it
//! polls every [`POLL_INTERVAL`], because a wake-up costs the host more than the record it announces.
//!
//! Pure: it is given times and numbers of records.

use std::time::{Duration, Instant};

use crate::kernel::WakeUp;

/// How often the thread polls at high rates, and so the longest that this delays an event. Each poll finds the
/// processor's caches cold, which costs about as much as ten records.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(3);
/// The interval over which records are counted.
const WINDOW: Duration = Duration::from_millis(10);
/// Records per window at which it starts to poll: 5,000 a second, or some 1,700 programs.
const MANY: u64 = 50;
/// Records per window below which records wake it again.
const FEW: u64 = 40;

/// Counts records and says when to change the way of waiting.
pub(super) struct Pace {
    wake_up: WakeUp,
    since: Instant,
    records: u64,
}

impl Pace {
    /// Starts with every record waking the thread.
    pub(super) fn new(now: Instant) -> Self {
        Pace {
            wake_up: WakeUp::EveryRecord,
            since: now,
            records: 0,
        }
    }

    /// What wakes the thread at present.
    pub(super) fn wake_up(&self) -> WakeUp {
        self.wake_up
    }

    /// Counts records that were just handled; returns what is to wake the thread from now on, if that changes.
    pub(super) fn handled(&mut self, records: usize, now: Instant) -> Option<WakeUp> {
        self.records += records as u64;
        let elapsed = now.duration_since(self.since);
        if elapsed < WINDOW {
            return None;
        }
        let windows = elapsed.as_secs_f64() / WINDOW.as_secs_f64();
        let in_a_window = (self.records as f64 / windows) as u64;
        self.since = now;
        self.records = 0;
        let wake_up = match self.wake_up {
            WakeUp::EveryRecord if in_a_window >= MANY => WakeUp::None,
            WakeUp::None if in_a_window < FEW => WakeUp::EveryRecord,
            unchanged => unchanged,
        };
        let changed = wake_up != self.wake_up;
        self.wake_up = wake_up;
        changed.then_some(wake_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes that a steady rate brings about within a second.
    fn changes(pace: &mut Pace, begin: Instant, records_a_millisecond: usize) -> Vec<WakeUp> {
        (1..=1000)
            .filter_map(|millisecond| pace.handled(records_a_millisecond, begin + Duration::from_millis(millisecond)))
            .collect()
    }

    #[test]
    fn many_records_are_polled_for_and_few_wake() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for (records_a_millisecond, expected) in [
            (1, vec![]),
            (5, vec![WakeUp::None]),
            // Between the two limits nothing changes.
            (4, vec![]),
            (3, vec![WakeUp::EveryRecord]),
            (4, vec![]),
            (20, vec![WakeUp::None]),
            (0, vec![WakeUp::EveryRecord]),
        ] {
            assert_eq!(
                changes(&mut pace, now, records_a_millisecond),
                expected,
                "{records_a_millisecond} a millisecond"
            );
            now += Duration::from_secs(1);
        }
    }

    #[test]
    fn a_burst_after_a_long_silence_is_not_averaged_with_the_silence() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let after_silence = begin + Duration::from_secs(60);
        assert_eq!(pace.handled(5, after_silence), None);
        assert_eq!(
            pace.handled(50, after_silence + Duration::from_millis(10)),
            Some(WakeUp::None)
        );
    }
}
