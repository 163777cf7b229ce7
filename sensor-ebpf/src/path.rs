//! Paths: of a file or directory through the mount tree, and of a cgroup.
//!
//! Components are written last one first, each with its zero byte; the agent reverses them. A walk of a few steps ends
//! in the program that begins it; a longer one is left to a program of its own ([`crate::hooks::exec`]), which also
//! writes the outermost part of a path that is too long to be told whole. What is left out is marked by an empty
//! component, so no path passes for another.

use sensor_abi::{GROUPS_LIMIT, OUTERMOST_COMPONENTS, PATH_LIMIT, STEPS_PER_TAIL_CALL};

use crate::{
    layout::layout,
    read::{Address, bytes, pointer, string},
    scratch::{ExecScratch, Walk},
};

/// A file name of the 255 bytes that most file systems allow, its zero byte, and one byte by which a longer name shows.
const NAME_SIZE: u32 = 257;
/// The path that the kernel was given, and how the kernel itself writes one relative to a descriptor (`/dev/fd/N/..`).
pub const FILENAME_SIZE: u32 = PATH_LIMIT as u32 + 32;
/// VERIFIER: the position is read from memory; the mask proves that it lies in the buffer. The paths and the groups
/// stay below.
const POSITION_MASK: u64 = 0x7fff;
const WALKED_SIZE: usize = PATH_LIMIT + (1 + OUTERMOST_COMPONENTS) * (NAME_SIZE as usize + 1) + 2;
const _: () = assert!(4 * WALKED_SIZE + FILENAME_SIZE as usize + 4 * GROUPS_LIMIT <= POSITION_MASK as usize);
/// VERIFIER: indexes of `Walk::outermost`.
const OUTERMOST_MASK: u64 = OUTERMOST_COMPONENTS as u64 - 1;
const _: () = assert!(OUTERMOST_COMPONENTS.is_power_of_two());

/// A `struct path`.
#[derive(Clone, Copy)]
pub struct Path {
    pub mount: Address,
    pub dentry: Address,
}

/// [`Walk::state`]: it goes on.
const UNDER_WAY: u64 = 0;
/// It has come to the root of the process or of its mount namespace, or of the cgroups.
const ARRIVED: u64 = 1;
/// It has come to the top of something else, which hangs nowhere that the process could see.
const ASTRAY: u64 = 2;
/// It was astray from the beginning: the file is in no directory.
const DETACHED: u64 = 3;
/// What it left out is marked.
const CLOSED: u64 = 4;

/// Appends a string of at most `limit` bytes; returns the number of bytes written, including the zero byte.
#[inline(always)]
pub(crate) fn append_string(scratch: *mut ExecScratch, limit: u32, source: Address) -> u64 {
    // SAFETY: `position & POSITION_MASK` plus `limit` (at most `FILENAME_SIZE`) lies in `variable`.
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

/// Begins the walk from `path` up to `root`, or else to the root of `namespace`, the mount namespace that the process is
/// in; of a cgroup's node, without a mount, up to the root of its hierarchy.
#[inline(always)]
pub(crate) fn begin(walk: *mut Walk, path: Path, root: Path, namespace: Address) {
    // SAFETY: a walk is in this processor's scratch space, here and below; plain reads and writes of it.
    unsafe {
        core::ptr::write_volatile(&raw mut (*walk).mount, path.mount);
        core::ptr::write_volatile(&raw mut (*walk).node, path.dentry);
        core::ptr::write_volatile(&raw mut (*walk).root_mount, root.mount);
        core::ptr::write_volatile(&raw mut (*walk).root_node, root.dentry);
        core::ptr::write_volatile(&raw mut (*walk).namespace, namespace);
        core::ptr::write_volatile(&raw mut (*walk).state, UNDER_WAY);
        core::ptr::write_volatile(&raw mut (*walk).length, 0);
        core::ptr::write_volatile(&raw mut (*walk).rest, 0);
        core::ptr::write_volatile(&raw mut (*walk).beyond, 0);
        core::ptr::write_volatile(&raw mut (*walk).is_outside, 0);
    }
}

/// Takes at most `STEPS` steps, each to a parent or from a mount to where it is mounted, and appends the components.
/// Returns the bytes appended.
#[inline(always)]
pub(crate) fn climb<const STEPS: usize>(scratch: *mut ExecScratch, walk: *mut Walk) -> u32 {
    // SAFETY: as in `begin`.
    let before = unsafe { core::ptr::read_volatile(&raw const (*scratch).position) };
    for _ in 0..STEPS {
        if !step(scratch, walk) {
            break;
        }
    }
    // SAFETY: as in `begin`.
    let after = unsafe { core::ptr::read_volatile(&raw const (*scratch).position) };
    (after - before) as u32
}

/// Goes on with a walk that did not end in the steps that it was given first, and when it ends closes it. Returns
/// whether it has ended.
#[inline(always)]
pub(crate) fn climb_on(scratch: *mut ExecScratch, walk: *mut Walk) -> bool {
    let mut rest = 0;
    if is_under_way(walk) {
        rest += climb::<STEPS_PER_TAIL_CALL>(scratch, walk);
    }
    let has_ended = !is_under_way(walk);
    if has_ended && !is_closed(walk) {
        rest += close(scratch, walk);
    }
    // SAFETY: as in `begin`.
    unsafe { (*walk).rest += rest as u64 };
    has_ended
}

/// Marks that the outermost part is left out of a path whose walk has to end now.
#[inline(always)]
pub(crate) fn give_up(scratch: *mut ExecScratch, walk: *mut Walk) -> u32 {
    if !is_closed(walk) {
        append_mark(scratch);
        // SAFETY: as in `begin`.
        unsafe { (*walk).rest += 1 };
    }
    // SAFETY: as in `begin`.
    unsafe { (*walk).rest as u32 }
}

/// Takes one step; returns whether there may be another.
#[inline(always)]
fn step(scratch: *mut ExecScratch, walk: *mut Walk) -> bool {
    // SAFETY: as in `begin`.
    let (mount, node) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*walk).mount),
            core::ptr::read_volatile(&raw const (*walk).node),
        )
    };
    let (mut name, mut parent) = (layout!(node_name), layout!(node_parent));
    if mount != 0 {
        (name, parent) = (layout!(dentry_name), layout!(dentry_parent));
        // SAFETY: as in `begin`.
        let is_root = unsafe {
            node == core::ptr::read_volatile(&raw const (*walk).root_node)
                && mount == core::ptr::read_volatile(&raw const (*walk).root_mount)
        };
        if is_root {
            return end(walk, ARRIVED);
        }
        if node == pointer(mount, layout!(vfsmount_root)) {
            return leave_mount(scratch, walk, mount, node);
        }
    }
    let parent = pointer(node, parent);
    if mount == 0 && parent == 0 {
        return end(walk, ARRIVED);
    }
    // SAFETY: as in `begin`.
    let is_first = unsafe { core::ptr::read_volatile(&raw const (*walk).length) } == 0;
    append_component(scratch, walk, node, name);
    if parent == node || parent == 0 {
        return end(walk, if is_first { DETACHED } else { ASTRAY });
    }
    // SAFETY: as in `begin`.
    unsafe { core::ptr::write_volatile(&raw mut (*walk).node, parent) };
    true
}

/// Goes on from the root of a mount to where that is mounted.
#[inline(always)]
fn leave_mount(scratch: *mut ExecScratch, walk: *mut Walk, mount: Address, node: Address) -> bool {
    let this = mount - layout!(mount_vfsmount) as u64;
    let parent = pointer(this, layout!(mount_parent));
    if parent != this && parent != 0 {
        let mountpoint = pointer(this, layout!(mount_mountpoint));
        // SAFETY: as in `begin`.
        unsafe {
            core::ptr::write_volatile(&raw mut (*walk).mount, parent + layout!(mount_vfsmount) as u64);
            core::ptr::write_volatile(&raw mut (*walk).node, mountpoint);
        }
        return true;
    }
    // SAFETY: as in `begin`.
    let (namespace, length) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*walk).namespace),
            core::ptr::read_volatile(&raw const (*walk).length),
        )
    };
    // What lies outside of the process's root is still in its mount namespace; the path of anything else says nothing
    // here.
    if namespace != 0 && pointer(this, layout!(mount_namespace)) == namespace {
        // SAFETY: as in `begin`.
        unsafe { core::ptr::write_volatile(&raw mut (*walk).is_outside, 1) };
        return end(walk, ARRIVED);
    }
    if length == 0 {
        append_component(scratch, walk, node, layout!(dentry_name));
        return end(walk, DETACHED);
    }
    end(walk, ASTRAY)
}

#[inline(always)]
fn end(walk: *mut Walk, state: u64) -> bool {
    // SAFETY: as in `begin`.
    unsafe { core::ptr::write_volatile(&raw mut (*walk).state, state) };
    false
}

/// Appends a component, or once the path is too long remembers it, in case it is one of the outermost.
#[inline(always)]
fn append_component(scratch: *mut ExecScratch, walk: *mut Walk, node: Address, name: u32) {
    // SAFETY: as in `begin`; the index is below `OUTERMOST_COMPONENTS`.
    unsafe {
        let length = core::ptr::read_volatile(&raw const (*walk).length);
        if length <= core::ptr::read_volatile(&raw const (*scratch).path_limit) {
            let written = append_name(scratch, pointer(node, name));
            core::ptr::write_volatile(&raw mut (*walk).length, length + written);
            return;
        }
        let beyond = core::ptr::read_volatile(&raw const (*walk).beyond);
        let place = (&raw mut (*walk).outermost)
            .cast::<Address>()
            .add((beyond & OUTERMOST_MASK) as usize);
        core::ptr::write_volatile(place, node);
        core::ptr::write_volatile(&raw mut (*walk).beyond, beyond + 1);
    }
}

/// Whether the walk goes on.
#[inline(always)]
fn is_under_way(walk: *mut Walk) -> bool {
    // SAFETY: as in `begin`.
    unsafe { core::ptr::read_volatile(&raw const (*walk).state) == UNDER_WAY }
}

/// Whether the walk's file is in no directory, so that its name is all there is; then nothing is left out.
#[inline(always)]
pub(crate) fn is_detached(walk: *mut Walk) -> bool {
    // SAFETY: as in `begin`.
    unsafe {
        let is_detached = core::ptr::read_volatile(&raw const (*walk).state) == DETACHED;
        if is_detached {
            end(walk, CLOSED);
        }
        is_detached
    }
}

/// Whether the walk has come to the root of the mount namespace without coming by the process's.
#[inline(always)]
pub(crate) fn is_outside(walk: *mut Walk) -> bool {
    // SAFETY: as in `begin`.
    unsafe { core::ptr::read_volatile(&raw const (*walk).is_outside) != 0 }
}

/// Whether everything that the walk came by is in the record, and what it did not is marked.
#[inline(always)]
pub(crate) fn is_closed(walk: *mut Walk) -> bool {
    // SAFETY: as in `begin`.
    unsafe {
        let state = core::ptr::read_volatile(&raw const (*walk).state);
        state == CLOSED || (state == ARRIVED && core::ptr::read_volatile(&raw const (*walk).beyond) == 0)
    }
}

/// Appends the outermost part of a path that is too long, behind a mark where the middle is left out; or a mark alone if
/// the walk did not arrive. Returns the bytes appended.
#[inline(always)]
fn close(scratch: *mut ExecScratch, walk: *mut Walk) -> u32 {
    // SAFETY: as in `begin`; the index is below `OUTERMOST_COMPONENTS`.
    unsafe {
        let before = core::ptr::read_volatile(&raw const (*scratch).position);
        let has_arrived = core::ptr::read_volatile(&raw const (*walk).state) == ARRIVED;
        let beyond = core::ptr::read_volatile(&raw const (*walk).beyond);
        if !has_arrived || beyond > OUTERMOST_COMPONENTS as u64 {
            append_mark(scratch);
        }
        let name = if core::ptr::read_volatile(&raw const (*walk).mount) == 0 {
            layout!(node_name)
        } else {
            layout!(dentry_name)
        };
        for back in (1..=OUTERMOST_COMPONENTS as u64).rev() {
            if has_arrived && back <= beyond {
                let place = (&raw const (*walk).outermost)
                    .cast::<Address>()
                    .add(((beyond - back) & OUTERMOST_MASK) as usize);
                append_name(scratch, pointer(core::ptr::read_volatile(place), name));
            }
        }
        end(walk, CLOSED);
        (core::ptr::read_volatile(&raw const (*scratch).position) - before) as u32
    }
}

/// Appends a component's name, and a mark if it is too long to be told whole. Returns the bytes appended.
#[inline(always)]
fn append_name(scratch: *mut ExecScratch, name: Address) -> u64 {
    let written = append_string(scratch, NAME_SIZE, name);
    // VERIFIER: 1 if all of `NAME_SIZE` is written, else 0, without a branch in each step of a walk.
    let marks = (written + (511 - NAME_SIZE as u64 + 1)) >> 9;
    put_mark(scratch, marks);
    written + marks
}

/// Appends the empty component that stands for what is left out.
#[inline(always)]
fn append_mark(scratch: *mut ExecScratch) {
    put_mark(scratch, 1);
}

/// Appends one mark, or none.
#[inline(always)]
fn put_mark(scratch: *mut ExecScratch, marks: u64) {
    // SAFETY: as in `append_string`.
    unsafe {
        let position = core::ptr::read_volatile(&raw const (*scratch).position) & POSITION_MASK;
        (&raw mut (*scratch).variable)
            .cast::<u8>()
            .add(position as usize)
            .write_volatile(0);
        (*scratch).position = position + marks;
    }
}
