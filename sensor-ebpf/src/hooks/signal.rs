//! Somebody works against the sensor with signals, or with a debugger, which stops it by one.
//!
//! Every signal on the machine comes by here, at least one for each process that ends. All but those that concern the
//! sensor leave after one comparison and one look at who it is.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_ktime_get_boot_ns},
    macros::{btf_tracepoint, map},
    maps::LruHashMap,
    programs::BtfTracePointContext,
};
use sensor_abi::{CODE_KERNEL, LossReason, RecordKind, SIGNAL_TO_PARENT, SignalRecord};

use crate::{
    emit::{bytes_of, head, lose, send},
    layout::{layout, sensor_pid},
    read::{Address, pointer, read},
    scratch,
    share::{Leave, may_send},
    task::{cgroup_node, credentials, process},
};

/// Senders that are told apart; those that sent nothing for longest are forgotten.
const SENDERS: u32 = 1024;
/// From the first signal of a sender on, for this long, further ones of the same number are merged.
const MERGED_FOR_NS: u64 = 1_000_000_000;
/// `SEND_SIG_PRIV`, which stands for a signal's details where the kernel made it.
const MADE_BY_KERNEL: u64 = 1;

/// What was sent lately, by the sender's thread group id and the signal's number.
#[map]
static SENT_SIGNALS: LruHashMap<u64, Sent> = LruHashMap::with_max_entries(SENDERS, 0);

/// Signals of one number by one sender.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sent {
    since_ns: u64,
    count: u64,
}

/// `TP_PROTO(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)`, Linux 5.10 to 7.2.
/// Runs in the sender, with interrupts off and the lock of the receiver's signals held, also for signals that the
/// receiver ignores. The details may be no pointer but 0 or [`MADE_BY_KERNEL`].
#[btf_tracepoint(function = "signal_generate")]
pub fn process_signal(ctx: BtfTracePointContext) -> i32 {
    if concerns_sensor(&ctx) {
        signal(&ctx);
    }
    0
}

/// Whether somebody else signals the sensor, or the sensor tells a tracer that it stands still.
#[inline(always)]
pub(crate) fn concerns_sensor(ctx: &BtfTracePointContext) -> bool {
    let number: i32 = ctx.arg(0);
    let task: *const u8 = ctx.arg(2);
    // SAFETY: a helper without arguments.
    let sends_itself = || unsafe { bpf_get_current_pid_tgid() >> 32 } as u32 == sensor_pid();
    let receiver = || read::<u32>(task as Address, layout!(task_tgid));
    if number == SIGNAL_TO_PARENT {
        // Who is no parent, and has it told that the sensor stands still, traces it.
        return sends_itself() && receiver() != parent();
    }
    receiver() == sensor_pid() && !sends_itself()
}

/// The present process's parent.
#[inline(always)]
fn parent() -> u32 {
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_task() };
    read(pointer(task, layout!(task_real_parent)), layout!(task_tgid))
}

#[inline(always)]
fn signal(ctx: &BtfTracePointContext) {
    let number: i32 = ctx.arg(0);
    let receiver: *const u8 = ctx.arg(2);
    let from = if number == SIGNAL_TO_PARENT {
        receiver as Address
    } else {
        // SAFETY: a helper without arguments.
        unsafe { bpf_get_current_task() }
    };
    let sender = read::<u32>(from, layout!(task_tgid)) as u64;
    let count = merged(sender << 32 | number as u64);
    if count == 0 {
        return;
    }
    let Some(scratch) = scratch::signal() else {
        lose(RecordKind::Signal, LossReason::NoScratch);
        return;
    };
    let mut charged = 0;
    if may_send(RecordKind::Signal, || cgroup_node(from), &mut charged) == Leave::Refused {
        lose(RecordKind::Signal, LossReason::OverShare);
        return;
    }
    let record = SignalRecord {
        head: head(RecordKind::Signal, 0),
        process: process(from, credentials(scratch, from)),
        signal: number,
        code: code(ctx),
        count,
    };
    send(RecordKind::Signal, bytes_of(&record), charged);
}

/// The signal's `si_code`.
#[inline(always)]
fn code(ctx: &BtfTracePointContext) -> i32 {
    // VERIFIER: read from where it stands, and so a number; as an argument it would be a pointer that is never 0.
    let info = read::<u64>(ctx.as_ptr() as Address, size_of::<u64>() as u32);
    if info == MADE_BY_KERNEL {
        return CODE_KERNEL;
    }
    // Without details a process sent it, which is code 0, as such a read gives.
    read(info, layout!(siginfo_code))
}

/// How many signals a record of this one would stand for; 0 if there is to be none. Within [`MERGED_FOR_NS`] there is one
/// for each power of two. (The receiver's lock keeps others out.)
#[inline(always)]
fn merged(key: u64) -> u64 {
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_boot_ns() };
    let Some(sent) = SENT_SIGNALS.get_ptr_mut(key) else {
        let first = Sent {
            since_ns: now_ns,
            count: 1,
        };
        let _ = SENT_SIGNALS.insert(key, first, 0);
        return 1;
    };
    // SAFETY: a pointer to a value of the map, which lives as long as the program runs.
    unsafe {
        if now_ns - (*sent).since_ns > MERGED_FOR_NS {
            (*sent).since_ns = now_ns;
            (*sent).count = 0;
        }
        (*sent).count += 1;
        let count = (*sent).count;
        if count & (count - 1) == 0 { count - count / 2 } else { 0 }
    }
}
