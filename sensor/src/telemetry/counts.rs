//! What each stage counts: plain numbers that metrics and the last lines are made of.
//!
//! Here rather than with the stages, so that whoever reports them needs to know none of these.

use rule_engine::EngineCounters;
use sensor_abi::{Family, LossReason, RecordKind};

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
    /// How often the sensor had something to say of itself, by `event.action`.
    pub(crate) notices: Vec<(&'static str, u64)>,
}

/// What the kernel side counted since load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KernelCounts {
    /// Records that each processor made, with the processor's number; those that were lost are included.
    pub(crate) produced: Vec<(u32, ByFamily)>,
    /// Those that were lost, over all processors.
    pub(crate) lost: LostRecords,
}

impl KernelCounts {
    /// All records that were made.
    pub(crate) fn total_produced(&self) -> u64 {
        self.produced.iter().flat_map(|(_, families)| families).sum()
    }
}

/// Numbers of records, each at its [`Family::index`].
pub(crate) type ByFamily = [u64; Family::COUNT];

/// Numbers of records, each at its [`RecordKind::index`].
pub(crate) type ByKind = [u64; RecordKind::COUNT];

/// Numbers of records that were lost, by [`LossReason::index`] and kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LostRecords(pub(crate) [ByKind; LossReason::COUNT]);

impl LostRecords {
    /// For this reason.
    pub(crate) fn of(&self, reason: LossReason) -> &ByKind {
        &self.0[reason.index()]
    }

    /// As [`Self::of`], to be changed.
    pub(crate) fn of_mut(&mut self, reason: LossReason) -> &mut ByKind {
        &mut self.0[reason.index()]
    }

    /// How many for this reason.
    pub(crate) fn total_of(&self, reason: LossReason) -> u64 {
        self.of(reason).iter().sum()
    }

    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.by_kind().iter().sum()
    }

    /// Those that have a number of their own: not what came of missed runs, which made no record.
    pub(crate) fn total_numbered(&self) -> u64 {
        self.total() - self.total_of(LossReason::MissedRun)
    }

    /// By kind alone.
    pub(crate) fn by_kind(&self) -> ByKind {
        let of_kind = |kind: usize| self.0.iter().map(move |reason| reason[kind]);
        std::array::from_fn(|kind| of_kind(kind).fold(0, u64::saturating_add))
    }

    /// By reason, named as in the metrics, and kind.
    pub(crate) fn by_reason(&self) -> [(&'static str, ByKind); LossReason::COUNT] {
        LossReason::ALL.map(|reason| (reason.label(), *self.of(reason)))
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
        let number = |reason: usize, kind: usize| combine(self.0[reason][kind], other.0[reason][kind]);
        LostRecords(std::array::from_fn(|reason| {
            std::array::from_fn(|kind| number(reason, kind))
        }))
    }
}

/// What somebody else on the machine changed of the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tampered {
    /// A program was not attached any more.
    Hook,
    /// A program could not be continued any more.
    TailCall,
    /// What wakes the sensor was set to something else.
    WakeUp,
    /// The kernel side's counters do not fit what came, or went backwards.
    Counters,
}

impl Tampered {
    pub(crate) const ALL: [Tampered; 4] = [Tampered::Hook, Tampered::TailCall, Tampered::WakeUp, Tampered::Counters];

    /// Its index in an array with an element for each.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The label in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Tampered::Hook => "hook",
            Tampered::TailCall => "tail_call",
            Tampered::WakeUp => "wake_up",
            Tampered::Counters => "counters",
        }
    }

    /// What a log line says.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Tampered::Hook => "a program of the kernel side was not attached any more",
            Tampered::TailCall => "the kernel side's program for further arguments was not where it was put",
            Tampered::WakeUp => "the kernel side was told not to wake the sensor, or to wake it too often",
            Tampered::Counters => "the kernel side's counters did not fit the records that came",
        }
    }
}

/// How often each was found, at its [`Tampered::index`].
pub(crate) type TamperCounts = [u64; Tampered::ALL.len()];

/// Counts of what came through the ring buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Records that were read, damaged ones included.
    pub received: u64,
    /// Records that were no records.
    pub damaged: u64,
    /// Records that are missing by the numbers of those that came.
    pub gaps: u64,
    /// Execs that announced more arguments or their environment, of which not all came.
    pub unfinished: u64,
    /// Records of further arguments or environments whose exec did not wait for them any longer.
    pub late: u64,
}

/// What is given up of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GivenUp {
    EndedTexts,
    Middles,
    Ended,
    LiveTexts,
    Live,
}

impl GivenUp {
    pub(crate) fn name(self) -> &'static str {
        match self {
            GivenUp::EndedTexts => "ended_texts",
            GivenUp::Middles => "middles",
            GivenUp::Ended => "ended",
            GivenUp::LiveTexts => "live_texts",
            GivenUp::Live => "live",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            GivenUp::EndedTexts => "ended processes lost their arguments, environment and paths for later events",
            GivenUp::Middles => {
                "processes kept only the ends of long arguments, environment and paths for later events"
            }
            GivenUp::Ended => "ended processes were forgotten early",
            GivenUp::LiveTexts => "processes lost their arguments, environment and paths for later events",
            GivenUp::Live => "processes were forgotten while they ran",
        }
    }
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
    pub(crate) decode: DecodeCounts,
    pub(crate) tampered: TamperCounts,
    pub(crate) table: TableCounts,
    /// Fork, exec and exit events that became records.
    pub(crate) events: u64,
    /// Containers whose users' names were not read.
    pub(crate) unread_users: u64,
    /// Cgroups of which the kernel side no longer knows the container, because there were too many.
    pub(crate) owners_forgotten: u64,
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
