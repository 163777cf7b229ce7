//! Who may send while the ring buffer fills up, so that a container that floods it cannot shut out the others.
//!
//! While there is plenty of room everyone may send, and nothing is counted. Under pressure each owner of cgroups has a
//! share (see [`cgroup_share`]); once it is used up, its execs are sent short, and kinds of records are refused by their
//! [`RecordKind::tier`]. An owner is a container with all cgroups below it, as the agent has told; of other cgroups, the
//! one in the second level.
//!
//! What rules look at costs time by its bytes, so an owner also has an allowance of long arguments, with or without
//! pressure.

use aya_ebpf::{helpers::generated::bpf_ktime_get_boot_ns, macros::map, maps::LruHashMap};
use sensor_abi::{
    CGROUP_V1_KEY, FLAG_CGROUP_V1, KernelLayout, LONG_ARGUMENTS_PER_SECOND, OWNER_LEVELS, OWNERS_LIMIT, RecordKind,
    cgroup_share, long_arguments, pressure_counted_from, short_from,
};

use crate::{
    layout::{layout, ring_buffer_size},
    read::{Address, pointer, read},
    ring::{read_bytes, unread_bytes},
};

/// How many owners are tracked; beyond that, the least recently active ones start over with a fresh share.
const TRACKED: u32 = 1024;
/// The level of the cgroup that is charged where the agent has told of no owner: `/system.slice/NAME.service`,
/// `/user.slice/user-UID.slice`, `/docker/ID`.
const UNKNOWN_OWNER_LEVEL: u32 = 2;

/// What owners sent under pressure, by the key of their cgroup.
#[map]
static USAGE: LruHashMap<u64, Usage> = LruHashMap::with_max_entries(TRACKED, 0);

/// What owners may still send of long arguments, by the key of their cgroup.
#[map]
static ALLOWANCES: LruHashMap<u64, Allowance> = LruHashMap::with_max_entries(TRACKED, 0);

/// By the key of a cgroup the level of the cgroup that owns it: its own, or that of one above it. The agent writes it.
#[map]
static OWNERS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(OWNERS_LIMIT, 0);

/// What an owner has put into the ring buffer lately.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Usage {
    /// Which quarter of a ring buffer the agent was reading when counting began.
    window: u64,
    bytes: u64,
    /// How many of its records were refused since it is tracked.
    refused: u64,
}

/// How many bytes of long arguments an owner might send at a time.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Allowance {
    bytes: u64,
    time_ns: u64,
}

/// How a record may leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Whole,
    /// With less of what is long, for its owner is over its share.
    ShortOverShare,
    /// The same, for there is little room left.
    ShortFilling,
    Refused,
}

/// How a record of `kind` may be sent for a process in `cgroup` (its node, and flags). Sets `charged` to the key of the
/// cgroup to charge, or to 0 if there is no pressure.
#[inline(always)]
pub(crate) fn may_send(kind: RecordKind, cgroup: impl FnOnce() -> (Address, u16), charged: &mut u64) -> Leave {
    *charged = 0;
    let size = ring_buffer_size();
    let unread = unread_bytes();
    if unread < pressure_counted_from(size) {
        return Leave::Whole;
    }
    let (node, flags) = cgroup();
    *charged = owner(node, flags);
    if sent_by(*charged) >= cgroup_share(size) {
        if unread >= kind.tier().refused_from(size) {
            if let Some(usage) = USAGE.get_ptr_mut(*charged) {
                // SAFETY: a pointer to a value of the map, which lives as long as the program runs.
                unsafe { (*usage).refused += 1 };
            }
            return Leave::Refused;
        }
        return Leave::ShortOverShare;
    }
    if unread >= short_from(size) {
        return Leave::ShortFilling;
    }
    Leave::Whole
}

/// Whether so many bytes of arguments may be sent whole for a process in `cgroup` (its node, and flags) although they are
/// longer than what may be sent for every exec; then its owner has used them up. (Processes may race here, as in
/// [`charge`].)
#[inline(always)]
pub(crate) fn may_send_long(bytes: u64, cgroup: (Address, u16)) -> bool {
    let most = long_arguments(ring_buffer_size());
    if bytes > most {
        return false;
    }
    let owner = owner(cgroup.0, cgroup.1);
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let Some(allowance) = ALLOWANCES.get_ptr_mut(owner) else {
        let allowance = Allowance {
            bytes: most - bytes,
            time_ns: now,
        };
        let _ = ALLOWANCES.insert(owner, allowance, 0);
        return true;
    };
    // SAFETY: as in `may_send`.
    unsafe {
        let passed_ms = now.saturating_sub((*allowance).time_ns) / 1_000_000;
        let earned = passed_ms * LONG_ARGUMENTS_PER_SECOND / 1000;
        let left = (*allowance).bytes + earned;
        let left = if left > most { most } else { left };
        if bytes > left {
            return false;
        }
        (*allowance).bytes = left - bytes;
        (*allowance).time_ns = now;
    }
    true
}

/// What names a cgroup: its id, which is unique in its hierarchy.
#[inline(always)]
pub(crate) fn key(id: u64, flags: u16) -> u64 {
    if flags & FLAG_CGROUP_V1 != 0 {
        id | CGROUP_V1_KEY
    } else {
        id
    }
}

/// The key of the cgroup that owns this one.
#[inline(always)]
fn owner(node: Address, flags: u16) -> u64 {
    let cgroup = pointer(node, layout!(node_private));
    let level = read::<u32>(cgroup, layout!(cgroup_level));
    let mut owning = if level > UNKNOWN_OWNER_LEVEL {
        UNKNOWN_OWNER_LEVEL
    } else {
        level
    };
    // From the outside, so that no cgroup that a container makes decides.
    for above in 1..=OWNER_LEVELS {
        if above > level {
            break;
        }
        // SAFETY: a value of the map, which lives as long as the program runs.
        if let Some(told) = unsafe { OWNERS.get(key(ancestor(cgroup, above), flags)) } {
            if *told <= level {
                owning = *told;
            }
            break;
        }
    }
    key(ancestor(cgroup, owning), flags)
}

/// The id of the cgroup above this one, or itself, at a level.
#[inline(always)]
fn ancestor(cgroup: Address, level: u32) -> u64 {
    let place = level as u64 * 8;
    if layout!(cgroup_ancestors) != KernelLayout::ABSENT {
        let above = pointer(cgroup + place, layout!(cgroup_ancestors));
        return read(pointer(above, layout!(cgroup_node)), layout!(node_id));
    }
    if layout!(cgroup_ancestor_ids) != KernelLayout::ABSENT {
        return read(cgroup + place, layout!(cgroup_ancestor_ids));
    }
    read(pointer(cgroup, layout!(cgroup_node)), layout!(node_id))
}

/// Charges a record to an owner, if it was sent under pressure. (Processors may race here; a lost update does no
/// harm.)
#[inline(always)]
pub(crate) fn charge(owner: u64, bytes: u64) {
    if owner == 0 {
        return;
    }
    let window = window();
    match USAGE.get_ptr_mut(owner) {
        // SAFETY: as in `may_send`.
        Some(usage) => unsafe {
            if (*usage).window != window {
                (*usage).window = window;
                (*usage).bytes = 0;
            }
            (*usage).bytes += bytes;
        },
        None => {
            let usage = Usage {
                window,
                bytes,
                refused: 0,
            };
            let _ = USAGE.insert(owner, usage, 0);
        }
    }
}

/// Bytes that an owner sent in the present window.
#[inline(always)]
fn sent_by(owner: u64) -> u64 {
    // SAFETY: as in `may_send`.
    match USAGE.get_ptr_mut(owner) {
        Some(usage) if unsafe { (*usage).window == window() } => unsafe { (*usage).bytes },
        _ => 0,
    }
}

/// Which quarter of a ring buffer the agent is reading, counted since load.
#[inline(always)]
fn window() -> u64 {
    read_bytes() / pressure_counted_from(ring_buffer_size()).max(1)
}
