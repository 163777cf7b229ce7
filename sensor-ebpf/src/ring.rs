//! The ring buffer and its fill.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_NO_WAKEUP},
    macros::map,
    maps::{Array, RingBuf},
};

/// All records. The agent sets the size at load.
#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Whether a record wakes the agent: 0 while the agent polls, as it does under load, because a wake-up costs more than
/// the record it announces.
#[map]
static WAKE_UP: Array<u32> = Array::with_max_entries(1, 0);

/// Copies a record into the ring buffer; returns whether there was room.
#[inline(always)]
pub(crate) fn output(bytes: &[u8]) -> bool {
    let wakes = WAKE_UP.get(0).is_some_and(|wakes| *wakes != 0);
    let flags = if wakes { 0 } else { BPF_RB_NO_WAKEUP };
    RECORDS.output::<[u8]>(bytes, flags.into()).is_ok()
}

/// How many bytes of the ring buffer the agent has not read.
#[inline(always)]
pub(crate) fn unread_bytes() -> u64 {
    RECORDS.query(BPF_RB_AVAIL_DATA.into())
}

/// How many bytes the agent has read since load.
#[inline(always)]
pub(crate) fn read_bytes() -> u64 {
    RECORDS.query(BPF_RB_CONS_POS.into())
}
