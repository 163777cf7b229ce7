//! The processes that run when the sensor starts, for one whose `/proc` numbers them otherwise than the kernel does: an
//! iterator over tasks (Linux 5.8 and later), which the agent reads once. It goes over those of the reader's pid namespace.

use aya_ebpf::{
    bindings::seq_file,
    helpers::{bpf_get_current_task, generated::bpf_seq_write},
};
use sensor_abi::{TASK_CGROUP_CUT, TASK_CGROUP_LEVELS, TASK_NAME_BYTES, TaskRecord};

use crate::{
    layout::layout,
    read::{Address, pointer, read, string},
    task::{cgroup_node, linked_pid},
};

/// `struct bpf_iter__task`, Linux 5.8 to 7.2.
#[repr(C)]
pub struct Context {
    meta: *const Meta,
    /// Null at the end.
    task: *const u8,
}

/// `struct bpf_iter_meta`.
#[repr(C)]
struct Meta {
    file: *mut seq_file,
}

/// `iter/task`, Linux 5.8 to 7.2: writes a process, if the task is its first thread.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn running_process(context: *const Context) -> i32 {
    // SAFETY: the kernel hands in a context of this form; the pointers in it are read as they stand.
    let (task, file) = unsafe {
        let meta = core::ptr::read_volatile(&raw const (*context).meta);
        let task = core::ptr::read_volatile(&raw const (*context).task);
        (task as Address, core::ptr::read_volatile(&raw const (*meta).file))
    };
    if task == 0 || read::<u32>(task, layout!(task_pid)) != read::<u32>(task, layout!(task_tgid)) {
        return 0;
    }
    let parent = pointer(task, layout!(task_real_parent));
    let signal = pointer(task, layout!(task_signal));
    let record = TaskRecord {
        start_ns: read(task, layout!(task_start)),
        parent_start_ns: read(pointer(parent, layout!(task_group_leader)), layout!(task_start)),
        pid: read(task, layout!(task_tgid)),
        parent_pid: read(parent, layout!(task_tgid)),
        session_pid: linked_pid(signal, layout!(pid_type_session)),
        group_pid: linked_pid(signal, layout!(pid_type_group)),
        visible_pid: visible_pid(task),
        reserved: 0,
    };
    // SAFETY: the record is as long as stated. What does not fit is written again, once the file was read.
    unsafe { bpf_seq_write(file, (&raw const record).cast(), size_of::<TaskRecord>() as u32) };
    write_cgroup(file, cgroup_node(task).0);
    0
}

/// The pid of a process in the pid namespace of the one that reads, which it is in or below.
#[inline(always)]
fn visible_pid(task: Address) -> u32 {
    // SAFETY: a helper without arguments.
    let reader = unsafe { bpf_get_current_task() };
    let level = read::<u32>(pointer(reader, layout!(task_thread_pid)), layout!(pid_level)) as u64;
    let numbers = pointer(task, layout!(task_thread_pid)) + layout!(pid_numbers) as u64;
    read(numbers + level * layout!(upid_size) as u64, layout!(upid_number))
}

/// Writes the names of a cgroup and of those above it.
#[inline(always)]
fn write_cgroup(file: *mut seq_file, node: Address) {
    let mut node = node;
    let mut name = [0u8; TASK_NAME_BYTES];
    for _ in 0..TASK_CGROUP_LEVELS {
        let parent = pointer(node, layout!(node_parent));
        if parent == 0 {
            break;
        }
        // SAFETY: the name is as long as stated, here and below, and no more of it is written.
        unsafe {
            let length = string(
                name.as_mut_ptr(),
                TASK_NAME_BYTES as u32,
                pointer(node, layout!(node_name)),
            );
            bpf_seq_write(file, name.as_ptr().cast(), length as u32 & 0xff);
        }
        node = parent;
    }
    let is_whole = pointer(node, layout!(node_parent)) == 0;
    let end = [0, if is_whole { 0 } else { TASK_CGROUP_CUT }];
    // SAFETY: as above.
    unsafe { bpf_seq_write(file, end.as_ptr().cast(), 2) };
}
