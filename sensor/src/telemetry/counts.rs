//! What each stage counts: plain numbers that metrics and the last lines are made of.
//!
//! Here rather than with the stages, so that whoever reports them needs to know none of these.

use rule_engine::EngineCounters;
use sensor_abi::RecordKind;

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) rules: usize,
    pub(crate) pipeline: PipelineCounts,
    pub(crate) detection: DetectionCounts,
    pub(crate) output: OutputCounts,
    pub(crate) history: HistoryCounts,
    /// Lines about the sensor itself that a slow stderr did not take.
    pub(crate) log_lines_lost: u64,
}

/// What the kernel side counted since load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KernelCounts {
    /// Records that each processor made, those that were lost included.
    pub(crate) produced: Vec<u64>,
    /// Those that were lost, over all processors.
    pub(crate) lost: LostRecords,
}

/// Numbers of records, each at its [`RecordKind::index`].
pub(crate) type ByKind = [u64; RecordKind::COUNT];

/// Numbers of records that were lost, by reason and kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LostRecords {
    /// The ring buffer was full.
    pub(crate) ring_full: ByKind,
    /// The ring buffer was filling up, and the process's cgroup had filled more than its share.
    pub(crate) over_share: ByKind,
}

impl LostRecords {
    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.by_kind().iter().sum()
    }

    /// By kind alone.
    pub(crate) fn by_kind(&self) -> ByKind {
        std::array::from_fn(|kind| self.ring_full[kind].saturating_add(self.over_share[kind]))
    }

    /// By reason, named as in the metrics, and kind.
    pub(crate) fn by_reason(&self) -> [(&'static str, ByKind); 2] {
        [
            ("ring_buffer_full", self.ring_full),
            ("cgroup_over_share", self.over_share),
        ]
    }

    /// These and those.
    pub(crate) fn plus(&self, other: &LostRecords) -> LostRecords {
        self.combined(other, u64::saturating_add)
    }

    /// What came to `earlier` since.
    pub(crate) fn since(&self, earlier: &LostRecords) -> LostRecords {
        self.combined(earlier, u64::saturating_sub)
    }

    fn combined(&self, other: &LostRecords, combine: fn(u64, u64) -> u64) -> LostRecords {
        let each = |ours: &ByKind, theirs: &ByKind| std::array::from_fn(|kind| combine(ours[kind], theirs[kind]));
        LostRecords {
            ring_full: each(&self.ring_full, &other.ring_full),
            over_share: each(&self.over_share, &other.over_share),
        }
    }
}

/// Counts of what came through the ring buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Records that were read, damaged ones included.
    pub received: u64,
    /// Records that were no records.
    pub damaged: u64,
    /// Records missing between two of a processor, by their sequence numbers.
    pub gaps: u64,
}

/// What the table did that an operator may want to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableCounts {
    /// Ended processes that were forgotten: they were too old, or their container had too many.
    pub(crate) forgotten: u64,
    /// Processes whose end was not seen, or not reported.
    pub(crate) exits_missed: u64,
    /// What was given up for want of room, in this order: ended processes' arguments, environment and paths,
    pub(crate) ended_texts_given_up: u64,
    /// the middles of live ones' that are long,
    pub(crate) arguments_cut: u64,
    /// ended processes,
    pub(crate) ended_given_up: u64,
    /// the rest of live processes' arguments, environment and paths,
    pub(crate) live_texts_given_up: u64,
    /// live processes.
    pub(crate) live_given_up: u64,
}

/// What was read and what was lost since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PipelineCounts {
    /// Records that the kernel side made, those that were lost included.
    pub(crate) produced: u64,
    pub(crate) lost: LostRecords,
    /// See [`crate::kernel::Hooks::missed_runs`].
    pub(crate) missed_runs: u64,
    pub(crate) decode: DecodeCounts,
    pub(crate) table: TableCounts,
    /// Fork, exec and exit events that became records.
    pub(crate) events: u64,
    /// Containers whose users' names were not read.
    pub(crate) unread_users: u64,
}

/// What detection did, beside what the pipeline counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DetectionCounts {
    /// Of the rules that may have to wait, and of the others.
    pub(crate) engines: Vec<EngineCounters>,
    /// Events that were evaluated without the container's metadata, which a rule reads, because it did not come in
    /// time.
    pub(crate) without_metadata: u64,
}

/// What the output did and what it could not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputCounts {
    pub(crate) written: u64,
    /// Refused by a full queue: the reader is slower than the alerts come.
    pub(crate) refused: u64,
    /// Accepted, but not written when the output was closed or ended.
    pub(crate) lost: u64,
    /// Alerts that an output took before their container's metadata was known.
    pub(crate) without_metadata: u64,
    /// Those of them that a second document, which an output took, amended.
    pub(crate) amended: u64,
    /// Attempts to write that failed and were repeated.
    pub(crate) write_errors: u64,
}

/// What the history holds and what it could not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HistoryCounts {
    /// Terms in memory.
    pub(crate) terms: u64,
    /// Terms forgotten because their rule had too many.
    pub(crate) evicted: u64,
    /// Changes that are safely on disk.
    pub(crate) committed: u64,
    /// Attempts to write that failed and were repeated.
    pub(crate) write_errors: u64,
    /// Changes that were not on disk when the history was closed.
    pub(crate) unsaved: u64,
}
