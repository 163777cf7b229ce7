//! Scratch space, separate for each program family and processor.
//!
//! A program stays on its processor, and the kernel does not enter it a second time there while it runs; but on newer
//! kernels (7.x) another program can preempt it. So no family touches another's space.

use aya_ebpf::{
    helpers::generated::bpf_get_smp_processor_id,
    macros::map,
    maps::{Array, PerCpuArray},
};
use sensor_abi::{ArgumentsFixed, ExecFixed, FURTHER_CHUNK, OUTERMOST_COMPONENTS, VARIABLE_LIMIT};

use crate::read::{Address, BlockBytes};

/// The credentials that a fork reads.
#[map]
static FORK_SCRATCH: PerCpuArray<BlockBytes> = PerCpuArray::with_max_entries(1, 0);

/// The credentials that an exit reads.
#[map]
static EXIT_SCRATCH: PerCpuArray<BlockBytes> = PerCpuArray::with_max_entries(1, 0);

/// The credentials that a signal reads.
#[map]
static SIGNAL_SCRATCH: PerCpuArray<BlockBytes> = PerCpuArray::with_max_entries(1, 0);

/// One [`ExecScratch`] a processor; the agent sets the number of entries. Not a per-CPU map, whose
/// values cannot exceed 32 KiB.
#[map]
static EXEC_SCRATCH: Array<ExecScratch> = Array::with_max_entries(1, 0);

/// What an exec leaves for its continuation.
#[map]
static REST_SCRATCH: PerCpuArray<RestScratch> = PerCpuArray::with_max_entries(1, 0);

/// Where an exec's record is built, along with the state of loops, which the verifier can track in memory but not in
/// registers.
#[repr(C)]
pub struct ExecScratch {
    /// The record's fixed part, directly followed by what varies in length.
    pub exec: ExecFixed,
    pub variable: [u8; VARIABLE_LIMIT],
    /// How much of `variable` is used.
    pub position: u64,
    /// The walks of the cgroup's path, the executable's, the working directory's and the root's.
    pub walks: [Walk; 4],
    /// How much of a path is told from its innermost component on.
    pub path_limit: u64,
    /// Which of them is finished next, and how many runs that took so far.
    pub walk: u64,
    pub runs: u64,
    /// The record's flags.
    pub flags: u64,
    /// The memory of the process, and its cgroup's node.
    pub mm: Address,
    pub cgroup: Address,
    /// The key of the cgroup to charge for the record, 0 for none.
    pub charged: u64,
    pub credentials: BlockBytes,
    pub inode: BlockBytes,
}

/// The walk from a file, a directory or a cgroup to its root.
#[repr(C)]
pub struct Walk {
    /// Where it has got to; a cgroup's has no mount.
    pub mount: Address,
    pub node: Address,
    pub root_mount: Address,
    pub root_node: Address,
    /// The mount namespace of the process.
    pub namespace: Address,
    pub state: u64,
    /// The bytes of components that are in the record.
    pub length: u64,
    /// How many of them belong to the path's rest, with marks.
    pub rest: u64,
    /// How many components it came by after those, and the last of these.
    pub beyond: u64,
    /// Whether it ended at the root of the mount namespace.
    pub is_outside: u64,
    pub outermost: [Address; OUTERMOST_COMPONENTS],
}

// A record is sent as one slice.
const _: () = assert!(core::mem::offset_of!(ExecScratch, variable) == size_of::<ExecFixed>());

/// Where records of further arguments and of environments are built.
#[repr(C)]
pub struct RestScratch {
    /// The record's fixed part, directly followed by the chunk.
    pub record: ArgumentsFixed,
    pub chunk: [u8; FURTHER_CHUNK],
    pub pid: u32,
    /// The exec's cgroup, and whether it is in a v1 hierarchy.
    pub cgroup: Address,
    pub cgroup_flags: u16,
    /// What is still to be sent.
    pub arguments: Rest,
    pub environment: Rest,
}

const _: () = assert!(core::mem::offset_of!(RestScratch, chunk) == size_of::<ArgumentsFixed>());

/// Memory of a process that is sent in chunks: its beginning up to `head_end`, and what follows
/// `tail_start`. Positions count from `start`.
#[repr(C)]
pub struct Rest {
    pub start: Address,
    pub sent: u64,
    pub head_end: u64,
    pub tail_start: u64,
    pub end: u64,
}

/// For the fork that this processor is handling.
#[inline(always)]
pub(crate) fn fork() -> Option<*mut BlockBytes> {
    FORK_SCRATCH.get_ptr_mut(0)
}

/// For the exit that this processor is handling.
#[inline(always)]
pub(crate) fn exit() -> Option<*mut BlockBytes> {
    EXIT_SCRATCH.get_ptr_mut(0)
}

/// For the signal that this processor is handling.
#[inline(always)]
pub(crate) fn signal() -> Option<*mut BlockBytes> {
    SIGNAL_SCRATCH.get_ptr_mut(0)
}

/// For the exec that this processor is handling.
#[inline(always)]
pub(crate) fn exec() -> Option<*mut ExecScratch> {
    // SAFETY: a helper without arguments.
    EXEC_SCRATCH.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// For what continues an exec on this processor.
#[inline(always)]
pub(crate) fn rest() -> Option<*mut RestScratch> {
    REST_SCRATCH.get_ptr_mut(0)
}
