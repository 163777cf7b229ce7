//! The table of hooks: which program is attached where, and what is lost on a kernel that lacks that place. The agent
//! loads and attaches from it, and `doctor` checks the kernel against it.

use crate::RecordKind;

/// What happens on a kernel that lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The sensor cannot run.
    Required,
    /// The sensor runs, but does not report this.
    Optional(&'static str),
    /// Another entry takes its place.
    Replaced,
}

/// Where a program is attached, which also determines its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A tracepoint whose arguments are typed by the kernel's BTF (`tp_btf`).
    BtfTracepoint(&'static str),
}

/// A program that continues another's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailCall {
    pub program: &'static str,
    /// The program array it is called through, at index 0.
    pub map: &'static str,
}

/// A program and where it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    pub program: &'static str,
    /// The record that is missing when the program does not run.
    pub kind: RecordKind,
    /// Loaded like the program, but called by it, or by one another, rather than attached.
    pub continuations: &'static [TailCall],
    /// Attached to the same place when trace logging is on; writes a line about each run.
    pub log_program: &'static str,
    pub attach: Attach,
    pub need: Need,
    /// The kernels it has been verified on.
    pub kernels: &'static str,
}

/// All hooks. Their arguments are the same on all these kernels, except that `sched_process_exit` has one more from 6.16
/// on, which is not read.
pub const HOOKS: [Hook; 4] = [
    Hook {
        program: "process_fork",
        kind: RecordKind::Fork,
        continuations: &[],
        log_program: "process_fork_log",
        attach: Attach::BtfTracepoint("sched_process_fork"),
        need: Need::Required,
        kernels: ALL,
    },
    Hook {
        program: "process_exec",
        kind: RecordKind::Exec,
        continuations: &[
            TailCall {
                program: "process_exec_paths",
                map: "PATHS",
            },
            TailCall {
                program: "process_exec_arguments",
                map: "CONTINUATION",
            },
        ],
        log_program: "process_exec_log",
        attach: Attach::BtfTracepoint("sched_process_exec"),
        need: Need::Required,
        kernels: ALL,
    },
    Hook {
        program: "process_exit",
        kind: RecordKind::Exit,
        continuations: &[],
        log_program: "process_exit_log",
        attach: Attach::BtfTracepoint("sched_process_exit"),
        need: Need::Required,
        kernels: ALL,
    },
    Hook {
        program: "process_signal",
        kind: RecordKind::Signal,
        continuations: &[],
        log_program: "process_signal_log",
        attach: Attach::BtfTracepoint("signal_generate"),
        need: Need::Required,
        kernels: ALL,
    },
];

/// Tested: 5.10, 6.1, 6.12, 6.18 and 7.2.
pub(crate) const ALL: &str = "5.10 to 7.2";
