//! What the sensor says of itself beside alerts: what it lost, what it could not do, who is to blame.
//!
//! Any thread raises a [`Notice`] with [`raise`], as it would log a line, and never waits. A thread of the agent takes
//! what was raised, merges it ([`Merged`]) and makes a document of it that goes the way of the alerts. Before that thread
//! runs, and in commands that have none, nothing becomes of a notice.

mod merged;
mod sender;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use crate::clock::wall_clock_ns;
use crate::telemetry::counts::GivenUp;
use crate::text::escape::Visible;

pub(crate) use merged::{Merged, Whose};
pub(crate) use sender::{Origin, Sender, SenderProgram};

/// Notices that may wait to be merged.
const QUEUE_LENGTH: usize = 4096;

/// All that [`Notice::action`] gives.
pub(crate) const ACTIONS: [&str; 23] = [
    "records-lost",
    "container-over-share",
    "output-refused",
    "output-behind",
    "log-lines-dropped",
    "thread-lost",
    "hook-blind",
    "hooks-untried",
    "kernel-side-changed",
    "sensor-signalled",
    "sensor-traced",
    "limit-changed",
    "events-behind",
    "clock-set",
    "sensor-stood-still",
    "sensor-ended-uncleanly",
    "handover-gap",
    "processes-given-up",
    "rule-forgot",
    "state-not-written",
    "engine-failing",
    "call-refused",
    "notices-missed",
];

static QUEUE: OnceLock<SyncSender<Raised>> = OnceLock::new();
/// Notices that found the queue full.
static MISSED: AtomicU64 = AtomicU64::new(0);
/// How often each was raised, as in [`ACTIONS`].
static RAISED: [AtomicU64; ACTIONS.len()] = [const { AtomicU64::new(0) }; ACTIONS.len()];

/// What the sensor may have to say of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Notice {
    /// Records of the kernel side, named as in the metrics, were lost for a reason, named likewise.
    RecordsLost { kind: &'static str, reason: &'static str },
    /// A container filled more than its share of the ring buffer while that was filling up; how many of its records
    /// were not sent.
    OverShare,
    /// Alerts, or events where these are what is written, were not taken by an output that was too slow.
    OutputRefused,
    /// Events wait in the ring buffer for an output that takes too little.
    OutputBehind,
    /// Lines about the sensor were not taken by a stderr that was too slow.
    LogLinesDropped,
    /// A thread ended unexpectedly; the sensor ends too.
    ThreadLost { thread: String },
    /// A hook does not report what the sensor itself did, or was found detached.
    HookBlind { hook: &'static str },
    /// The sensor could not do what its hooks are tried with, so that nobody knows whether they see.
    HooksUntried,
    /// Something of the kernel side, named as in the metrics, was found changed by somebody else.
    KernelSideChanged { what: &'static str },
    /// Somebody else sent the sensor a signal. Without the sender: several did.
    Signalled {
        signal: &'static str,
        origin: Origin,
        sender: Option<Arc<Sender>>,
    },
    /// Somebody holds the sensor with a debugger.
    Traced {
        origin: Origin,
        sender: Option<Arc<Sender>>,
    },
    /// Somebody else set a limit of the sensor's process.
    LimitChanged { limit: &'static str },
    /// The event thread is so far behind that what the sensor itself did has not come through.
    Behind,
    /// Somebody set the wall clock.
    ClockSet { way: ClockWay },
    /// The sensor did not run although it had not ended: it was stopped, or the host slept.
    StoodStill,
    /// The run before did not end as it should; from when it was last alive until this one watched, nobody did.
    EndedUncleanly,
    /// This run stood by and had no room for all that came after the one before had ended: nobody looked at that.
    HandoverGap,
    /// For want of room, something is no longer known of processes of the owner that takes the most.
    ProcessesGivenUp { what: GivenUp },
    /// For want of room, a rule of this name forgot keys, groups or sequences of which it may yet have told.
    RuleForgot { rule: String },
    /// Something in the state directory cannot be written: the `history`, or that the sensor is `running`.
    StateNotWritten { what: &'static str },
    /// A container engine, by its name and socket, does not answer, or not as it should.
    EngineFailing { engine: String },
    /// A thread of the sensor made a system call that none of its kind makes.
    CallRefused { call: String },
    /// Notices were not taken by a full queue.
    NoticesMissed,
}

impl Notice {
    /// The shortest time between two documents of it about the same owner.
    fn interval(&self) -> Duration {
        match self {
            // A container with much to remember goes on so for hours.
            Notice::ProcessesGivenUp { .. } => Duration::from_secs(60),
            _ => Duration::from_secs(10),
        }
    }

    /// `event.action`.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Notice::RecordsLost { .. } => "records-lost",
            Notice::OverShare => "container-over-share",
            Notice::OutputRefused => "output-refused",
            Notice::OutputBehind => "output-behind",
            Notice::LogLinesDropped => "log-lines-dropped",
            Notice::ThreadLost { .. } => "thread-lost",
            Notice::HookBlind { .. } => "hook-blind",
            Notice::HooksUntried => "hooks-untried",
            Notice::KernelSideChanged { .. } => "kernel-side-changed",
            Notice::Signalled { .. } => "sensor-signalled",
            Notice::Traced { .. } => "sensor-traced",
            Notice::LimitChanged { .. } => "limit-changed",
            Notice::Behind => "events-behind",
            Notice::ClockSet { .. } => "clock-set",
            Notice::StoodStill => "sensor-stood-still",
            Notice::EndedUncleanly => "sensor-ended-uncleanly",
            Notice::HandoverGap => "handover-gap",
            Notice::ProcessesGivenUp { .. } => "processes-given-up",
            Notice::RuleForgot { .. } => "rule-forgot",
            Notice::StateNotWritten { .. } => "state-not-written",
            Notice::EngineFailing { .. } => "engine-failing",
            Notice::CallRefused { .. } => "call-refused",
            Notice::NoticesMissed => "notices-missed",
        }
    }

    /// What it is about: a kind of record, a thread, a hook, a signal.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Notice::RecordsLost { kind, .. } => Some(kind),
            Notice::ThreadLost { thread } => Some(thread),
            Notice::HookBlind { hook } => Some(hook),
            Notice::LimitChanged { limit } => Some(limit),
            Notice::KernelSideChanged { what } => Some(what),
            Notice::ProcessesGivenUp { what } => Some(what.name()),
            Notice::RuleForgot { rule } => Some(rule),
            Notice::StateNotWritten { what } => Some(what),
            Notice::EngineFailing { engine } => Some(engine),
            Notice::CallRefused { call } => Some(call),
            Notice::Signalled { signal, .. } => Some(signal),
            _ => None,
        }
    }

    /// `event.reason`.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Notice::RecordsLost { reason, .. } => Some(reason),
            Notice::Signalled { origin, .. } | Notice::Traced { origin, .. } => Some(origin.name()),
            Notice::ClockSet { way } => Some(way.name()),
            _ => None,
        }
    }

    /// Who did what it tells of, if that is one process.
    pub(crate) fn sender(&self) -> Option<&Sender> {
        match self {
            Notice::Signalled { sender, .. } | Notice::Traced { sender, .. } => sender.as_deref(),
            _ => None,
        }
    }

    /// Leaves out who it was, so that it is the same as others like it.
    fn forget_sender(&mut self) {
        if let Notice::Signalled { sender, .. } | Notice::Traced { sender, .. } = self {
            *sender = None;
        }
    }

    /// Whether a line on stderr tells it already, nearer to where it happens and with what to do about it.
    pub(crate) fn is_logged_where_it_happens(&self) -> bool {
        matches!(
            self,
            Notice::RecordsLost { .. }
                | Notice::OutputRefused
                | Notice::OutputBehind
                | Notice::LogLinesDropped
                | Notice::ThreadLost { .. }
                | Notice::RuleForgot { .. }
                | Notice::StateNotWritten { .. }
                | Notice::EngineFailing { .. }
        )
    }

    /// One sentence for a person.
    pub(crate) fn message(&self, count: u64) -> String {
        match self {
            Notice::RecordsLost { kind, reason } => {
                format!(
                    "{count} kernel records of the kind `{kind}` were lost: {}",
                    words(reason)
                )
            }
            Notice::OverShare => format!(
                "a container fills more than its share of the ring buffer: {count} of its records were not sent"
            ),
            Notice::OutputRefused => {
                format!("{count} documents were not written: the output was too slow to take them")
            }
            Notice::OutputBehind => {
                "events wait in the kernel's ring buffer for an output that takes too little".to_owned()
            }
            Notice::LogLinesDropped => format!("{count} lines were not written to stderr, which was too slow"),
            Notice::ThreadLost { thread } => {
                format!("the thread `{}` ended unexpectedly: the sensor ends", Visible(thread))
            }
            Notice::HookBlind { hook } => {
                format!(
                    "the hook `{hook}` is, or was, blind: it did not report what the sensor itself did, or was detached"
                )
            }
            Notice::HooksUntried => "the hooks were not tried: the sensor could not start itself".to_owned(),
            Notice::KernelSideChanged { what } => {
                format!("somebody else changed the kernel side: {}", words(what))
            }
            Notice::Signalled { signal, sender, .. } => {
                format!(
                    "{signal} was sent to the sensor {count} times by {}",
                    of(sender.as_ref())
                )
            }
            Notice::Traced { sender, .. } => format!("the sensor was held by a debugger: {}", of(sender.as_ref())),
            Notice::LimitChanged { limit } => {
                format!("somebody set `{limit}` of the sensor's process; it is set back as far as the sensor may")
            }
            Notice::Behind => "events are so late that what the sensor itself did has not been seen yet".to_owned(),
            Notice::ClockSet { way } => format!("the wall clock was set {count} seconds {}", way.name()),
            Notice::StoodStill => {
                "the sensor stood still, and the ring buffer with it, although it had not ended".to_owned()
            }
            Notice::EndedUncleanly => {
                "the run before did not end as it should, and nobody watched until this one began".to_owned()
            }
            Notice::HandoverGap => {
                "while this sensor stood by, more came than it had room for: at what came after the end of the one before, \
                 nobody looked"
                    .to_owned()
            }
            Notice::ProcessesGivenUp { what } => {
                format!(
                    "{count} {}: all together take too much, and these the most",
                    what.description()
                )
            }
            Notice::RuleForgot { rule } => format!(
                "the rule `{}` forgot {count} groups for want of room: what they would have led to is not told",
                Visible(rule)
            ),
            Notice::StateNotWritten { what } => {
                format!("the state directory cannot be written ({what}); it is tried again")
            }
            Notice::EngineFailing { engine } => {
                format!(
                    "{} does not answer as it should: new containers have only their id",
                    Visible(engine)
                )
            }
            Notice::CallRefused { call } => format!(
                "the system call `{call}` was refused to a thread of the sensor {count} times: nothing that it does needs it"
            ),
            Notice::NoticesMissed => format!("{count} notices came faster than they could be merged"),
        }
    }
}

/// Which way a clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClockWay {
    Forward,
    Back,
}

impl ClockWay {
    fn name(self) -> &'static str {
        match self {
            ClockWay::Forward => "forward",
            ClockWay::Back => "back",
        }
    }
}

fn of(sender: Option<&Arc<Sender>>) -> String {
    sender.map_or_else(|| "several processes".to_owned(), |sender| sender.to_string())
}

/// A name of the metrics as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A notice on its way to be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) notice: Notice,
    pub(crate) whose: Whose,
    pub(crate) count: u64,
    /// From when to when it was so, by the wall clock, in nanoseconds since the epoch.
    pub(crate) since_ns: i64,
    pub(crate) until_ns: i64,
}

/// Raises a notice about `count` of something. `container` is the outermost one's id; without, it concerns the whole
/// sensor or the host.
pub(crate) fn raise(notice: Notice, container: Option<&str>, count: u64) {
    let whose = match container.filter(|container| !container.is_empty()) {
        Some(container) => Whose::Container(container.into()),
        None => Whose::Sensor,
    };
    raise_about(notice, whose, count);
}

/// As [`raise`].
pub(crate) fn raise_about(notice: Notice, whose: Whose, count: u64) {
    let now_ns = wall_clock_ns();
    send(Raised {
        notice,
        whose,
        count,
        since_ns: now_ns,
        until_ns: now_ns,
    });
}

/// Raises a notice about what the sensor did, or did not do, since some time.
pub(crate) fn raise_since(notice: Notice, since_ns: i64) {
    raise_between(notice, since_ns, wall_clock_ns());
}

/// As [`raise_since`], about a time that is over.
pub(crate) fn raise_between(notice: Notice, since_ns: i64, until_ns: i64) {
    send(Raised {
        notice,
        whose: Whose::Sensor,
        count: 1,
        since_ns,
        until_ns,
    });
}

fn send(raised: Raised) {
    let Some(queue) = QUEUE.get() else { return };
    count(&raised.notice);
    if let Err(TrySendError::Full(_)) = queue.try_send(raised) {
        MISSED.fetch_add(1, Relaxed);
    }
}

/// What is raised from now on; `None` if somebody takes it already.
pub(crate) fn take() -> Option<Receiver<Raised>> {
    let (queue, raised) = mpsc::sync_channel(QUEUE_LENGTH);
    QUEUE.set(queue).ok().map(|()| raised)
}

/// Counts that a notice was raised.
pub(crate) fn count(notice: &Notice) {
    let action = notice.action();
    if let Some(index) = ACTIONS.iter().position(|other| *other == action) {
        RAISED[index].fetch_add(1, Relaxed);
    }
}

/// How often each was raised, by [`Notice::action`].
pub(crate) fn counts() -> [(&'static str, u64); ACTIONS.len()] {
    std::array::from_fn(|index| (ACTIONS[index], RAISED[index].load(Relaxed)))
}

/// How many notices found the queue full since this was last asked.
pub(crate) fn take_missed() -> u64 {
    MISSED.swap(0, Relaxed)
}
