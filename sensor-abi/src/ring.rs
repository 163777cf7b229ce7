//! How cgroups share the ring buffer, what is counted about it, and the limits that the agent sets before load.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{ARGUMENTS_LIMIT, LossReason, RecordKind};
#[cfg(doc)]
use crate::{ENVIRONMENT_LIMIT, Family};

/// What a [`Family`] counts on each processor. `sequence` is also the number of records that it tried to send: each was
/// either put into the ring buffer or is counted here as lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counters {
    pub sequence: u64,
    /// By [`LossReason::index`] and [`RecordKind::index`].
    pub lost: [[u64; RecordKind::COUNT]; LossReason::COUNT],
}

/// The fill, in bytes, from which on it is counted what each cgroup sends.
pub const fn pressure_counted_from(ring_buffer: u32) -> u64 {
    ring_buffer as u64 / 4
}

/// The fill, in bytes, from which on execs are sent short, whoever sends them.
pub const fn short_from(ring_buffer: u32) -> u64 {
    ring_buffer as u64 / 4 * 3
}

/// How many levels of cgroups are searched for an owner, from the outermost on.
pub const OWNER_LEVELS: u32 = 8;

/// How many owned cgroups are told to the kernel side; beyond that, those that were not looked for longest are
/// forgotten.
pub const OWNERS_LIMIT: u32 = 4096;

/// Marks the key of a cgroup in a v1 hierarchy, where ids are the same as elsewhere.
pub const CGROUP_V1_KEY: u64 = 1 << 63;

/// Bytes that a container, or another owner of cgroups, may send under pressure regardless of the others; the count restarts with each quarter of the
/// ring buffer that the agent reads.
pub const fn cgroup_share(ring_buffer: u32) -> u64 {
    ring_buffer as u64 / 16
}

/// The most argument bytes beyond the limit that was set that are sent for one exec, so that one alone causes no pressure.
pub const fn long_arguments(ring_buffer: u32) -> u64 {
    let quarter = pressure_counted_from(ring_buffer);
    if quarter < ARGUMENTS_LIMIT as u64 {
        quarter
    } else {
        ARGUMENTS_LIMIT as u64
    }
}

/// How many bytes of arguments longer than the limit that was set a container, or another owner of cgroups, may send in
/// a second on average. It may send [`long_arguments`] at once.
pub const LONG_ARGUMENTS_PER_SECOND: u64 = 32 * 1024;

/// Limits that the agent sets before load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Limits {
    /// The argument bytes that may be sent for every exec, at most [`ARGUMENTS_LIMIT`].
    pub arguments: u32,
    /// Size of the ring buffer in bytes.
    pub ring_buffer: u32,
    /// The most bytes of the environment to send for one exec, at most [`ENVIRONMENT_LIMIT`]; 0 for
    /// none.
    pub environment: u32,
}
