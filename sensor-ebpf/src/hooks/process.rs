//! Processes begin and end: fork and exit of thread groups.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext};
use sensor_abi::{ExitRecord, ForkRecord, LossReason, RecordKind};

use crate::{
    emit::{bytes_of, head, lose, send},
    layout::layout,
    read::{Address, pointer, read},
    scratch,
    share::{Leave, may_send},
    task::{cgroup_node, credentials, process},
};

/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)`, Linux 5.10 to 7.2. Runs
/// before the child does. A new thread is not a process.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let child: *const u8 = ctx.arg(1);
    fork(child as Address);
    0
}

#[inline(always)]
fn fork(child: Address) {
    if read::<u32>(child, layout!(task_pid)) != read::<u32>(child, layout!(task_tgid)) {
        return;
    }
    let Some(scratch) = scratch::fork() else {
        lose(RecordKind::Fork, LossReason::NoScratch);
        return;
    };
    let mut charged = 0;
    if may_send(RecordKind::Fork, || cgroup_node(child), &mut charged) == Leave::Refused {
        lose(RecordKind::Fork, LossReason::OverShare);
        return;
    }
    let record = ForkRecord {
        head: head(RecordKind::Fork, 0),
        process: process(child, credentials(scratch, child)),
        // SAFETY: a helper without arguments.
        creator_pid: unsafe { bpf_get_current_pid_tgid() >> 32 } as u32,
        reserved: 0,
    };
    send(RecordKind::Fork, bytes_of(&record), charged);
}

/// `TP_PROTO(struct task_struct *p)`, Linux 5.10 to 7.2 (from 6.16 on with a second argument,
/// `bool group_dead`, which older kernels lack). The count of live threads is already down, so
/// threads that end at the same time may all find it at 0; the agent takes the first record.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    exit(task as Address);
    0
}

#[inline(always)]
fn exit(task: Address) {
    let signal = pointer(task, layout!(task_signal));
    if read::<u32>(signal, layout!(signal_live)) != 0 {
        return;
    }
    let Some(scratch) = scratch::exit() else {
        lose(RecordKind::Exit, LossReason::NoScratch);
        return;
    };
    let mut charged = 0;
    if may_send(RecordKind::Exit, || cgroup_node(task), &mut charged) == Leave::Refused {
        lose(RecordKind::Exit, LossReason::OverShare);
        return;
    }
    let group_status = read::<u32>(signal, layout!(signal_group_exit_code));
    let leader = pointer(task, layout!(task_group_leader));
    let wait_status = if group_status != 0 {
        group_status
    } else {
        read::<u32>(leader, layout!(task_exit_code))
    };
    let record = ExitRecord {
        head: head(RecordKind::Exit, 0),
        process: process(leader, credentials(scratch, leader)),
        wait_status,
        reserved: 0,
    };
    send(RecordKind::Exit, bytes_of(&record), charged);
}
