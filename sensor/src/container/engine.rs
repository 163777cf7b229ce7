//! A container engine: what it is, whose containers are its own, and how it does.
//!
//! An [`EngineSocket`] is what the operator names or what is found in its usual place. An [`Engine`]
//! holds what one engine has said and is shared by the thread that talks to it and those that ask.
//! No lock is held longer than it takes to read or change one entry, or to go through all of them
//! once.

use super::directory::cache::{Cache, Question};
use super::directory::{Lookup, LookupFailure};
use super::{Metadata, Runtime};
use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tracing::{info, warn};

/// An engine that comes and goes is heard of at most this often.
const LOSS_ANNOUNCED_EVERY: Duration = Duration::from_secs(10);

/// Engines that can be asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    Docker,
    /// Its socket speaks Docker's language.
    Podman,
    /// Its own interface, and CRI on the same socket.
    Containerd,
    /// CRI.
    CriO,
}

impl EngineKind {
    pub const ALL: [EngineKind; 4] = [
        EngineKind::Docker,
        EngineKind::Podman,
        EngineKind::Containerd,
        EngineKind::CriO,
    ];

    pub fn runtime(self) -> Runtime {
        match self {
            EngineKind::Docker => Runtime::Docker,
            EngineKind::Podman => Runtime::Podman,
            EngineKind::Containerd => Runtime::Containerd,
            EngineKind::CriO => Runtime::CriO,
        }
    }

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        self.runtime().name()
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Whose containers an engine's are. Nothing it says counts for any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// This host's.
    Host,
    /// A user's, in that user's part of the cgroup tree.
    User(u32),
    /// Those inside a container with this id or name, such as a kind node.
    Inside(String),
}

/// Where an engine is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSocket {
    pub kind: EngineKind,
    pub path: PathBuf,
    pub place: Place,
}

impl EngineSocket {
    /// An engine of this host.
    pub fn of_host(kind: EngineKind, path: impl Into<PathBuf>) -> EngineSocket {
        EngineSocket {
            kind,
            path: path.into(),
            place: Place::Host,
        }
    }
}

impl fmt::Display for EngineSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at `{}`", self.kind, self.path.display())
    }
}

/// Why an engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("there is no socket at this path")]
    Absent,
    #[error("the path of the socket is not valid UTF-8")]
    PathNotUtf8,
    #[error("no answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    #[error("the engine closed the stream of events")]
    EventsEnded,
    #[error("the stream of events broke off: {0}")]
    EventsBroken(String),
    #[error("{0}")]
    Client(String),
}

/// Where the connection to an engine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineState {
    Connecting,
    Connected {
        version: EngineVersion,
        since: SystemTime,
    },
    /// There is no socket at the path.
    Absent {
        since: SystemTime,
    },
    Failing {
        reason: String,
        since: SystemTime,
    },
}

/// What an engine says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineVersion {
    pub engine: String,
    pub api: String,
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "version {}, API {}", self.engine, self.api)
    }
}

/// An engine and how it does, for `doctor` and the status line.
#[derive(Clone, Debug)]
pub struct EngineStatus {
    pub socket: EngineSocket,
    pub state: EngineState,
    pub counters: EngineCounters,
}

/// Counted since the start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// Containers that are known at the moment, with those that are remembered for a while.
    pub known_containers: u64,
    /// Questions about single containers that were sent to the engine.
    pub inspections: u64,
    /// Questions about pods and images, each of which many containers share.
    pub further_questions: u64,
    /// Containers that nobody could be asked about, because too many questions were waiting.
    pub refused_questions: u64,
    /// Containers that were forgotten to make room.
    pub evicted_containers: u64,
    /// Labels and annotations that were left out or cut because of their number or size.
    pub cut_labels: u64,
}

/// One engine's containers and state.
pub(super) struct Engine {
    pub(super) socket: EngineSocket,
    standing: Mutex<Standing>,
    cache: Mutex<Cache>,
    /// Told when the engine is settled.
    settled: Condvar,
    inspections: AtomicU64,
    further_questions: AtomicU64,
    refused_questions: AtomicU64,
    cut_labels: AtomicU64,
}

/// Where the connection stands and what was said of it.
struct Standing {
    state: EngineState,
    /// Whether all that a listing showed has been asked about, or the engine was found to be away.
    is_settled: bool,
    loss_announced: bool,
    last_announced_loss: Option<Instant>,
}

impl Engine {
    pub(super) fn new(socket: EngineSocket, failure_memory: Duration) -> Engine {
        Engine {
            socket,
            standing: Mutex::new(Standing {
                state: EngineState::Connecting,
                is_settled: false,
                loss_announced: false,
                last_announced_loss: None,
            }),
            cache: Mutex::new(Cache::new(failure_memory)),
            settled: Condvar::new(),
            inspections: AtomicU64::new(0),
            further_questions: AtomicU64::new(0),
            refused_questions: AtomicU64::new(0),
            cut_labels: AtomicU64::new(0),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> EngineStatus {
        let cache = self.cache();
        EngineStatus {
            socket: self.socket.clone(),
            state: self.standing().state.clone(),
            counters: EngineCounters {
                known_containers: cache.len() as u64,
                inspections: self.inspections.load(Ordering::Relaxed),
                further_questions: self.further_questions.load(Ordering::Relaxed),
                refused_questions: self.refused_questions.load(Ordering::Relaxed),
                evicted_containers: cache.evicted(),
                cut_labels: self.cut_labels.load(Ordering::Relaxed),
            },
        }
    }

    /// What is known of a container; `ask` is called if the engine has to be asked, and gives
    /// whether the question was taken.
    pub(super) fn look_up(&self, id: &str, ask: impl FnOnce() -> bool) -> Lookup {
        let now = Instant::now();
        let mut cache = self.cache();
        let (lookup, question) = cache.look_up(id, now);
        if question == Question::Settled || ask() {
            return lookup;
        }
        self.count_refused_question();
        cache.fail(id, LookupFailure::TooManyQuestions, now);
        cache.look_up(id, now).0
    }

    /// Waits until all that the engine has listed has been asked about, or the engine is found to
    /// be away, at most until `deadline`.
    pub(super) fn wait_until_settled(&self, deadline: Instant) {
        let mut standing = self.standing();
        while !standing.is_settled {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            standing = self
                .settled
                .wait_timeout(standing, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// All that the first listing showed has been asked about, or the engine is away.
    pub(super) fn settle(&self) {
        self.standing().is_settled = true;
        self.settled.notify_all();
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.cache().knows(id)
    }

    pub(super) fn known_ids(&self) -> HashSet<String> {
        self.cache().known_ids()
    }

    pub(super) fn is_complete(&self, id: &str) -> bool {
        self.cache().is_complete(id)
    }

    pub(super) fn expect(&self, id: &str, metadata: Option<Metadata>) {
        self.cache().expect(id, metadata, Instant::now());
    }

    pub(super) fn complete(&self, id: &str, metadata: Metadata) {
        self.cut_labels.fetch_add(metadata.cut_labels, Ordering::Relaxed);
        self.cache().complete(id, metadata, Instant::now());
    }

    pub(super) fn fail(&self, id: &str, why: LookupFailure) {
        self.cache().fail(id, why, Instant::now());
    }

    pub(super) fn amend(&self, id: &str, change: impl FnOnce(&mut Metadata)) {
        self.cache().amend(id, change);
    }

    pub(super) fn remove(&self, id: &str) {
        self.cache().remove(id, Instant::now());
    }

    pub(super) fn count_inspection(&self) {
        self.inspections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_further_question(&self) {
        self.further_questions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_cut_labels(&self, number: u64) {
        self.cut_labels.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn count_refused_question(&self) {
        self.refused_questions.fetch_add(1, Ordering::Relaxed);
    }

    /// An engine that was not there, or whose loss was announced, is announced.
    pub(super) fn connected(&self, version: EngineVersion) {
        self.cache().forget_failures();
        let mut standing = self.standing();
        let is_new = matches!(standing.state, EngineState::Connecting | EngineState::Absent { .. });
        if standing.loss_announced || is_new {
            let socket = &self.socket;
            info!("connected to {socket}, {version}: its containers are known by name and image");
        }
        standing.loss_announced = false;
        standing.state = EngineState::Connected {
            version,
            since: SystemTime::now(),
        };
    }

    /// Announces the loss once, however often the engine is tried again, and not more often than
    /// [`LOSS_ANNOUNCED_EVERY`] if it comes and goes.
    pub(super) fn lost(&self, error: &EngineError) {
        self.cache()
            .fail_pending(&LookupFailure::EngineUnreachable, Instant::now());
        self.settle();
        let mut standing = self.standing();
        // What was never there is told of once, for all engines together, at the start.
        let never_was = matches!(
            (&standing.state, error),
            (
                EngineState::Connecting | EngineState::Absent { .. },
                EngineError::Absent
            )
        );
        standing.state = standing.state.after(error);
        if never_was {
            return;
        }
        let announced_lately = standing
            .last_announced_loss
            .is_some_and(|at| at.elapsed() < LOSS_ANNOUNCED_EVERY);
        if standing.loss_announced || announced_lately {
            return;
        }
        standing.loss_announced = true;
        standing.last_announced_loss = Some(Instant::now());
        let socket = &self.socket;
        match error {
            EngineError::Absent => info!("no {socket}: its containers have only their id until it is there"),
            error => {
                warn!("{socket} cannot be used: {error}; new containers have only their id until it answers again")
            }
        }
    }
}

impl EngineState {
    fn after(&self, error: &EngineError) -> EngineState {
        match (self, error) {
            (EngineState::Absent { since }, EngineError::Absent) => EngineState::Absent { since: *since },
            (EngineState::Connecting, EngineError::Absent) => EngineState::Absent {
                since: SystemTime::now(),
            },
            (EngineState::Failing { since, .. }, error) => EngineState::Failing {
                reason: error.to_string(),
                since: *since,
            },
            (_, error) => EngineState::Failing {
                reason: error.to_string(),
                since: SystemTime::now(),
            },
        }
    }
}
