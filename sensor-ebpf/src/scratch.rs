//! Scratch space: one for each program family, so that no program finds another's work in its own when it goes on.
//!
//! A family's space is this processor's own. Tracepoint programs run with preemption or at least migration disabled, and
//! the kernel does not enter a program again on a processor that runs it.

use aya_ebpf::{
    helpers::generated::bpf_get_smp_processor_id,
    macros::map,
    maps::{Array, PerCpuArray},
};
use sensor_abi::{ARGUMENTS_CHUNK, ArgumentsFixed, ExecFixed, VARIABLE_LIMIT};

use crate::read::{Address, BlockBytes};

/// The credentials that a fork reads.
#[map]
static FORK_SCRATCH: PerCpuArray<BlockBytes> = PerCpuArray::with_max_entries(1, 0);

/// The credentials that an exit reads.
#[map]
static EXIT_SCRATCH: PerCpuArray<BlockBytes> = PerCpuArray::with_max_entries(1, 0);

/// One [`ExecScratch`] a processor; the agent sets the number of entries. Not a per-CPU map, whose
/// values cannot exceed 32 KiB.
#[map]
static EXEC_SCRATCH: Array<ExecScratch> = Array::with_max_entries(1, 0);

/// What an exec hands on to its continuation.
#[map]
static REST_SCRATCH: PerCpuArray<RestScratch> = PerCpuArray::with_max_entries(1, 0);

/// Where an exec's record is put together: the record itself, and the state of loops, which the verifier can follow in
/// memory but not in registers.
#[repr(C)]
pub struct ExecScratch {
    /// The record: its fixed part, and right behind it what varies in length.
    pub exec: ExecFixed,
    pub variable: [u8; VARIABLE_LIMIT],
    /// How much of `variable` is used.
    pub position: u64,
    /// The walk of a path: where it stands.
    pub mount: Address,
    pub dentry: Address,
    /// The exec's cgroup if its record is to be charged to it, or 0.
    pub charged: Address,
    pub credentials: BlockBytes,
    pub inode: BlockBytes,
}

// The record is sent as one piece.
const _: () = assert!(core::mem::offset_of!(ExecScratch, variable) == size_of::<ExecFixed>());

/// Where records of further arguments and of environments are put together.
#[repr(C)]
pub struct RestScratch {
    /// The record: its fixed part, and right behind it the chunk.
    pub record: ArgumentsFixed,
    pub chunk: [u8; ARGUMENTS_CHUNK],
    pub pid: u32,
    /// The exec's cgroup.
    pub cgroup: Address,
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

#[inline(always)]
pub fn fork() -> Option<*mut BlockBytes> {
    FORK_SCRATCH.get_ptr_mut(0)
}

#[inline(always)]
pub fn exit() -> Option<*mut BlockBytes> {
    EXIT_SCRATCH.get_ptr_mut(0)
}

#[inline(always)]
pub fn exec() -> Option<*mut ExecScratch> {
    // SAFETY: a helper without arguments.
    EXEC_SCRATCH.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

#[inline(always)]
pub fn rest() -> Option<*mut RestScratch> {
    REST_SCRATCH.get_ptr_mut(0)
}
