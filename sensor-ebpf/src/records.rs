//! The ring buffer, the scratch space in which an exec record is built, and the count of what
//! was lost.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    macros::map,
    maps::{Array, PerCpuArray, ProgramArray, RingBuf},
};
use sensor_abi::{Counters, ExecFixed, KINDS, RecordHead, VARIABLE_LIMIT};

use crate::{
    read::{Address, BLOCK_SIZE},
    share::charge,
};

/// All records. The agent sets the size at load.
#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Sequence numbers and losses of each processor.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// One [`Scratch`] a processor; the agent sets the number of entries. Not a per-CPU map, whose
/// values cannot exceed 32 KiB.
#[map]
static SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);

/// Whether a record wakes the agent: 0 while it looks by itself every so often, as it does when
/// there is much to read. A wake-up costs more than the record that it is for.
#[map]
static WAKE_UP: Array<u32> = Array::with_max_entries(1, 0);

/// The program that sends further arguments, at index 0.
#[map]
pub static CONTINUATION: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Where a record is put together: an exec's fixed part, what follows it in the record, and the
/// state of loops, which the verifier can follow in memory but not in registers.
#[repr(C)]
pub struct Scratch {
    pub exec: ExecFixed,
    pub variable: [u8; VARIABLE_LIMIT],
    /// Structures of the kernel, see [`crate::read::Block`].
    pub credentials: [u64; BLOCK_SIZE / 8],
    pub inode: [u64; BLOCK_SIZE / 8],
    /// How much of `variable` is used.
    pub position: u64,
    /// The walk of a path: where it stands.
    pub mount: u64,
    pub dentry: u64,
    /// What is still to be sent of the exec's arguments and environment.
    pub arguments: Rest,
    pub environment: Rest,
    /// The cgroup of the exec, and the same if its record is to be charged to it.
    pub cgroup: Address,
    pub charged: Address,
}

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

/// The scratch space of this processor. Tracepoint programs run with preemption or at least
/// migration disabled, and the kernel does not enter a program again on a processor that runs it.
#[inline(always)]
pub fn scratch() -> Option<*mut Scratch> {
    // SAFETY: a helper without arguments.
    SCRATCH.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// A head for a record of `kind`, numbered. Every record is sent right after.
#[inline(always)]
pub fn head(kind: u16, flags: u16) -> RecordHead {
    let mut sequence = 0;
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: the pointer is to this processor's own value.
        unsafe {
            (*counters).sequence += 1;
            sequence = (*counters).sequence;
        }
    }
    // SAFETY: helpers without arguments.
    let (cpu, time_ns) = unsafe { (bpf_get_smp_processor_id(), bpf_ktime_get_boot_ns()) };
    RecordHead {
        kind,
        flags,
        cpu,
        sequence,
        time_ns,
    }
}

/// Sends a record and charges it to `cgroup` (0 for none), or counts it as lost; gives whether it
/// was sent.
#[inline(always)]
pub fn send(kind: u16, bytes: &[u8], cgroup: Address) -> bool {
    let wakes = WAKE_UP.get(0).is_some_and(|wakes| *wakes != 0);
    let flags = if wakes { 0 } else { BPF_RB_NO_WAKEUP };
    if RECORDS.output::<[u8]>(bytes, flags.into()).is_ok() {
        charge(cgroup, bytes.len() as u64);
        return true;
    }
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: as in `head`.
        count(unsafe { &mut (*counters).lost_ring_full }, kind);
    }
    false
}

/// Counts a record that is not made, because its cgroup is over its share.
#[inline(always)]
pub fn refuse(kind: u16) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: as in `head`.
        unsafe { (*counters).sequence += 1 };
        // SAFETY: as above.
        count(unsafe { &mut (*counters).lost_over_share }, kind);
    }
}

#[inline(always)]
fn count(counters: &mut [u64; KINDS], kind: u16) {
    if let Some(counter) = counters.get_mut((kind - 1) as usize) {
        *counter += 1;
    }
}

/// How many bytes of the ring buffer the agent has not read.
#[inline(always)]
pub fn unread_bytes() -> u64 {
    RECORDS.query(BPF_RB_AVAIL_DATA.into())
}

/// How many bytes the agent has read since load.
#[inline(always)]
pub fn read_bytes() -> u64 {
    RECORDS.query(BPF_RB_CONS_POS.into())
}
