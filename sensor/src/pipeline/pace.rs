//! How the event thread waits for records: while few come, each wakes it, so that nothing waits; while many come, it
//! looks by itself every [`LOOK_INTERVAL`], because a wake-up costs the host more than the record that it is for.
//!
//! Only time and numbers of records go in, and what to do comes out.

use std::time::{Duration, Instant};

use crate::kernel::WakeUp;

/// How often the thread looks while many records come: the most that an event is delayed by it. Each look finds the
/// processor's caches filled with the work of others, which costs as much as some ten records do.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(3);
/// Over how long records are counted.
const WINDOW: Duration = Duration::from_millis(10);
/// Records of a window from which on there are many: 5,000 a second, some 1,700 programs.
const MANY: u64 = 50;
/// Records of a window below which there are few again.
const FEW: u64 = 40;

/// Counts records and says when to wait otherwise.
pub(super) struct Pace {
    wake_up: WakeUp,
    since: Instant,
    records: u64,
}

impl Pace {
    /// Woken by every record.
    pub(super) fn new(now: Instant) -> Self {
        Pace {
            wake_up: WakeUp::EveryRecord,
            since: now,
            records: 0,
        }
    }

    /// What wakes the thread.
    pub(super) fn wake_up(&self) -> WakeUp {
        self.wake_up
    }

    /// Counts records that were handled just now; gives what is to wake the thread from now on, if that changes.
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
    fn many_records_are_looked_for_and_few_wake() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for (records_a_millisecond, expected) in [
            (1, vec![]),
            (5, vec![WakeUp::None]),
            // Between the two limits all stays as it is.
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
