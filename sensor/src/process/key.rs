//! What names a process.

/// Clock ticks in a second as `/proc` counts them (`USER_HZ`, 100 on every architecture).
const TICKS_PER_SECOND: u64 = 100;
pub(super) const NANOSECONDS_PER_TICK: u64 = 1_000_000_000 / TICKS_PER_SECOND;

/// A process of this boot: its thread group id and when it was created. The time is in the clock
/// ticks of `/proc`, so that events and `/proc` name the same process alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    pub pid: u32,
    pub start_ticks: u64,
}

impl ProcessKey {
    /// Comes before every other one.
    pub(super) const FIRST: ProcessKey = ProcessKey { pid: 0, start_ticks: 0 };

    /// The key of a process that was created `start_ns` nanoseconds after boot.
    pub fn new(pid: u32, start_ns: u64) -> Self {
        let start_ticks = start_ns / NANOSECONDS_PER_TICK;
        ProcessKey { pid, start_ticks }
    }
}
