//! Whether the kernel side's counters can be what it counted itself. Whoever may load programs of their own can write
//! them, to hide what was lost.
//!
//! Pure: it is given what was read.

use crate::telemetry::counts::{DecodeCounts, KernelCounts};

/// Compares each read of the counters with the one before, and with what came.
#[derive(Default)]
pub(super) struct CounterWatch {
    last: KernelCounts,
}

impl CounterWatch {
    /// Whether the counters, read after everything that `decode` counts, are plausible: none went backwards, and what is
    /// missing by its number was counted as lost, which happens before the next number is given.
    pub(super) fn is_plausible(&mut self, counts: KernelCounts, decode: &DecodeCounts) -> bool {
        let backwards = is_less(produced(&counts), produced(&self.last)) || is_less(lost(&counts), lost(&self.last));
        let is_accounted_for = decode.gaps <= counts.lost.total_numbered();
        self.last = counts;
        !backwards && is_accounted_for
    }
}

fn produced(counts: &KernelCounts) -> impl Iterator<Item = u64> {
    counts.produced.iter().flat_map(|(_, numbers)| *numbers)
}

fn lost(counts: &KernelCounts) -> impl Iterator<Item = u64> {
    counts.lost.0.into_iter().flatten()
}

/// Whether any number is less than the one in its place; none is where nothing was read yet.
fn is_less(after: impl Iterator<Item = u64>, before: impl Iterator<Item = u64>) -> bool {
    after.zip(before).any(|(after, before)| after < before)
}

#[cfg(test)]
mod tests {
    use sensor_abi::LossReason;

    use super::*;
    use crate::telemetry::counts::LostRecords;

    fn counts(produced: u64, lost: u64) -> KernelCounts {
        let mut all = LostRecords::default();
        all.of_mut(LossReason::RingFull)[0] = lost;
        KernelCounts {
            produced: vec![(0, [produced, 0, 0, 0]), (8, [1, 2, 3, 4])],
            lost: all,
        }
    }

    fn gaps(gaps: u64) -> DecodeCounts {
        DecodeCounts {
            gaps,
            ..DecodeCounts::default()
        }
    }

    #[test]
    fn counters_that_grow_and_explain_what_is_missing_are_plausible() {
        let mut watch = CounterWatch::default();
        assert!(watch.is_plausible(counts(7, 2), &gaps(2)));
        // A loss shows before the next number does.
        assert!(watch.is_plausible(counts(9, 5), &gaps(2)));
        assert!(watch.is_plausible(counts(9, 5), &gaps(5)));
    }

    #[test]
    fn counters_that_went_back_or_hide_a_loss_are_not() {
        for (after, missing) in [(counts(6, 2), 2), (counts(7, 1), 0), (counts(7, 2), 3)] {
            let mut watch = CounterWatch::default();
            assert!(watch.is_plausible(counts(7, 2), &gaps(0)));
            assert!(!watch.is_plausible(after, &gaps(missing)));
        }
    }
}
