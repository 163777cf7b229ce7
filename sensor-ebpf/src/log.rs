//! Trace lines about the other programs' work, for debugging the kernel side. They come from programs of their own, which
//! the agent loads only on request, so that they cost nothing otherwise.

use aya_ebpf::{EbpfContext as _, macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::info;
use sensor_abi::{Counters, Family, LossReason};

use crate::emit::COUNTERS;
use crate::hooks::signal::concerns_sensor;

/// Linux 5.10 to 7.2, as [`crate::hooks::process::process_fork`], after which it runs.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork_log(ctx: BtfTracePointContext) -> i32 {
    log(&ctx, Family::Fork, "fork")
}

/// Linux 5.10 to 7.2, as [`crate::hooks::exec::process_exec`], after which it runs.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec_log(ctx: BtfTracePointContext) -> i32 {
    log(&ctx, Family::Exec, "exec")
}

/// Linux 5.10 to 7.2, as [`crate::hooks::process::process_exit`], after which it runs.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit_log(ctx: BtfTracePointContext) -> i32 {
    log(&ctx, Family::Exit, "exit")
}

/// Linux 5.10 to 7.2, as [`crate::hooks::signal::process_signal`], after which it runs.
#[btf_tracepoint(function = "signal_generate")]
pub fn process_signal_log(ctx: BtfTracePointContext) -> i32 {
    if concerns_sensor(&ctx) {
        return log(&ctx, Family::Signal, "signal");
    }
    0
}

/// What this processor has counted by now, with the present thread's process.
#[inline(always)]
fn log(ctx: &BtfTracePointContext, family: Family, what: &str) -> i32 {
    let Some(Counters { sequence, lost }) = COUNTERS.get(family.index() as u32) else {
        return 0;
    };
    let sum = |reason: LossReason| lost[reason.index()].iter().sum::<u64>();
    info!(
        ctx,
        "{} in process {}: this processor made {} records of the kind, {} were lost to the full ring buffer and {} to the cgroups' share",
        what,
        ctx.tgid(),
        *sequence,
        sum(LossReason::RingFull),
        sum(LossReason::OverShare)
    );
    0
}
