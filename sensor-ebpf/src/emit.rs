//! Sending records: numbers them, puts them into the ring buffer, and counts those that are lost.

use aya_ebpf::{
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    macros::map,
    maps::PerCpuArray,
};
use sensor_abi::{Counters, Family, LossReason, RecordHead, RecordKind};

use crate::{ring, share::charge};

/// Sequence numbers and losses, by family and processor: so none is written by two programs that may interrupt each
/// other, and numbers stand in the ring buffer in their order.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(Family::COUNT as u32, 0);

/// A numbered head for a record of `kind`, which has to be sent right away.
#[inline(always)]
pub(crate) fn head(kind: RecordKind, flags: u16) -> RecordHead {
    let mut sequence = 0;
    if let Some(counters) = counters(kind) {
        // SAFETY: the pointer is to this family's and processor's own value.
        unsafe {
            (*counters).sequence += 1;
            sequence = (*counters).sequence;
        }
    }
    // SAFETY: helpers without arguments.
    let (cpu, time_ns) = unsafe { (bpf_get_smp_processor_id(), bpf_ktime_get_boot_ns()) };
    RecordHead {
        kind: kind.number(),
        flags,
        cpu,
        sequence,
        time_ns,
    }
}

/// Sends a record and charges it to `owner` (0 for none), or counts it as lost; gives whether it
/// was sent.
#[inline(always)]
pub(crate) fn send(kind: RecordKind, bytes: &[u8], owner: u64) -> bool {
    if ring::output(bytes) {
        charge(owner, bytes.len() as u64);
        return true;
    }
    if let Some(counters) = counters(kind) {
        count(counters, kind, LossReason::RingFull);
    }
    false
}

/// Counts a record that is not built.
#[inline(always)]
pub(crate) fn lose(kind: RecordKind, reason: LossReason) {
    if let Some(counters) = counters(kind) {
        // SAFETY: as in `head`.
        unsafe { (*counters).sequence += 1 };
        count(counters, kind, reason);
    }
}

/// Always there: a per-CPU map has a value for each processor.
#[inline(always)]
fn counters(kind: RecordKind) -> Option<*mut Counters> {
    COUNTERS.get_ptr_mut(kind.family().index() as u32)
}

#[inline(always)]
fn count(counters: *mut Counters, kind: RecordKind, reason: LossReason) {
    // SAFETY: as in `head`; the indices are constants within the arrays.
    unsafe { (*counters).lost[reason.index()][kind.index()] += 1 };
}

/// The bytes of a record of fixed length.
#[inline(always)]
pub(crate) fn bytes_of<T>(record: &T) -> &[u8] {
    // SAFETY: records are `repr(C)` without padding (asserted where they are defined).
    unsafe { core::slice::from_raw_parts((&raw const *record).cast(), size_of::<T>()) }
}
