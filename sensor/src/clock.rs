//! The boot clock, which the kernel's records use, and the wall clock, which events and alerts use.

use nix::time::{ClockId, clock_gettime};

/// The wall-clock time of the boot clock's zero, in nanoseconds since the epoch. It changes when the wall clock is set, so
/// it has to be read again from time to time.
pub(crate) fn boot_time_ns() -> i64 {
    clock_ns(ClockId::CLOCK_REALTIME) - boot_clock_ns()
}

/// Nanoseconds since boot, suspended time included.
pub(crate) fn boot_clock_ns() -> i64 {
    clock_ns(ClockId::CLOCK_BOOTTIME)
}

fn clock_ns(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
