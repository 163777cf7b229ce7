//! The one table of hooks: which program runs where in the kernel, and what follows where that place is missing. The
//! agent loads and attaches by it, and `doctor` checks the kernel against it.

/// What follows when a kernel lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The sensor cannot run.
    Required,
    /// What is named here is not reported.
    Optional(&'static str),
}

/// Where a program is attached, which also says of what type it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A tracepoint by its name, with arguments of the types that the kernel's BTF gives (`tp_btf`).
    BtfTracepoint(&'static str),
}

/// A program that goes on with another's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailCall {
    pub program: &'static str,
    /// The map through which it is called, at index 0.
    pub map: &'static str,
}

/// A program and its place in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    pub program: &'static str,
    /// Loaded like the program, and called by it instead of attached.
    pub continuation: Option<TailCall>,
    /// Runs after it and writes a line, when asked for.
    pub log_program: &'static str,
    pub attach: Attach,
    pub need: Need,
    /// The kernels that it was found to hold for.
    pub kernels: &'static str,
}

/// All hooks. Each has the same arguments on all its kernels, but for a further one of `sched_process_exit` from 6.16
/// on, which nothing here reads.
pub const HOOKS: [Hook; 3] = [
    Hook {
        program: "process_fork",
        continuation: None,
        log_program: "process_fork_log",
        attach: Attach::BtfTracepoint("sched_process_fork"),
        need: Need::Required,
        kernels: ALL,
    },
    Hook {
        program: "process_exec",
        continuation: Some(TailCall {
            program: "process_exec_arguments",
            map: "CONTINUATION",
        }),
        log_program: "process_exec_log",
        attach: Attach::BtfTracepoint("sched_process_exec"),
        need: Need::Required,
        kernels: ALL,
    },
    Hook {
        program: "process_exit",
        continuation: None,
        log_program: "process_exit_log",
        attach: Attach::BtfTracepoint("sched_process_exit"),
        need: Need::Required,
        kernels: ALL,
    },
];

/// Every kernel that was tried: 5.10, 6.1, 6.12, 6.18 and 7.2.
pub(crate) const ALL: &str = "5.10 to 7.2";
