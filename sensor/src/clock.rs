//! The boot clock, which the kernel's records use, and the wall clock, which events and alerts use.

use nix::time::{ClockId, clock_gettime};

/// The wall clock as it was last looked at, to place times of the boot clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    boot_time_ns: i64,
}

impl WallClock {
    pub(crate) fn read() -> Self {
        WallClock {
            boot_time_ns: boot_time_ns(),
        }
    }

    /// Nanoseconds since the epoch of the boot clock's zero.
    pub(crate) fn boot_time_ns(self) -> i64 {
        self.boot_time_ns
    }

    /// Nanoseconds since the epoch at this time since boot.
    pub(crate) fn at(self, since_boot_ns: u64) -> i64 {
        self.boot_time_ns + since_boot_ns as i64
    }
}

/// The wall-clock time of the boot clock's zero, in nanoseconds since the epoch. It changes when the wall clock is set,
/// so it has to be read again from time to time.
pub(crate) fn boot_time_ns() -> i64 {
    wall_clock_ns() - boot_clock_ns()
}

/// Nanoseconds since the epoch.
pub(crate) fn wall_clock_ns() -> i64 {
    clock_ns(ClockId::CLOCK_REALTIME)
}

/// Nanoseconds since boot, suspended time included.
pub(crate) fn boot_clock_ns() -> i64 {
    clock_ns(ClockId::CLOCK_BOOTTIME)
}

fn clock_ns(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
