//! What the iterator over tasks writes of each process that runs; in no ring buffer, but read as a file is.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The longest name of a cgroup that is written, with its zero byte; a longer one is cut.
pub const TASK_NAME_BYTES: usize = 255;
/// The most names of cgroups that are written; those above are left out.
pub const TASK_CGROUP_LEVELS: usize = 32;
/// What follows the names of a cgroup that is deeper.
pub const TASK_CGROUP_CUT: u8 = 1;

/// A process. The names of its cgroup follow, last one first, each with its zero byte, and after them an empty name and a
/// byte that is [`TASK_CGROUP_CUT`] if names were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskRecord {
    /// Nanoseconds since boot.
    pub start_ns: u64,
    pub parent_start_ns: u64,
    /// In the first pid namespace, as all that follow but one.
    pub pid: u32,
    pub parent_pid: u32,
    pub session_pid: u32,
    pub group_pid: u32,
    /// As whoever reads numbers it.
    pub visible_pid: u32,
    pub reserved: u32,
}
