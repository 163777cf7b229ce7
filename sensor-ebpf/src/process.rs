//! The process hooks: fork, exec and exit of thread groups.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext};
use sensor_abi::{
    ARGUMENTS_CHUNK, ArgumentsFixed, CHUNKS_PER_TAIL_CALL, Descriptor, ExecFixed, ExitRecord, FLAG_ARGUMENTS_CONTINUE,
    FLAG_ARGUMENTS_CUT, FLAG_ARGUMENTS_UNREADABLE, FLAG_CGROUP_V1, FLAG_ENVIRONMENT_FOLLOWS, FLAG_EXECUTABLE_DELETED,
    FLAG_EXECUTABLE_DETACHED, FLAG_EXECUTABLE_UPPER, FLAG_PATH_CUT, FLAG_SCRIPT, FileIdentity, ForkRecord,
    GROUPS_LIMIT, KIND_ARGUMENTS, KIND_ENVIRONMENT, KIND_EXEC, KIND_EXIT, KIND_FORK, KernelLayout, Namespaces,
    OVERLAY_MAGIC, PATH_LIMIT, ProcessFixed, VARIABLE_LIMIT, arguments_tail,
};

use crate::{
    layout::{arguments_limit, environment_limit, layout},
    path::{Path, append_bytes, append_cgroup, append_path, append_string},
    read::{Address, Block, pointer, read, read_optional, user_bytes},
    records::{CONTINUATION, Rest, Scratch, head, refuse, scratch, send},
    share::admits,
};

/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)`, Linux 5.10 to 7.2. Runs
/// before the child does. A new thread is not a process.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let child: *const u8 = ctx.arg(1);
    let child = child as Address;
    if read::<u32>(child, layout!(task_pid)) != read::<u32>(child, layout!(task_tgid)) {
        return 0;
    }
    let Some(scratch) = scratch() else { return 0 };
    let mut charged = 0;
    if !admits(KIND_FORK, || cgroup_node(child).0, &mut charged) {
        refuse(KIND_FORK);
        return 0;
    }
    let record = ForkRecord {
        head: head(KIND_FORK, 0),
        process: process(child, credentials(scratch, child)),
        // SAFETY: a helper without arguments.
        creator_pid: unsafe { bpf_get_current_pid_tgid() >> 32 } as u32,
        reserved: 0,
    };
    send(KIND_FORK, bytes_of(&record), charged);
    0
}

/// `TP_PROTO(struct task_struct *p)`, Linux 5.10 to 7.2 (from 6.16 on with a second argument,
/// `bool group_dead`, which older kernels lack). The count of live threads is already down, so
/// threads that end at the same time may all find it at 0; the agent takes the first record.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    let task = task as Address;
    let signal = pointer(task, layout!(task_signal));
    if read::<u32>(signal, layout!(signal_live)) != 0 {
        return 0;
    }
    let Some(scratch) = scratch() else { return 0 };
    let mut charged = 0;
    if !admits(KIND_EXIT, || cgroup_node(task).0, &mut charged) {
        refuse(KIND_EXIT);
        return 0;
    }
    let group_status = read::<u32>(signal, layout!(signal_group_exit_code));
    let leader = pointer(task, layout!(task_group_leader));
    let wait_status = if group_status != 0 {
        group_status
    } else {
        read::<u32>(leader, layout!(task_exit_code))
    };
    let record = ExitRecord {
        head: head(KIND_EXIT, 0),
        process: process(leader, credentials(scratch, leader)),
        wait_status,
        reserved: 0,
    };
    send(KIND_EXIT, bytes_of(&record), charged);
    0
}

/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, Linux 5.10 to
/// 7.2. The new image is in place; the thread that called exec is the thread group leader now.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    let bprm: *const u8 = ctx.arg(2);
    let Some(scratch) = scratch() else { return 0 };
    // SAFETY: scratch is this processor's own.
    let charged = unsafe { &mut (*scratch).charged };
    if !admits(KIND_EXEC, || cgroup_node(task as Address).0, charged) {
        refuse(KIND_EXEC);
        return 0;
    }
    exec(task as Address, bprm as Address, scratch);
    if has_more(scratch) {
        // SAFETY: a failed tail call comes back here, and the agent sees that the rest is missing.
        unsafe { CONTINUATION.tail_call(&ctx, 0) };
    }
    0
}

/// Sends arguments that did not fit into the exec's record, and the environment; runs as its tail
/// call, and as its own.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec_arguments(ctx: BtfTracePointContext) -> i32 {
    let Some(scratch) = scratch() else { return 0 };
    for _ in 0..CHUNKS_PER_TAIL_CALL {
        if !send_more(scratch) {
            return 0;
        }
    }
    // SAFETY: as in `process_exec`.
    unsafe { CONTINUATION.tail_call(&ctx, 0) };
    0
}

/// Puts the exec's record together and sends it. (Each step writes to the scratch space of this
/// processor, which nothing else touches while the program runs.)
#[inline(always)]
fn exec(task: Address, bprm: Address, scratch: *mut Scratch) {
    // SAFETY: see above.
    unsafe { (*scratch).position = 0 };
    let mm = pointer(task, layout!(task_mm));
    let fs = pointer(task, layout!(task_fs));
    let root = Path {
        mount: pointer(fs, layout!(fs_root_mount)),
        dentry: pointer(fs, layout!(fs_root_dentry)),
    };
    let file = pointer(mm, layout!(mm_executable));
    let dentry = pointer(file, layout!(file_dentry));
    let executable = Path {
        mount: pointer(file, layout!(file_mount)),
        dentry,
    };
    let (file_identity, file_flags) = file_identity(scratch, pointer(file, layout!(file_inode)));
    let (mut flags, executable_length) = append_path(scratch, executable, root);
    flags |= file_flags;
    if pointer(dentry, layout!(dentry_hash)) == 0 && flags & FLAG_EXECUTABLE_DETACHED == 0 {
        flags |= FLAG_EXECUTABLE_DELETED;
    }
    let directory = Path {
        mount: pointer(fs, layout!(fs_directory_mount)),
        dentry: pointer(fs, layout!(fs_directory_dentry)),
    };
    let (directory_flags, directory_length) = append_path(scratch, directory, root);
    flags |= directory_flags & FLAG_PATH_CUT;

    let (node, cgroup_flags) = cgroup_node(task);
    let (walk_flags, cgroup_length) = append_cgroup(scratch, node);
    flags |= cgroup_flags | walk_flags;
    // SAFETY: see above.
    unsafe { (*scratch).cgroup = node };

    let filename = pointer(bprm, layout!(bprm_filename));
    if pointer(bprm, layout!(bprm_interpreter)) != filename {
        flags |= FLAG_SCRIPT;
    }
    let filename_length = append_string(scratch, PATH_LIMIT as u32, filename) as u32;

    let credentials = credentials(scratch, task);
    let (groups_length, groups_total) = append_groups(scratch, credentials);

    let start = pointer(mm, layout!(mm_arguments_start));
    let total = pointer(mm, layout!(mm_arguments_end)) - start;
    let limit = arguments_limit();
    let (head_end, tail_start) = if total > limit {
        flags |= FLAG_ARGUMENTS_CUT;
        let tail = arguments_tail(limit as u32) as u64;
        (limit - tail, total - tail)
    } else {
        (total, total)
    };
    let mut length = if head_end > ARGUMENTS_CHUNK as u64 {
        ARGUMENTS_CHUNK as u64
    } else {
        head_end
    };
    if length < total {
        flags |= FLAG_ARGUMENTS_CONTINUE;
    }
    let environment_start = pointer(mm, layout!(mm_environment_start));
    let mut environment_end = 0;
    if environment_limit() != 0 {
        environment_end = pointer(mm, layout!(mm_environment_end)) - environment_start;
        if environment_end != 0 {
            flags |= FLAG_ENVIRONMENT_FOLLOWS;
        }
    }
    // SAFETY: see above; `position` is masked below `VARIABLE_LIMIT - ARGUMENTS_CHUNK`.
    let readable = unsafe {
        let position = core::ptr::read_volatile(&raw const (*scratch).position) & 0x7fff;
        (*scratch).position = position;
        let destination = (&raw mut (*scratch).variable).cast::<u8>().add(position as usize);
        user_bytes(destination, length, start)
    };
    if !readable {
        flags = (flags & !(FLAG_ARGUMENTS_CONTINUE | FLAG_ENVIRONMENT_FOLLOWS)) | FLAG_ARGUMENTS_UNREADABLE;
        length = 0;
        environment_end = 0;
    }

    // SAFETY: see above.
    unsafe {
        (*scratch).arguments = Rest {
            start,
            sent: length,
            head_end,
            tail_start,
            end: if readable { total } else { 0 },
        };
        (*scratch).environment = Rest {
            start: environment_start,
            sent: 0,
            head_end: environment_end,
            tail_start: environment_end,
            end: environment_end,
        };
        let exec = &raw mut (*scratch).exec;
        (*exec).head = head(KIND_EXEC, flags);
        (*exec).process = process(task, credentials);
        (*exec).descriptors = descriptors(task);
        (*exec).namespaces = namespaces(task, credentials);
        (*exec).executable_length = executable_length;
        (*exec).file = file_identity;
        (*exec).ambient_capabilities = credentials.get(layout!(cred_ambient));
        (*exec).directory_length = directory_length;
        (*exec).cgroup_length = cgroup_length;
        (*exec).filename_length = filename_length;
        (*exec).groups_length = groups_length;
        (*exec).groups_total = groups_total;
        (*exec).arguments_length = length as u32;
        (*exec).arguments_total = total as u32;
        (*exec).reserved = 0;
        let mut used = core::ptr::read_volatile(&raw const (*scratch).position) + length;
        if used > VARIABLE_LIMIT as u64 {
            used = VARIABLE_LIMIT as u64;
        }
        let sent = send(
            KIND_EXEC,
            core::slice::from_raw_parts(exec.cast(), size_of::<ExecFixed>() + used as usize),
            core::ptr::read_volatile(&raw const (*scratch).charged),
        );
        if !sent {
            // Nobody could tell what further arguments belong to.
            (*scratch).arguments.end = 0;
            (*scratch).environment.end = 0;
        }
    }
}

/// Whether something of the exec is still to be sent.
#[inline(always)]
fn has_more(scratch: *mut Scratch) -> bool {
    // SAFETY: scratch is this processor's own.
    unsafe {
        let (arguments, environment) = (&raw const (*scratch).arguments, &raw const (*scratch).environment);
        core::ptr::read_volatile(&raw const (*arguments).sent) < core::ptr::read_volatile(&raw const (*arguments).end)
            || core::ptr::read_volatile(&raw const (*environment).sent)
                < core::ptr::read_volatile(&raw const (*environment).end)
    }
}

/// Sends the next chunk of the arguments, or else of the environment; gives whether there is more.
#[inline(always)]
fn send_more(scratch: *mut Scratch) -> bool {
    // SAFETY (whole function): scratch is this processor's own; the chunk and its head lie within
    // `variable`, whose content was sent.
    unsafe {
        let mut kind = KIND_ARGUMENTS;
        let mut rest = &raw mut (*scratch).arguments;
        let mut cut = 0;
        if core::ptr::read_volatile(&raw const (*rest).sent) >= core::ptr::read_volatile(&raw const (*rest).end) {
            kind = KIND_ENVIRONMENT;
            rest = &raw mut (*scratch).environment;
        }
        let mut sent = core::ptr::read_volatile(&raw const (*rest).sent);
        let head_end = core::ptr::read_volatile(&raw const (*rest).head_end);
        let tail_start = core::ptr::read_volatile(&raw const (*rest).tail_start);
        let mut end = core::ptr::read_volatile(&raw const (*rest).end);
        if kind == KIND_ENVIRONMENT && end > environment_limit() {
            end = environment_limit();
            cut = FLAG_ARGUMENTS_CUT;
        }
        if sent >= end {
            return false;
        }
        let mut charged = 0;
        if !admits(kind, || (*scratch).cgroup, &mut charged) {
            refuse(kind);
            return false;
        }
        if sent == head_end {
            sent = tail_start;
        }
        let stop = if sent < head_end && head_end < end {
            head_end
        } else {
            end
        };
        let mut length = stop - sent;
        if length > ARGUMENTS_CHUNK as u64 {
            length = ARGUMENTS_CHUNK as u64;
        }
        let mut flags = cut;
        if sent + length < end {
            flags |= FLAG_ARGUMENTS_CONTINUE;
        }
        let record = (&raw mut (*scratch).variable).cast::<ArgumentsFixed>();
        if !user_bytes(record.add(1).cast(), length, (*rest).start + sent) {
            flags = FLAG_ARGUMENTS_UNREADABLE;
            length = 0;
            (*scratch).arguments.end = 0;
            (*scratch).environment.end = 0;
        }
        (*record).head = head(kind, flags);
        (*record).pid = (*scratch).exec.process.pid;
        (*record).offset = sent as u32;
        (*record).length = length as u32;
        (*record).reserved = 0;
        (*rest).sent = sent + length;
        let sent = send(
            kind,
            core::slice::from_raw_parts(record.cast(), size_of::<ArgumentsFixed>() + length as usize),
            charged,
        );
        sent && has_more(scratch)
    }
}

/// What every record says of a process; `task` is any of its threads.
#[inline(always)]
fn process(task: Address, credentials: Block) -> ProcessFixed {
    let leader = pointer(task, layout!(task_group_leader));
    let parent = pointer(task, layout!(task_real_parent));
    let parent_leader = pointer(parent, layout!(task_group_leader));
    let signal = pointer(task, layout!(task_signal));
    let thread_pid = pointer(leader, layout!(task_thread_pid));
    let (default_node, _) = default_cgroup_node(task);
    ProcessFixed {
        start_ns: read(leader, layout!(task_start)),
        parent_start_ns: read(parent_leader, layout!(task_start)),
        cgroup_id: read(default_node, layout!(node_id)),
        pid: read(task, layout!(task_tgid)),
        namespace_pid: read(own_upid(thread_pid), layout!(upid_number)),
        parent_pid: read(parent, layout!(task_tgid)),
        group_pid: linked_pid(signal, layout!(pid_type_group)),
        session_pid: linked_pid(signal, layout!(pid_type_session)),
        terminal: terminal(signal),
        uid: credentials.get(layout!(cred_uid)),
        gid: credentials.get(layout!(cred_gid)),
        saved_uid: credentials.get(layout!(cred_suid)),
        saved_gid: credentials.get(layout!(cred_sgid)),
        effective_uid: credentials.get(layout!(cred_euid)),
        effective_gid: credentials.get(layout!(cred_egid)),
        permitted_capabilities: credentials.get(layout!(cred_permitted)),
        effective_capabilities: credentials.get(layout!(cred_effective)),
    }
}

/// The `struct cred` of a process.
#[inline(always)]
fn credentials(scratch: *mut Scratch, task: Address) -> Block {
    // SAFETY: scratch is this processor's own, and one task's credentials are read at a time.
    let bytes = unsafe { &raw mut (*scratch).credentials };
    Block::read(bytes, pointer(task, layout!(task_cred)))
}

/// Appends the ids of supplementary groups; gives the bytes written and how many groups there are.
#[inline(always)]
fn append_groups(scratch: *mut Scratch, credentials: Block) -> (u32, u32) {
    let groups: Address = credentials.get(layout!(cred_groups));
    let total = read::<u32>(groups, layout!(groups_count));
    if total == 0 {
        return (0, 0);
    }
    let count = if total > GROUPS_LIMIT as u32 {
        GROUPS_LIMIT as u32
    } else {
        total
    };
    let length = count * 4;
    append_bytes(scratch, length, groups + layout!(groups_ids) as u64);
    (length, total)
}

/// Which file runs, by its inode; with [`FLAG_EXECUTABLE_UPPER`] where it applies.
#[inline(always)]
fn file_identity(scratch: *mut Scratch, inode: Address) -> (FileIdentity, u16) {
    // SAFETY: scratch is this processor's own, and one inode is read at a time.
    let block = Block::read(unsafe { &raw mut (*scratch).inode }, inode);
    let file_system: Address = block.get(layout!(inode_file_system));
    let identity = FileIdentity {
        inode: block.get(layout!(inode_number)),
        device: read(file_system, layout!(file_system_device)),
        file_system: read(file_system, layout!(file_system_magic)),
        mode: block.get::<u16>(layout!(inode_mode)) as u32,
        uid: block.get(layout!(inode_uid)),
        gid: block.get(layout!(inode_gid)),
        links: block.get(layout!(inode_links)),
    };
    let is_upper = identity.file_system == OVERLAY_MAGIC && pointer(inode, layout!(inode_size)) != 0;
    (identity, if is_upper { FLAG_EXECUTABLE_UPPER } else { 0 })
}

/// The `struct upid` of a `struct pid` in its own, deepest namespace.
#[inline(always)]
fn own_upid(pid: Address) -> Address {
    let level = read::<u32>(pid, layout!(pid_level)) as u64;
    pid + layout!(pid_numbers) as u64 + level * layout!(upid_size) as u64
}

/// The number, in the host's namespace, of the pid that a process is linked to as `pid_type`.
#[inline(always)]
fn linked_pid(signal: Address, pid_type: u32) -> u32 {
    let pid = pointer(signal + layout!(signal_pids) as u64, pid_type * 8);
    read(pid + layout!(pid_numbers) as u64, layout!(upid_number))
}

/// The controlling terminal as a `dev_t`, 0 if there is none.
#[inline(always)]
fn terminal(signal: Address) -> u32 {
    let tty = pointer(signal, layout!(signal_tty));
    if tty == 0 {
        return 0;
    }
    let driver = pointer(tty, layout!(tty_driver));
    let major = read::<u32>(driver, layout!(tty_driver_major));
    let first = read::<u32>(driver, layout!(tty_driver_minor_start));
    let index = read::<u32>(tty, layout!(tty_index));
    major << 20 | ((first + index) & 0xf_ffff)
}

/// Standard input, output and error.
#[inline(always)]
fn descriptors(task: Address) -> [Descriptor; 3] {
    let table = pointer(pointer(task, layout!(task_files)), layout!(files_table));
    let files = pointer(table, layout!(table_descriptors));
    let size = read::<u32>(table, layout!(table_size));
    let mut descriptors = [Descriptor { mode: 0, device: 0 }; 3];
    if size < 3 {
        return descriptors;
    }
    for (number, descriptor) in descriptors.iter_mut().enumerate() {
        // The low bits of a pointer to a file are not flags in this table.
        let file = pointer(files, number as u32 * 8);
        let inode = pointer(file, layout!(file_inode));
        descriptor.mode = read::<u16>(inode, layout!(inode_mode)) as u32;
        descriptor.device = read(inode, layout!(inode_device));
    }
    descriptors
}

#[inline(always)]
fn namespaces(task: Address, credentials: Block) -> Namespaces {
    if layout!(task_nsproxy) == KernelLayout::ABSENT {
        return Namespaces::default();
    }
    let proxy = pointer(task, layout!(task_nsproxy));
    let of = |member: u32, inode: u32| -> u32 {
        if member == KernelLayout::ABSENT {
            return 0;
        }
        read_optional(pointer(proxy, member), inode)
    };
    let upid = own_upid(pointer(task, layout!(task_thread_pid)));
    Namespaces {
        mount: of(layout!(nsproxy_mount), layout!(mount_namespace_inode)),
        pid: read_optional(
            read_optional::<u64>(upid, layout!(upid_namespace)),
            layout!(pid_namespace_inode),
        ),
        network: of(layout!(nsproxy_network), layout!(network_namespace_inode)),
        uts: of(layout!(nsproxy_uts), layout!(uts_namespace_inode)),
        ipc: of(layout!(nsproxy_ipc), layout!(ipc_namespace_inode)),
        cgroup: of(layout!(nsproxy_cgroup), layout!(cgroup_namespace_inode)),
        user: if layout!(cred_user_namespace) == KernelLayout::ABSENT {
            0
        } else {
            read_optional(
                credentials.get(layout!(cred_user_namespace)),
                layout!(user_namespace_inode),
            )
        },
    }
}

/// The kernfs node of the process's cgroup in the v2 tree, and the `struct css_set`.
#[inline(always)]
fn default_cgroup_node(task: Address) -> (Address, Address) {
    let set = pointer(task, layout!(task_cgroups));
    let cgroup = pointer(set, layout!(css_set_default_cgroup));
    (pointer(cgroup, layout!(cgroup_node)), set)
}

/// The node whose path names the process's cgroup: in the v2 tree, or where the process stands at
/// that tree's root, in the v1 hierarchy of the pids or else the memory controller.
#[inline(always)]
fn cgroup_node(task: Address) -> (Address, u16) {
    let (default_node, set) = default_cgroup_node(task);
    if pointer(default_node, layout!(node_parent)) != 0
        || layout!(css_set_subsystems) == KernelLayout::ABSENT
        || layout!(subsystem_state_cgroup) == KernelLayout::ABSENT
    {
        return (default_node, 0);
    }
    let of = |subsystem: u32| -> Address {
        if subsystem == KernelLayout::ABSENT {
            return 0;
        }
        let state = pointer(set + layout!(css_set_subsystems) as u64, subsystem * 8);
        let cgroup = pointer(state, layout!(subsystem_state_cgroup));
        let node = pointer(cgroup, layout!(cgroup_node));
        if pointer(node, layout!(node_parent)) == 0 {
            0
        } else {
            node
        }
    };
    let pids = of(layout!(subsystem_pids));
    if pids != 0 {
        return (pids, FLAG_CGROUP_V1);
    }
    let memory = of(layout!(subsystem_memory));
    if memory != 0 {
        return (memory, FLAG_CGROUP_V1);
    }
    (default_node, 0)
}

#[inline(always)]
fn bytes_of<T>(record: &T) -> &[u8] {
    // SAFETY: records are `repr(C)` without padding (asserted where they are defined).
    unsafe { core::slice::from_raw_parts((&raw const *record).cast(), size_of::<T>()) }
}
