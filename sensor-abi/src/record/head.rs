//! What every record begins with.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first bytes of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RecordHead {
    /// [`crate::RecordKind::number`].
    pub kind: u16,
    /// `FLAG_*` of an exec and of what continues it; of other kinds 0.
    pub flags: u16,
    /// The processor that wrote the record.
    pub cpu: u32,
    /// Counts the records of this processor and [family](crate::RecordKind::family) from 1, those that were lost
    /// included.
    pub sequence: u64,
    /// Nanoseconds since boot, suspended time included (`CLOCK_BOOTTIME`).
    pub time_ns: u64,
}
