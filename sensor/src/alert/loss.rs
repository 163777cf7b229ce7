//! What was lost, and when: kept for a while, so that an alert can say that it overlaps a loss.
//!
//! The kernel counts what it lost but not when. The event thread reads the counters every second, whenever sequence
//! numbers show a gap, and before an alert is made; a loss lies between two reads. Times are those of the boot clock
//! inside, and of the wall clock, as events have them, outside.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use jiff::Timestamp;
use sensor_abi::{LossReason, RecordKind};
use serde_json::Value;

use crate::{
    clock::{boot_clock_ns, boot_time_ns},
    kernel::KernelCounters,
    telemetry::counts::{KernelCounts, LostRecords},
    text::document::Document,
};

/// Losses that are kept apart; when there are more, the two oldest are joined.
const LOSSES_AT_MOST: usize = 256;

/// Records that were lost at some time from `since_ns` to `until_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) since_ns: i64,
    pub(crate) until_ns: i64,
    pub(crate) records: LostRecords,
}

impl Loss {
    /// As it stands in an alert.
    pub(crate) fn to_document(self) -> Value {
        let time =
            |ns: i64| Timestamp::from_nanosecond(ns.into()).map_or_else(|_| String::new(), |time| time.to_string());
        let mut document = Document::new();
        let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
        put("records", self.records.total().into());
        for (kind, number) in RecordKind::ALL.into_iter().zip(self.records.by_kind()) {
            put(kind.plural(), number.into());
        }
        for reason in LossReason::ALL {
            put(reason.key(), self.records.total_of(reason).into());
        }
        put("since", time(self.since_ns).into());
        put("until", time(self.until_ns).into());
        document.into()
    }

    fn joined(&self, other: &Loss) -> Loss {
        Loss {
            since_ns: self.since_ns.min(other.since_ns),
            until_ns: self.until_ns.max(other.until_ns),
            records: self.records.plus(&other.records),
        }
    }
}

/// The losses of a running sensor.
pub(crate) struct Losses {
    counters: KernelCounters,
    log: RefCell<LossLog>,
    /// See [`boot_time_ns`].
    boot_time_ns: Cell<i64>,
}

impl Losses {
    /// Losses from now on, by these counters.
    pub(crate) fn new(counters: KernelCounters) -> Self {
        Losses {
            counters,
            log: RefCell::new(LossLog {
                last_read_ns: boot_clock_ns(),
                ..LossLog::default()
            }),
            boot_time_ns: Cell::new(boot_time_ns()),
        }
    }

    /// The kernel's numbers now; what is new among the losses is remembered. Without numbers (the kernel never refuses
    /// them) nothing is.
    pub(crate) fn read_counters(&self) -> Option<KernelCounts> {
        let begin_ns = boot_clock_ns();
        let counts = self.counters.read().ok()?;
        self.log.borrow_mut().note(begin_ns, boot_clock_ns(), counts.lost);
        Some(counts)
    }

    /// Goes by the wall clock as it is now.
    pub(crate) fn follow_wall_clock(&self, boot_time_ns: i64) {
        self.boot_time_ns.set(boot_time_ns);
    }

    /// What was lost at a time that may lie between the two, all by the wall clock.
    pub(crate) fn between(&self, from_ns: i64, to_ns: i64) -> Option<Loss> {
        self.read_counters();
        let zero = self.boot_time_ns.get();
        let loss = self.log.borrow().between(from_ns - zero, to_ns - zero)?;
        Some(Loss {
            since_ns: loss.since_ns + zero,
            until_ns: loss.until_ns + zero,
            ..loss
        })
    }
}

/// Losses by the boot clock, oldest first.
#[derive(Default)]
struct LossLog {
    last_read_ns: i64,
    known: LostRecords,
    losses: VecDeque<Loss>,
}

impl LossLog {
    /// Takes in what had been lost in all when the counters were read, between the two times.
    fn note(&mut self, begin_ns: i64, end_ns: i64, lost: LostRecords) {
        let records = lost.since(&self.known);
        if records.total() > 0 {
            self.losses.push_back(Loss {
                since_ns: self.last_read_ns,
                until_ns: end_ns,
                records,
            });
            if self.losses.len() > LOSSES_AT_MOST
                && let (Some(oldest), Some(next)) = (self.losses.pop_front(), self.losses.front_mut())
            {
                *next = oldest.joined(next);
            }
        }
        self.known = lost;
        self.last_read_ns = begin_ns;
    }

    fn between(&self, from_ns: i64, to_ns: i64) -> Option<Loss> {
        let overlapping = self
            .losses
            .iter()
            .filter(|loss| loss.since_ns <= to_ns && loss.until_ns >= from_ns);
        overlapping.copied().reduce(|all, loss| all.joined(&loss))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lost(forks: u64, execs_over_share: u64) -> LostRecords {
        let mut lost = LostRecords::default();
        *lost.of_mut(LossReason::RingFull) = [forks, 0, 0, 0, 0, 0];
        *lost.of_mut(LossReason::OverShare) = [0, execs_over_share, 0, 0, 0, 0];
        lost
    }

    #[test]
    fn a_loss_lies_between_two_reads_of_the_counters() {
        let mut log = LossLog::default();
        log.note(10, 11, lost(0, 0));
        log.note(20, 21, lost(3, 0));
        log.note(30, 31, lost(3, 0));
        log.note(40, 41, lost(4, 5));
        let between = |from_ns, to_ns| {
            log.between(from_ns, to_ns)
                .map(|loss| (loss.since_ns, loss.until_ns, loss.records))
        };
        assert_eq!(between(0, 9), None);
        assert_eq!(between(5, 15), Some((10, 21, lost(3, 0))));
        assert_eq!(between(22, 29), None);
        assert_eq!(between(22, 35), Some((30, 41, lost(1, 5))));
        assert_eq!(between(0, 100), Some((10, 41, lost(4, 5))));
    }

    proptest! {
        #[test]
        fn however_many_losses_there_are_none_is_forgotten(numbers in prop::collection::vec(0..3u64, 1..600)) {
            let mut log = LossLog::default();
            let mut total = 0;
            for (time, number) in (1..).zip(&numbers) {
                total += number;
                log.note(time, time, lost(total, 0));
            }
            let all = log.between(0, i64::MAX).map_or(0, |loss| loss.records.total());
            prop_assert_eq!(all, total);
            prop_assert!(log.losses.len() <= LOSSES_AT_MOST);
        }
    }
}
