//! Sending records: numbers them, puts them into the ring buffer, and counts those that are lost.

use aya_ebpf::{
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    macros::map,
    maps::PerCpuArray,
};
use sensor_abi::{Counters, RecordHead, RecordKind};

use crate::{ring, share::charge};

/// Sequence numbers and losses of each processor.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// A numbered head for a record of `kind`, which has to be sent right away.
#[inline(always)]
pub(crate) fn head(kind: RecordKind, flags: u16) -> RecordHead {
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
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: as in `head`.
        count(unsafe { &mut (*counters).lost_ring_full }, kind);
    }
    false
}

/// Counts a record that is not built because its cgroup is over its share.
#[inline(always)]
pub(crate) fn refuse(kind: RecordKind) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: as in `head`.
        unsafe { (*counters).sequence += 1 };
        // SAFETY: as above.
        count(unsafe { &mut (*counters).lost_over_share }, kind);
    }
}

#[inline(always)]
fn count(counters: &mut [u64; RecordKind::COUNT], kind: RecordKind) {
    if let Some(counter) = counters.get_mut(kind.index()) {
        *counter += 1;
    }
}

/// The bytes of a record of fixed length.
#[inline(always)]
pub(crate) fn bytes_of<T>(record: &T) -> &[u8] {
    // SAFETY: records are `repr(C)` without padding (asserted where they are defined).
    unsafe { core::slice::from_raw_parts((&raw const *record).cast(), size_of::<T>()) }
}
