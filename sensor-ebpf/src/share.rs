//! Who may send while the ring buffer fills up, so that a cgroup that floods it cannot shut out the others.
//!
//! While there is plenty of room everyone may send, and nothing is counted. Under pressure each cgroup has a share (see
//! [`cgroup_share`]); once it is used up, kinds of records are refused by their [`RecordKind::tier`].

use aya_ebpf::{macros::map, maps::LruHashMap};
use sensor_abi::{RecordKind, cgroup_share, pressure_counted_from};

use crate::{
    layout::ring_buffer_size,
    read::Address,
    ring::{read_bytes, unread_bytes},
};

/// How many cgroups are tracked; beyond that, the least recently active ones start over with a fresh share.
const CGROUPS: u32 = 1024;

/// What cgroups sent under pressure, keyed by the address of the cgroup's node, which is unique across v1 hierarchies
/// too.
#[map]
static CGROUP_USAGE: LruHashMap<u64, Usage> = LruHashMap::with_max_entries(CGROUPS, 0);

/// What a cgroup has put into the ring buffer lately.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Usage {
    /// Which quarter of a ring buffer the agent was reading when counting began.
    window: u64,
    bytes: u64,
}

/// Whether a record of `kind` may be sent for a process in `cgroup`. Sets `used` to the cgroup to charge, or to 0 if
/// there is no pressure.
#[inline(always)]
pub(crate) fn may_send(kind: RecordKind, cgroup: impl FnOnce() -> Address, used: &mut Address) -> bool {
    *used = 0;
    let size = ring_buffer_size();
    let unread = unread_bytes();
    if unread < pressure_counted_from(size) {
        return true;
    }
    *used = cgroup();
    unread < kind.tier().refused_from(size) || sent_by(*used) < cgroup_share(size)
}

/// Charges a record to its cgroup, if it was sent under pressure. (Processors may race here; a lost update does no
/// harm.)
#[inline(always)]
pub(crate) fn charge(cgroup: Address, bytes: u64) {
    if cgroup == 0 {
        return;
    }
    let window = window();
    match CGROUP_USAGE.get_ptr_mut(cgroup) {
        // SAFETY: a pointer to a value of the map, which lives as long as the program runs.
        Some(usage) if unsafe { (*usage).window == window } => unsafe { (*usage).bytes += bytes },
        _ => {
            let _ = CGROUP_USAGE.insert(cgroup, Usage { window, bytes }, 0);
        }
    }
}

/// Bytes that a cgroup sent in the present window.
#[inline(always)]
fn sent_by(cgroup: Address) -> u64 {
    // SAFETY: as in `charge`.
    match CGROUP_USAGE.get_ptr_mut(cgroup) {
        Some(usage) if unsafe { (*usage).window == window() } => unsafe { (*usage).bytes },
        _ => 0,
    }
}

/// Which quarter of a ring buffer the agent is reading, counted since load.
#[inline(always)]
fn window() -> u64 {
    read_bytes() / pressure_counted_from(ring_buffer_size()).max(1)
}
