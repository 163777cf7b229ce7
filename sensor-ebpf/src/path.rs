//! Paths: of a file or directory through the mount tree, and of a cgroup.
//!
//! Components are written last one first, each with its zero byte; the agent reverses them.

use sensor_abi::{FLAG_EXECUTABLE_DETACHED, FLAG_PATH_CUT, GROUPS_LIMIT, PATH_LIMIT};

use crate::{
    layout::layout,
    read::{Address, bytes, pointer, string},
    scratch::ExecScratch,
};

/// Steps of one walk: path components, and mount points on the way.
const PATH_STEPS: u32 = 160;
/// The deepest cgroup that is walked.
const CGROUP_STEPS: u32 = 48;
/// A file name's limit and its zero byte.
const NAME_SIZE: u32 = 256;
/// VERIFIER: the position is read from memory; the mask proves that it lies in the buffer. Four
/// paths of at most `PATH_LIMIT + NAME_SIZE` bytes and the groups stay below.
const POSITION_MASK: u64 = 0x7fff;
const _: () = assert!(4 * (PATH_LIMIT + NAME_SIZE as usize + GROUPS_LIMIT) <= POSITION_MASK as usize);

/// A `struct path`.
#[derive(Clone, Copy)]
pub struct Path {
    pub mount: Address,
    pub dentry: Address,
}

/// Appends a string of at most `limit` bytes; returns the number of bytes written, including the zero byte.
#[inline(always)]
pub(crate) fn append_string(scratch: *mut ExecScratch, limit: u32, source: Address) -> u64 {
    // SAFETY: `position & POSITION_MASK` plus `limit` (at most `PATH_LIMIT`) lies in `variable`.
    unsafe {
        let position = core::ptr::read_volatile(&raw const (*scratch).position) & POSITION_MASK;
        let destination = (&raw mut (*scratch).variable).cast::<u8>().add(position as usize);
        let written = string(destination, limit, source);
        (*scratch).position = position + written;
        written
    }
}

/// Appends `length` bytes of the kernel's memory, at most [`GROUPS_LIMIT`] numbers.
#[inline(always)]
pub(crate) fn append_bytes(scratch: *mut ExecScratch, length: u32, source: Address) {
    // SAFETY: `position & POSITION_MASK` plus `length` lies in `variable`.
    unsafe {
        let position = core::ptr::read_volatile(&raw const (*scratch).position) & POSITION_MASK;
        let destination = (&raw mut (*scratch).variable).cast::<u8>().add(position as usize);
        bytes(destination, length as u64, source);
        (*scratch).position = position + length as u64;
    }
}

/// Appends the components of `path` up to `root`; returns flags and the number of bytes written.
#[inline(always)]
pub(crate) fn append_path(scratch: *mut ExecScratch, path: Path, root: Path) -> (u16, u32) {
    // SAFETY: scratch is this processor's own; plain reads and writes of it, here and below.
    let begin = unsafe { core::ptr::read_volatile(&raw const (*scratch).position) };
    // SAFETY: see above.
    unsafe {
        core::ptr::write_volatile(&raw mut (*scratch).mount, path.mount);
        core::ptr::write_volatile(&raw mut (*scratch).dentry, path.dentry);
    }
    let mut flags = FLAG_PATH_CUT;
    for _ in 0..PATH_STEPS {
        // SAFETY: see above.
        let (mount, dentry) = unsafe {
            (
                core::ptr::read_volatile(&raw const (*scratch).mount),
                core::ptr::read_volatile(&raw const (*scratch).dentry),
            )
        };
        if dentry == root.dentry && mount == root.mount {
            flags = 0;
            break;
        }
        if dentry == pointer(mount, layout!(vfsmount_root)) {
            let this = mount - layout!(mount_vfsmount) as u64;
            let parent = pointer(this, layout!(mount_parent));
            if parent == this || parent == 0 {
                flags = 0;
                // The file is itself the root of a mount that is attached nowhere.
                if length_since(scratch, begin) == 0 {
                    append_string(scratch, NAME_SIZE, pointer(dentry, layout!(dentry_name)));
                    flags = FLAG_EXECUTABLE_DETACHED;
                }
                break;
            }
            let parent = parent + layout!(mount_vfsmount) as u64;
            let mountpoint = pointer(this, layout!(mount_mountpoint));
            // SAFETY: see above.
            unsafe {
                core::ptr::write_volatile(&raw mut (*scratch).mount, parent);
                core::ptr::write_volatile(&raw mut (*scratch).dentry, mountpoint);
            }
            continue;
        }
        append_string(scratch, NAME_SIZE, pointer(dentry, layout!(dentry_name)));
        let parent = pointer(dentry, layout!(dentry_parent));
        if parent == dentry || parent == 0 {
            flags = FLAG_EXECUTABLE_DETACHED;
            break;
        }
        if !climb(scratch, parent, begin) {
            break;
        }
    }
    (flags, length_since(scratch, begin))
}

/// Appends the components of a cgroup's path; returns flags and the number of bytes written.
#[inline(always)]
pub(crate) fn append_cgroup(scratch: *mut ExecScratch, node: Address) -> (u16, u32) {
    // SAFETY: as in `append_path`.
    let begin = unsafe { core::ptr::read_volatile(&raw const (*scratch).position) };
    // SAFETY: see above.
    unsafe { core::ptr::write_volatile(&raw mut (*scratch).dentry, node) };
    let mut flags = FLAG_PATH_CUT;
    for _ in 0..CGROUP_STEPS {
        // SAFETY: see above.
        let node = unsafe { core::ptr::read_volatile(&raw const (*scratch).dentry) };
        let parent = pointer(node, layout!(node_parent));
        if parent == 0 {
            flags = 0;
            break;
        }
        append_string(scratch, NAME_SIZE, pointer(node, layout!(node_name)));
        if !climb(scratch, parent, begin) {
            break;
        }
    }
    (flags, length_since(scratch, begin))
}

/// Moves on to `parent`; returns whether there is room for another component.
#[inline(always)]
fn climb(scratch: *mut ExecScratch, parent: Address, begin: u64) -> bool {
    // SAFETY: a plain write to this processor's scratch space.
    unsafe { core::ptr::write_volatile(&raw mut (*scratch).dentry, parent) };
    length_since(scratch, begin) <= PATH_LIMIT as u32
}

#[inline(always)]
fn length_since(scratch: *mut ExecScratch, begin: u64) -> u32 {
    // SAFETY: a plain read of this processor's scratch space.
    let end = unsafe { core::ptr::read_volatile(&raw const (*scratch).position) };
    (end - begin) as u32
}
