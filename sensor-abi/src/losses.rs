//! Why records are lost. Everything that lists losses (the kernel side's counters, metrics, the losses in an alert, the
//! last lines) iterates over this table, so a new reason is one row here, besides the code that counts it.

macro_rules! loss_reasons {
    ($($(#[$doc:meta])* $reason:ident = $label:literal, $key:literal, $described:literal;)*) => {
        /// Why a record did not reach the agent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LossReason { $($(#[$doc])* $reason,)* }

        impl LossReason {
            /// All reasons, in the order of their indices.
            pub const ALL: [LossReason; [$($label),*].len()] = [$(LossReason::$reason),*];

            /// The label in metrics.
            pub const fn label(self) -> &'static str {
                match self { $(LossReason::$reason => $label,)* }
            }

            /// The key in an alert's losses.
            pub const fn key(self) -> &'static str {
                match self { $(LossReason::$reason => $key,)* }
            }

            /// What a log line says.
            pub const fn description(self) -> &'static str {
                match self { $(LossReason::$reason => $described,)* }
            }
        }
    };
}

// Label in metrics, key in an alert, words in a log line.
loss_reasons! {
    /// The ring buffer had no room.
    RingFull = "ring_buffer_full", "ring_full", "the ring buffer was full";
    /// The ring buffer was filling up, and the process's cgroup had filled more than its share.
    OverShare = "cgroup_over_share", "over_share",
        "the ring buffer was filling up, and their cgroup was over its share";
    /// The program that sends them could not be called.
    NoContinuation = "no_continuation", "no_continuation",
        "the program that sends them is gone, so somebody changed the kernel side";
    /// A processor without scratch space.
    NoScratch = "no_scratch_space", "no_scratch", "their processor has no scratch space";
    /// The kernel left a program out, because the same one was already running on the processor. Such records were
    /// never made and have no number; the kernel counts them for each program.
    MissedRun = "run_missed", "missed_runs",
        "the kernel side was busy with another one on the same processor";
}

impl LossReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its index in an array with an element for each reason.
    pub const fn index(self) -> usize {
        self as usize
    }
}
