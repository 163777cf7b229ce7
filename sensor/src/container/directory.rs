//! Names, images and labels of containers, ready when the event thread asks.
//!
//! A [`Directory`] keeps what the container engines have said. One thread talks to all engines
//! and fills it ahead of need: with a listing when an engine is reached, then from its events. So
//! [`Directory::get`] only reads memory and never waits; an id nobody has mentioned starts a
//! question, at most one per container at a time. Only [`Directory::wait`], which is for the
//! thread that writes alerts, waits, and then no longer than it is told.
//!
//! Nothing an engine does, or fails to do, is an error here: each answer says what is known and,
//! if that is not all, why.

mod cache;

use crate::container::docker::{self, EngineError, Timing};
use crate::container::{ContainerIdentity, Metadata, Runtime};
use cache::{Cache, Question};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tracing::{info, warn};

pub(super) use cache::CONTAINERS_AT_MOST;

/// The most questions of the event thread that wait for an engine to take them.
const REQUESTS_AT_MOST: usize = 1024;

/// An engine that comes and goes is heard of at most this often.
const LOSS_ANNOUNCED_EVERY: Duration = Duration::from_secs(10);

/// What an engine is asked about, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSocket {
    /// [`Runtime::Docker`] or [`Runtime::Podman`], whose socket speaks Docker's language.
    pub runtime: Runtime,
    pub path: PathBuf,
}

/// The answer to a question about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// All that the engine tells.
    Complete(Arc<Metadata>),
    /// The engine is being asked; its event about the container may have told a part already.
    Pending(Option<Arc<Metadata>>),
    /// The engine could not be asked or did not know; a part may be known nevertheless.
    Failed(LookupFailure, Option<Arc<Metadata>>),
}

impl Lookup {
    /// All that is known by now.
    pub fn metadata(&self) -> Option<&Arc<Metadata>> {
        match self {
            Lookup::Complete(metadata) => Some(metadata),
            Lookup::Pending(metadata) | Lookup::Failed(_, metadata) => metadata.as_ref(),
        }
    }
}

/// Why nothing more is known about a container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailure {
    #[error("no engine is configured that can know this container")]
    NoEngine,
    #[error("the engine cannot be reached")]
    EngineUnreachable,
    #[error("the engine does not know this container")]
    NotFound,
    #[error("too many questions to the engine are waiting")]
    TooManyQuestions,
    #[error("the engine did not answer the question: {0}")]
    NoAnswer(String),
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
    /// Questions about single containers that were sent to the engine.
    pub inspections: u64,
    /// Containers that nobody could be asked about, because too many questions were waiting.
    pub refused_questions: u64,
    /// Containers that were forgotten to make room.
    pub evicted_containers: u64,
    /// Labels that were left out or cut because of their number or size.
    pub cut_labels: u64,
}

/// A handle to what is known about containers. Clones share it; when the last one is gone, the
/// thread that talks to the engines ends.
#[derive(Clone)]
pub struct Directory {
    links: Arc<[Link]>,
}

/// An engine and the way to ask it.
struct Link {
    engine: Arc<Engine>,
    requests: mpsc::Sender<String>,
}

impl Directory {
    /// Starts the thread that talks to the engines. None of them has to be there. Fails only if
    /// the system refuses a thread.
    pub fn start(sockets: Vec<EngineSocket>) -> io::Result<Directory> {
        Directory::start_with(sockets, Timing::default())
    }

    pub(super) fn start_with(sockets: Vec<EngineSocket>, timing: Timing) -> io::Result<Directory> {
        let mut links = Vec::new();
        let mut watches = Vec::new();
        for socket in sockets {
            let engine = Arc::new(Engine::new(socket, timing.failure_memory));
            let (requests, receiver) = mpsc::channel(REQUESTS_AT_MOST);
            watches.push(docker::watch(engine.clone(), receiver, timing));
            links.push(Link { engine, requests });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("engines".to_owned())
            .spawn(move || runtime.block_on(futures_util::future::join_all(watches)))?;
        Ok(Directory { links: links.into() })
    }

    /// What is known now. Never waits; an engine that has not been asked is asked.
    ///
    /// An identity that was claimed inside another container, or in a user's part of the cgroup
    /// tree, gets nothing: the engines here did not make it, whatever its id says.
    pub fn get(&self, identity: &ContainerIdentity) -> Lookup {
        match self.link(identity) {
            Some(link) => link.get(&identity.id),
            None => Lookup::Failed(LookupFailure::NoEngine, None),
        }
    }

    /// As [`Directory::get`], but waits for an answer that is pending, at most for `limit`.
    pub fn wait(&self, identity: &ContainerIdentity, limit: Duration) -> Lookup {
        match self.link(identity) {
            Some(link) => link.wait(&identity.id, limit),
            None => Lookup::Failed(LookupFailure::NoEngine, None),
        }
    }

    /// The container a process is in, as far as the engines can tell the truth of a claim.
    ///
    /// A cgroup made inside a container, or by a user, may bear any id. An engine's own containers
    /// are in neither place, so a claim to be one of them is a lie, and the outermost container,
    /// or none, is what remains.
    pub fn unmask(&self, identity: ContainerIdentity) -> Option<ContainerIdentity> {
        let claimed = identity.nested_in.is_some() || identity.rootless_owner.is_some();
        if claimed && self.links.iter().any(|link| link.engine.knows(&identity.id)) {
            return identity.nested_in.map(|outermost| *outermost);
        }
        Some(identity)
    }

    pub fn engines(&self) -> Vec<EngineStatus> {
        self.links.iter().map(|link| link.engine.status()).collect()
    }

    /// The engine to ask. Where the path does not tell the runtime, the first one.
    fn link(&self, identity: &ContainerIdentity) -> Option<&Link> {
        if identity.nested_in.is_some() || identity.rootless_owner.is_some() {
            return None;
        }
        self.links.iter().find(|link| {
            identity
                .runtime
                .is_none_or(|runtime| runtime == link.engine.socket.runtime)
        })
    }
}

impl Link {
    fn get(&self, id: &str) -> Lookup {
        let mut cache = self.engine.cache();
        self.look_up(&mut cache, id)
    }

    fn wait(&self, id: &str, limit: Duration) -> Lookup {
        let deadline = Instant::now() + limit;
        let mut cache = self.engine.cache();
        loop {
            let lookup = self.look_up(&mut cache, id);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !matches!(lookup, Lookup::Pending(_)) {
                return lookup;
            }
            cache = self
                .engine
                .answered
                .wait_timeout(cache, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn look_up(&self, cache: &mut Cache, id: &str) -> Lookup {
        let now = Instant::now();
        let (lookup, question) = cache.look_up(id, now);
        if question == Question::Settled || self.requests.try_send(id.to_owned()).is_ok() {
            return lookup;
        }
        self.engine.count_refused_question();
        cache.fail(id, LookupFailure::TooManyQuestions, now);
        cache.look_up(id, now).0
    }
}

/// One engine's containers and state, shared by the thread that talks to it and those that ask.
///
/// No lock is held longer than it takes to read or change one entry, or to go through all of them
/// once.
pub(super) struct Engine {
    pub(super) socket: EngineSocket,
    standing: Mutex<Standing>,
    cache: Mutex<Cache>,
    /// Told whenever a pending container may have become something else.
    answered: Condvar,
    inspections: AtomicU64,
    refused_questions: AtomicU64,
    cut_labels: AtomicU64,
}

/// Where the connection stands and what was said of it.
struct Standing {
    state: EngineState,
    loss_announced: bool,
    last_announced_loss: Option<Instant>,
}

impl Engine {
    fn new(socket: EngineSocket, failure_memory: Duration) -> Engine {
        Engine {
            socket,
            standing: Mutex::new(Standing {
                state: EngineState::Connecting,
                loss_announced: false,
                last_announced_loss: None,
            }),
            cache: Mutex::new(Cache::new(failure_memory)),
            answered: Condvar::new(),
            inspections: AtomicU64::new(0),
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

    fn status(&self) -> EngineStatus {
        EngineStatus {
            socket: self.socket.clone(),
            state: self.standing().state.clone(),
            counters: EngineCounters {
                inspections: self.inspections.load(Ordering::Relaxed),
                refused_questions: self.refused_questions.load(Ordering::Relaxed),
                evicted_containers: self.cache().evicted(),
                cut_labels: self.cut_labels.load(Ordering::Relaxed),
            },
        }
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
        self.answered.notify_all();
    }

    pub(super) fn fail(&self, id: &str, why: LookupFailure) {
        self.cache().fail(id, why, Instant::now());
        self.answered.notify_all();
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

    pub(super) fn count_refused_question(&self) {
        self.refused_questions.fetch_add(1, Ordering::Relaxed);
    }

    /// An engine that was never reached, or whose loss was announced, is announced.
    pub(super) fn connected(&self, version: EngineVersion) {
        self.cache().forget_failures();
        let mut standing = self.standing();
        if standing.loss_announced || standing.state == EngineState::Connecting {
            let runtime = self.socket.runtime;
            let path = self.socket.path.display();
            info!("connected to {runtime} at `{path}`, {version}: its containers are known by name and image");
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
        self.answered.notify_all();
        let mut standing = self.standing();
        standing.state = standing.state.after(error);
        let announced_lately = standing
            .last_announced_loss
            .is_some_and(|at| at.elapsed() < LOSS_ANNOUNCED_EVERY);
        if standing.loss_announced || announced_lately {
            return;
        }
        standing.loss_announced = true;
        standing.last_announced_loss = Some(Instant::now());
        let runtime = self.socket.runtime;
        let path = self.socket.path.display();
        match error {
            EngineError::Absent => {
                info!("no {runtime} at `{path}`: its containers have only their id until it is there")
            }
            error => warn!(
                "{runtime} at `{path}` cannot be used: {error}; new containers have only their id until it answers again"
            ),
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

#[cfg(test)]
mod tests;
