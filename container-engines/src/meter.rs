//! How much work an engine may make by what it says. Whoever says more is read more slowly, and takes nothing from others.
//!
//! Everything that is read of an engine costs as many units as it has bytes, and no step costs less than a certain
//! number, so that saying little at a time is not cheaper. What engines say in an ordinary life is far below the limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an engine may cost in a second, for long.
const UNITS_PER_SECOND: u64 = 2 * 1024 * 1024;
/// What it may cost at once, such as a listing of a thousand containers and a question about each.
const UNITS_AT_ONCE: u64 = 32 * 1024 * 1024;
/// A pause lasts until there is so much again, so that pauses are few.
const UNITS_AFTER_A_PAUSE: u64 = 64 * 1024;

/// The least that reading from a connection costs.
pub(crate) const READ: u64 = 2 * 1024;
/// What an event costs beside its bytes: it may make us change what is known, and ask.
pub(crate) const EVENT: u64 = 2 * 1024;
/// What a question costs beside its answer.
pub(crate) const QUESTION: u64 = 8 * 1024;

/// What one engine has left.
pub(crate) struct Meter {
    balance: Mutex<Balance>,
    pauses: AtomicU64,
}

struct Balance {
    /// Less than nothing if a single step cost more than was there.
    units: i64,
    at: Instant,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            balance: Mutex::new(Balance {
                units: UNITS_AT_ONCE.cast_signed(),
                at: Instant::now(),
            }),
            pauses: AtomicU64::new(0),
        }
    }
}

impl Meter {
    pub(crate) fn spend(&self, units: u64) {
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        balance.units = balance.units.saturating_sub(units.cast_signed());
    }

    /// How long nothing may be read now; counted as a pause.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now.duration_since(balance.at).as_secs_f64() * UNITS_PER_SECOND as f64;
        balance.units = UNITS_AT_ONCE
            .cast_signed()
            .min(balance.units.saturating_add(earned as i64));
        balance.at = now;
        if balance.units > 0 {
            return None;
        }
        self.pauses.fetch_add(1, Ordering::Relaxed);
        let missing = UNITS_AFTER_A_PAUSE.cast_signed() - balance.units;
        Some(Duration::from_secs_f64(missing as f64 / UNITS_PER_SECOND as f64))
    }

    /// Waits until something may be asked or read.
    pub(crate) async fn settle(&self) {
        while let Some(pause) = self.pause(Instant::now()) {
            tokio::time::sleep(pause).await;
        }
    }

    pub(crate) fn pauses(&self) -> u64 {
        self.pauses.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nobody_ever_gets_more_than_the_limits_say(steps in prop::collection::vec((1..200_000_u64, 0..200_u64), 1..300)) {
            let meter = Meter::default();
            let begin = Instant::now();
            let (mut now, mut spent, mut largest) = (begin, 0, 0);
            for (units, milliseconds) in steps {
                now += Duration::from_millis(milliseconds);
                if meter.pause(now).is_none() {
                    meter.spend(units);
                    spent += units;
                    largest = largest.max(units);
                }
                let earned = (now - begin).as_secs_f64() * UNITS_PER_SECOND as f64;
                prop_assert!(spent as f64 <= UNITS_AT_ONCE as f64 + earned + largest as f64 + 1.0);
            }
        }

        #[test]
        fn after_the_pause_something_may_be_read(units in 1..1_000_000_000_u64) {
            let meter = Meter::default();
            let now = Instant::now();
            assert_eq!(meter.pause(now), None);
            meter.spend(UNITS_AT_ONCE + units);
            let pause = meter.pause(now).expect("a pause");
            prop_assert!(meter.pause(now + pause / 2).is_some());
            prop_assert_eq!(meter.pause(now + pause + Duration::from_millis(1)), None);
        }
    }
}
