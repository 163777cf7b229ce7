//! The two clocks: the boot clock of the kernel's records, and the wall clock of what is written.

use nix::time::{ClockId, clock_gettime};

/// The wall-clock time of the boot clock's zero, nanoseconds since the epoch. It moves when the
/// wall clock is set, so it has to be read again now and then.
pub(crate) fn boot_time_ns() -> i64 {
    clock_ns(ClockId::CLOCK_REALTIME) - boot_clock_ns()
}

/// Nanoseconds since boot, suspended time included: the clock of the kernel's records.
pub(crate) fn boot_clock_ns() -> i64 {
    clock_ns(ClockId::CLOCK_BOOTTIME)
}

fn clock_ns(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
