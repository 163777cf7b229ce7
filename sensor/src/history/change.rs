//! What goes to the thread that writes, and what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::terms::SMALLER;

/// Changes that may wait for the writing thread, each with a term of up to a kilobyte.
pub(super) const QUEUE_LENGTH: usize = 8 * 1024 / SMALLER;

/// A change on its way to the disk. A term's last change is all that counts.
pub(super) enum Change {
    /// How far the history's time has come.
    Clock {
        time_ms: i64,
    },
    /// Events up to this time of the boot clock are this sensor's, and later ones are whose comes after it.
    WatchedUntil {
        boot_ns: i64,
    },
    RuleFirstSeen {
        rule: Arc<str>,
        time_ms: i64,
    },
    TermSeen {
        rule: Arc<str>,
        term: Arc<str>,
        seen: Seen,
    },
    TermForgotten {
        rule: Arc<str>,
        term: Arc<str>,
    },
    /// The disk is to forget all terms: those of now follow.
    TermsAnew,
}

/// What is on disk of a term.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) time_ms: i64,
    /// The containers that hold it, one a line, the host as an empty one.
    pub(super) holders: String,
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) committed: AtomicU64,
    pub(super) write_errors: AtomicU64,
    pub(super) unsaved: AtomicU64,
    /// The database on disk began empty while this history ran: everything has to be written again.
    pub(super) was_replaced: AtomicBool,
    /// While this one stands by: its hooks are attached, and it holds what comes.
    pub(super) is_holding: AtomicBool,
    /// Another sensor still has the state directory.
    pub(super) stands_by: AtomicBool,
    /// What changed last could not be written.
    pub(super) is_failing: AtomicBool,
    /// Nothing more will come.
    pub(super) is_closing: AtomicBool,
}

/// What to do where another sensor has the history.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenInUse {
    Refuse,
    StandBy,
}

/// What the sensor before left.
pub(crate) struct TakenOver {
    pub(crate) watched_until_ns: Option<i64>,
}

/// How the history is, for other threads to see.
#[derive(Clone, Default)]
pub(crate) struct HistoryState(pub(super) Arc<Shared>);

impl HistoryState {
    /// Whether another sensor still has it.
    pub(crate) fn stands_by(&self) -> bool {
        self.0.stands_by.load(Relaxed)
    }

    /// Whether it cannot be written at present.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.is_failing.load(Relaxed)
    }
}
