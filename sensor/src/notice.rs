//! What the sensor says of itself beside alerts: what it lost, what it could not do, who is to blame.
//!
//! Any thread raises a [`Notice`] with [`raise`], as it would log a line, and never waits. A thread of the agent takes
//! what was raised, merges it ([`Merged`]) and makes a document of it that goes the way of the alerts. Before that thread
//! runs, and in commands that have none, nothing becomes of a notice.

mod merged;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};

use crate::clock::wall_clock_ns;
use crate::text::escape::Visible;

pub(crate) use merged::{Merged, Whose};

/// Notices that may wait to be merged.
const QUEUE_LENGTH: usize = 4096;

static QUEUE: OnceLock<SyncSender<Raised>> = OnceLock::new();
/// Notices that found the queue full.
static MISSED: AtomicU64 = AtomicU64::new(0);

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
    /// Lines about the sensor were not taken by a stderr that was too slow.
    LogLinesDropped,
    /// A thread ended unexpectedly; the sensor ends too.
    ThreadLost { thread: String },
    /// A hook does not report what the sensor itself did, or was found detached.
    HookBlind { hook: &'static str },
    /// Something of the kernel side, named as in the metrics, was found changed by somebody else.
    KernelSideChanged { what: &'static str },
    /// The event thread is so far behind that what the sensor itself did has not come through.
    Behind,
    /// The sensor did not run although it had not ended: it was stopped, or the host slept.
    StoodStill,
    /// The run before did not end as it should; from when it was last alive until this one watched, nobody did.
    EndedUncleanly,
    /// Notices were not taken by a full queue.
    NoticesMissed,
}

impl Notice {
    /// `event.action`.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Notice::RecordsLost { .. } => "records-lost",
            Notice::OverShare => "container-over-share",
            Notice::OutputRefused => "output-refused",
            Notice::LogLinesDropped => "log-lines-dropped",
            Notice::ThreadLost { .. } => "thread-lost",
            Notice::HookBlind { .. } => "hook-blind",
            Notice::KernelSideChanged { .. } => "kernel-side-changed",
            Notice::Behind => "events-behind",
            Notice::StoodStill => "sensor-stood-still",
            Notice::EndedUncleanly => "sensor-ended-uncleanly",
            Notice::NoticesMissed => "notices-missed",
        }
    }

    /// What it is about: a kind of record, a thread, a hook.
    pub(crate) fn subject(&self) -> Option<&str> {
        match self {
            Notice::RecordsLost { kind, .. } => Some(kind),
            Notice::ThreadLost { thread } => Some(thread),
            Notice::HookBlind { hook } => Some(hook),
            Notice::KernelSideChanged { what } => Some(what),
            _ => None,
        }
    }

    /// `event.reason`.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Notice::RecordsLost { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether a line on stderr tells it already, nearer to where it happens and with what to do about it.
    pub(crate) fn is_logged_where_it_happens(&self) -> bool {
        matches!(
            self,
            Notice::RecordsLost { .. } | Notice::OutputRefused | Notice::LogLinesDropped | Notice::ThreadLost { .. }
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
            Notice::LogLinesDropped => format!("{count} lines were not written to stderr, which was too slow"),
            Notice::ThreadLost { thread } => {
                format!("the thread `{}` ended unexpectedly: the sensor ends", Visible(thread))
            }
            Notice::HookBlind { hook } => {
                format!(
                    "the hook `{hook}` is, or was, blind: it did not report what the sensor itself did, or was detached"
                )
            }
            Notice::KernelSideChanged { what } => {
                format!("somebody else changed the kernel side: {}", words(what))
            }
            Notice::Behind => "events are so late that what the sensor itself did has not been seen yet".to_owned(),
            Notice::StoodStill => {
                "the sensor stood still, and the ring buffer with it, although it had not ended".to_owned()
            }
            Notice::EndedUncleanly => {
                "the run before did not end as it should, and nobody watched until this one began".to_owned()
            }
            Notice::NoticesMissed => format!("{count} notices came faster than they could be merged"),
        }
    }
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
    let now_ns = wall_clock_ns();
    raise_between(notice, container, count, now_ns, now_ns);
}

/// Raises a notice about what lasted from one time to another.
pub(crate) fn raise_between(notice: Notice, container: Option<&str>, count: u64, since_ns: i64, until_ns: i64) {
    let Some(queue) = QUEUE.get() else { return };
    let whose = match container.filter(|container| !container.is_empty()) {
        Some(container) => Whose::Container(container.into()),
        None => Whose::Sensor,
    };
    let raised = Raised {
        notice,
        whose,
        count,
        since_ns,
        until_ns,
    };
    if let Err(TrySendError::Full(_)) = queue.try_send(raised) {
        MISSED.fetch_add(1, Relaxed);
    }
}

/// What is raised from now on; `None` if somebody takes it already.
pub(crate) fn take() -> Option<Receiver<Raised>> {
    let (queue, raised) = mpsc::sync_channel(QUEUE_LENGTH);
    QUEUE.set(queue).ok().map(|()| raised)
}

/// How many notices found the queue full since this was last asked.
pub(crate) fn take_missed() -> u64 {
    MISSED.swap(0, Relaxed)
}
