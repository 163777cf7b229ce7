//! A process runs another program: the exec's record, and the records that continue it.
//!
//! Up to three programs, each tail-called by the one before: the first gathers everything but the arguments, the second
//! finishes the walks of deep paths, where there are any, and the third sends what did not fit into the exec's record.

use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::ProgramArray,
    programs::BtfTracePointContext,
};
use sensor_abi::{
    ARGUMENTS_CHUNK, ArgumentsFixed, CHUNKS_PER_TAIL_CALL, ExecFixed, FLAG_ARGUMENTS_CONTINUE, FLAG_ARGUMENTS_CUT,
    FLAG_ARGUMENTS_UNREADABLE, FLAG_CGROUP_V1, FLAG_ENVIRONMENT_FOLLOWS, FLAG_EXECUTABLE_DELETED,
    FLAG_EXECUTABLE_DETACHED, FLAG_EXECUTABLE_OUTSIDE_ROOT, FLAG_SCRIPT, FLAG_SHORT_FILLING, FLAG_SHORT_OVER_SHARE,
    FURTHER_CHUNK, GROUPS_LIMIT, HEADER_AT, LossReason, PATH_LIMIT, PATH_TAIL_CALLS, RecordKind, SHORT_ARGUMENTS,
    SHORT_PATH, VARIABLE_LIMIT, arguments_tail,
};

use crate::{
    emit::{head, lose, send},
    file::file_identity,
    layout::{arguments_limit, environment_limit, layout},
    path::{
        FILENAME_SIZE, Path, append_bytes, append_string, begin, climb, climb_on, give_up, is_closed, is_detached,
        is_outside,
    },
    read::{Address, Block, pointer, read, user_bytes},
    scratch::{self, ExecScratch, Rest, RestScratch, Walk},
    share::{Leave, key, may_send, may_send_long},
    task::{cgroup_node, credentials, descriptors, mount_namespace, namespace_of_mount, namespaces, process},
};

/// Holds the program that finishes the walks of deep paths, at index 0.
#[map]
static PATHS: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Holds the program that sends further arguments, at index 0.
#[map]
static CONTINUATION: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, Linux 5.10 to
/// 7.2. The new image is in place; the thread that called exec is the thread group leader now.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    let bprm: *const u8 = ctx.arg(2);
    let Some(scratch) = scratch::exec() else {
        lose(RecordKind::Exec, LossReason::NoScratch);
        return 0;
    };
    // SAFETY: scratch is this processor's own.
    let charged = unsafe { &mut (*scratch).charged };
    let short = match may_send(RecordKind::Exec, || cgroup_node(task as Address), charged) {
        Leave::Whole => 0,
        Leave::ShortOverShare => FLAG_SHORT_OVER_SHARE,
        Leave::ShortFilling => FLAG_SHORT_FILLING,
        Leave::Refused => {
            lose(RecordKind::Exec, LossReason::OverShare);
            return 0;
        }
    };
    // VERIFIER: read back from memory, so that what follows is looked at once and not for each way to come here.
    // SAFETY: scratch is this processor's own.
    unsafe {
        let path_limit = if short == 0 { PATH_LIMIT } else { SHORT_PATH };
        core::ptr::write_volatile(&raw mut (*scratch).path_limit, path_limit as u64);
        core::ptr::write_volatile(&raw mut (*scratch).flags, short as u64);
    }
    if !gather(task as Address, bprm as Address, scratch) {
        // SAFETY: a failed tail call comes back here, and what the walks did not reach is marked as left out.
        unsafe { PATHS.tail_call(&ctx, 0) };
    }
    if finish(scratch) {
        send_rest(&ctx);
    }
    0
}

/// Goes on with the walks of deep paths, and sends the record; tail-called by the exec and by itself.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec_paths(ctx: BtfTracePointContext) -> i32 {
    let Some(scratch) = scratch::exec() else {
        lose(RecordKind::Exec, LossReason::NoScratch);
        return 0;
    };
    if climb_further(scratch) {
        // SAFETY: as in `process_exec`.
        unsafe { PATHS.tail_call(&ctx, 0) };
    }
    if finish(scratch) {
        send_rest(&ctx);
    }
    0
}

/// Sends arguments that did not fit into the exec's record, and the environment; tail-called by the exec and by itself.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec_arguments(ctx: BtfTracePointContext) -> i32 {
    let Some(rest) = scratch::rest() else {
        lose(RecordKind::Arguments, LossReason::NoScratch);
        return 0;
    };
    for _ in 0..CHUNKS_PER_TAIL_CALL {
        if !send_more(rest) {
            return 0;
        }
    }
    send_rest(&ctx);
    0
}

/// Calls the program that sends what remains of an exec, and counts that as lost if it cannot be called.
#[inline(always)]
fn send_rest(ctx: &BtfTracePointContext) {
    // SAFETY: the program is of the same type; a call that fails comes back here.
    unsafe { CONTINUATION.tail_call(ctx, 0) };
    // SAFETY: scratch is this processor's own.
    let kind = match scratch::rest().map(|rest| remains(unsafe { &raw const (*rest).arguments })) {
        Some(false) => RecordKind::Environment,
        _ => RecordKind::Arguments,
    };
    lose(kind, LossReason::NoContinuation);
}

/// Steps of a path's walk in the first program.
const FIRST_STEPS: usize = 64;
const FIRST_CGROUP_STEPS: usize = 16;
/// The root of the mount namespace is two mounts above the root that processes ordinarily have.
const FIRST_ROOT_STEPS: usize = 4;

/// In the order in which their rests are in the record.
const CGROUP: u64 = 0;
const EXECUTABLE: u64 = 1;
const DIRECTORY: u64 = 2;
const ROOT: u64 = 3;
const WALKS: u64 = 4;

/// Flags of execs that are sent short.
const SHORT: u16 = FLAG_SHORT_OVER_SHARE | FLAG_SHORT_FILLING;

/// Puts everything into the record but the arguments; returns whether the paths are finished. The flags in the
/// scratch space are one of [`SHORT`] or none. (All writes go to the scratch space of this family and processor, which
/// nothing else touches while the program runs.)
#[inline(always)]
fn gather(task: Address, bprm: Address, scratch: *mut ExecScratch) -> bool {
    // SAFETY: see above.
    let (inode_bytes, credential_bytes, exec, short) = unsafe {
        let short = core::ptr::read_volatile(&raw const (*scratch).flags) as u16;
        (*scratch).position = 0;
        (*scratch).walk = 0;
        (*scratch).runs = 0;
        (
            &raw mut (*scratch).inode,
            &raw mut (*scratch).credentials,
            &raw mut (*scratch).exec,
            short,
        )
    };
    let mm = pointer(task, layout!(task_mm));
    let fs = pointer(task, layout!(task_fs));
    let root = Path {
        mount: pointer(fs, layout!(fs_root_mount)),
        dentry: pointer(fs, layout!(fs_root_dentry)),
    };
    let namespace = mount_namespace(task);
    let file = pointer(mm, layout!(mm_executable));
    let dentry = pointer(file, layout!(file_dentry));
    let executable = Path {
        mount: pointer(file, layout!(file_mount)),
        dentry,
    };
    let (file_identity, file_flags) = file_identity(inode_bytes, pointer(file, layout!(file_inode)));
    let mut flags = file_flags | short;
    let executable_walk = walk(scratch, EXECUTABLE);
    begin(executable_walk, executable, root, namespace);
    let executable_length = climb::<FIRST_STEPS>(scratch, executable_walk);
    if is_detached(executable_walk) {
        flags |= FLAG_EXECUTABLE_DETACHED;
    } else if pointer(dentry, layout!(dentry_hash)) == 0 {
        flags |= FLAG_EXECUTABLE_DELETED;
    }
    let directory = Path {
        mount: pointer(fs, layout!(fs_directory_mount)),
        dentry: pointer(fs, layout!(fs_directory_dentry)),
    };
    let directory_walk = walk(scratch, DIRECTORY);
    begin(directory_walk, directory, root, namespace);
    let directory_length = climb::<FIRST_STEPS>(scratch, directory_walk);
    let nowhere = Path { mount: 0, dentry: 0 };
    let root_walk = walk(scratch, ROOT);
    begin(root_walk, root, nowhere, namespace);
    let root_length = climb::<FIRST_ROOT_STEPS>(scratch, root_walk);

    let (node, cgroup_flags) = cgroup_node(task);
    flags |= cgroup_flags;
    let cgroup_walk = walk(scratch, CGROUP);
    begin(cgroup_walk, Path { mount: 0, dentry: node }, nowhere, 0);
    let cgroup_length = climb::<FIRST_CGROUP_STEPS>(scratch, cgroup_walk);

    let filename = pointer(bprm, layout!(bprm_filename));
    if pointer(bprm, layout!(bprm_interpreter)) != filename {
        flags |= FLAG_SCRIPT;
    }
    let filename_length = if short == 0 {
        append_string(scratch, FILENAME_SIZE, filename)
    } else {
        append_string(scratch, SHORT_PATH as u32, filename)
    } as u32;

    let credentials = credentials(credential_bytes, task);
    let (groups_length, groups_total) = append_groups(scratch, credentials);

    // SAFETY: see above.
    unsafe {
        (*scratch).mm = mm;
        (*scratch).flags = flags as u64;
        (*scratch).cgroup = node;
        (*exec).process = process(task, credentials);
        (*exec).cgroup_key = if flags & FLAG_CGROUP_V1 == 0 {
            (*exec).process.cgroup_id
        } else {
            key(read(node, layout!(node_id)), flags)
        };
        (*exec).descriptors = descriptors(task);
        (*exec).namespaces = namespaces(task, credentials);
        (*exec).executable_length = executable_length;
        (*exec).executable_namespace = namespace_of_mount(executable.mount);
        (*exec).root_device = read(
            pointer(root.mount, layout!(vfsmount_file_system)),
            layout!(file_system_device),
        );
        (*exec).root_inode = read(pointer(root.dentry, layout!(dentry_inode)), layout!(inode_number));
        (*exec).file = file_identity;
        (*exec).ambient_capabilities = credentials.get(layout!(cred_ambient));
        (*exec).header = read(bprm, layout!(bprm_beginning) + HEADER_AT as u32);
        (*exec).directory_length = directory_length;
        (*exec).root_length = root_length;
        (*exec).cgroup_length = cgroup_length;
        (*exec).filename_length = filename_length;
        (*exec).groups_length = groups_length;
        (*exec).groups_total = groups_total;
    }
    is_closed(executable_walk) && is_closed(directory_walk) && is_closed(root_walk) && is_closed(cgroup_walk)
}

#[inline(always)]
fn walk(scratch: *mut ExecScratch, index: u64) -> *mut Walk {
    // SAFETY: there are four.
    unsafe { (&raw mut (*scratch).walks).cast::<Walk>().add((index & 3) as usize) }
}

/// Goes on with one of the walks; returns whether there is more to do and it may be done.
#[inline(always)]
fn climb_further(scratch: *mut ExecScratch) -> bool {
    // SAFETY: as in `gather`.
    let (index, runs) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*scratch).walk),
            core::ptr::read_volatile(&raw const (*scratch).runs) + 1,
        )
    };
    let next = index + climb_on(scratch, walk(scratch, index)) as u64;
    // SAFETY: as in `gather`.
    unsafe {
        (*scratch).walk = next;
        (*scratch).runs = runs;
    }
    next < WALKS && runs < PATH_TAIL_CALLS as u64
}

/// Adds the arguments to what is gathered, and sends the record; returns whether something remains to be sent.
#[inline(always)]
fn finish(scratch: *mut ExecScratch) -> bool {
    let Some(rest) = scratch::rest() else {
        lose(RecordKind::Exec, LossReason::NoScratch);
        return false;
    };
    let cgroup_rest_length = give_up(scratch, walk(scratch, CGROUP));
    let executable_rest_length = give_up(scratch, walk(scratch, EXECUTABLE));
    let directory_rest_length = give_up(scratch, walk(scratch, DIRECTORY));
    let root_rest_length = give_up(scratch, walk(scratch, ROOT));
    // SAFETY: as in `gather`.
    let (mm, cgroup, mut flags) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*scratch).mm),
            core::ptr::read_volatile(&raw const (*scratch).cgroup),
            core::ptr::read_volatile(&raw const (*scratch).flags) as u16,
        )
    };
    if is_outside(walk(scratch, EXECUTABLE)) {
        flags |= FLAG_EXECUTABLE_OUTSIDE_ROOT;
    }
    let start = pointer(mm, layout!(mm_arguments_start));
    let total = pointer(mm, layout!(mm_arguments_end)) - start;
    let limit = arguments_limit();
    let is_short = flags & SHORT != 0;
    let is_cut = total > limit && !is_short && !may_send_long(total, (cgroup, flags & FLAG_CGROUP_V1));
    let (head_end, tail_start) = if is_cut {
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
    if is_short && length > SHORT_ARGUMENTS as u64 {
        length = SHORT_ARGUMENTS as u64;
    }
    if length < total && !is_short {
        flags |= FLAG_ARGUMENTS_CONTINUE;
    }
    let environment_start = pointer(mm, layout!(mm_environment_start));
    let mut environment_end = 0;
    if environment_limit() != 0 && !is_short {
        environment_end = pointer(mm, layout!(mm_environment_end)) - environment_start;
        if environment_end != 0 {
            flags |= FLAG_ENVIRONMENT_FOLLOWS;
        }
    }
    // SAFETY: as in `gather`; `position` is masked below `VARIABLE_LIMIT - ARGUMENTS_CHUNK`.
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

    // SAFETY: as in `gather`.
    unsafe {
        let exec = &raw mut (*scratch).exec;
        (*rest).arguments = Rest {
            start,
            sent: length,
            head_end,
            tail_start,
            end: if readable && !is_short { total } else { 0 },
        };
        (*rest).environment = Rest {
            start: environment_start,
            sent: 0,
            head_end: environment_end,
            tail_start: environment_end,
            end: environment_end,
        };
        (*rest).cgroup = cgroup;
        (*rest).cgroup_flags = flags & FLAG_CGROUP_V1;
        (*rest).pid = (*exec).process.pid;
        (*exec).head = head(RecordKind::Exec, flags);
        (*exec).cgroup_rest_length = cgroup_rest_length;
        (*exec).executable_rest_length = executable_rest_length;
        (*exec).directory_rest_length = directory_rest_length;
        (*exec).root_rest_length = root_rest_length;
        (*exec).arguments_length = length as u32;
        (*exec).arguments_total = total as u32;
        let mut used = core::ptr::read_volatile(&raw const (*scratch).position) + length;
        if used > VARIABLE_LIMIT as u64 {
            used = VARIABLE_LIMIT as u64;
        }
        let sent = send(
            RecordKind::Exec,
            core::slice::from_raw_parts(exec.cast(), size_of::<ExecFixed>() + used as usize),
            core::ptr::read_volatile(&raw const (*scratch).charged),
        );
        if !sent {
            // Without the exec, further arguments could not be attributed.
            (*rest).arguments.end = 0;
            (*rest).environment.end = 0;
        }
    }
    has_more(rest)
}

/// Whether something of the exec remains to be sent.
#[inline(always)]
fn has_more(rest: *mut RestScratch) -> bool {
    // SAFETY: `rest` is this processor's own.
    unsafe { remains(&raw const (*rest).arguments) || remains(&raw const (*rest).environment) }
}

#[inline(always)]
fn remains(part: *const Rest) -> bool {
    // SAFETY: a part of this processor's scratch space.
    unsafe { core::ptr::read_volatile(&raw const (*part).sent) < core::ptr::read_volatile(&raw const (*part).end) }
}

/// Sends the next chunk of the arguments, or else of the environment; returns whether there is more.
#[inline(always)]
fn send_more(scratch: *mut RestScratch) -> bool {
    // SAFETY: scratch is this processor's own; the chunk lies right after the record's fixed part.
    unsafe {
        let mut kind = RecordKind::Arguments;
        let mut rest = &raw mut (*scratch).arguments;
        let mut cut = 0;
        if core::ptr::read_volatile(&raw const (*rest).sent) >= core::ptr::read_volatile(&raw const (*rest).end) {
            kind = RecordKind::Environment;
            rest = &raw mut (*scratch).environment;
        }
        let mut sent = core::ptr::read_volatile(&raw const (*rest).sent);
        let head_end = core::ptr::read_volatile(&raw const (*rest).head_end);
        let tail_start = core::ptr::read_volatile(&raw const (*rest).tail_start);
        let mut end = core::ptr::read_volatile(&raw const (*rest).end);
        if kind == RecordKind::Environment && end > environment_limit() {
            end = environment_limit();
            cut = FLAG_ARGUMENTS_CUT;
        }
        if sent >= end {
            return false;
        }
        let mut charged = 0;
        let cgroup = || ((*scratch).cgroup, (*scratch).cgroup_flags);
        if may_send(kind, cgroup, &mut charged) == Leave::Refused {
            lose(kind, LossReason::OverShare);
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
        if length > FURTHER_CHUNK as u64 {
            length = FURTHER_CHUNK as u64;
        }
        let mut flags = cut;
        if sent + length < end {
            flags |= FLAG_ARGUMENTS_CONTINUE;
        }
        let record = &raw mut (*scratch).record;
        if !user_bytes((&raw mut (*scratch).chunk).cast(), length, (*rest).start + sent) {
            flags = FLAG_ARGUMENTS_UNREADABLE;
            length = 0;
            (*scratch).arguments.end = 0;
            (*scratch).environment.end = 0;
        }
        (*record).head = head(kind, flags);
        (*record).pid = (*scratch).pid;
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

/// Appends the ids of supplementary groups; returns the bytes written and the number of groups.
#[inline(always)]
fn append_groups(scratch: *mut ExecScratch, credentials: Block) -> (u32, u32) {
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
