//! One engine: what it has reported, and the state of the connection to it.
//!
//! Shared by the thread that talks to the engine and the threads that ask about its containers. No lock is held longer
//! than it takes to read or change one entry, or to walk all of them once.

use crate::cache::{Budget, Cache, Question};
use crate::meter::Meter;
use crate::model::{
    EngineCounters, EngineError, EngineSocket, EngineState, EngineStatus, EngineVersion, Lookup, LookupFailure,
    Metadata,
};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How often the loss of an engine that comes and goes is logged at most.
const LOSS_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// How often it is logged at most that an engine says too much.
const PAUSES_LOGGED_EVERY: Duration = Duration::from_secs(60);

/// One engine's containers and state.
pub(crate) struct Engine {
    pub(crate) socket: EngineSocket,
    /// What reading its answers may take.
    pub(crate) meter: Meter,
    /// Whether a thread is still looking up the path of the socket.
    pub(crate) is_opening: Arc<AtomicBool>,
    connection: Mutex<ConnectionState>,
    cache: Mutex<Cache>,
    /// Notified when `is_synced` becomes true.
    synced: Condvar,
    /// Grows with what is known.
    revision: AtomicU64,
    inspections: AtomicU64,
    further_questions: AtomicU64,
    refused_questions: AtomicU64,
    cut_labels: AtomicU64,
    cut_answers: AtomicU64,
}

/// The state of the connection, and what was logged about it.
struct ConnectionState {
    state: EngineState,
    /// Whether everything in the first listing has been asked about, or the engine was found to be away.
    is_synced: bool,
    loss_logged: bool,
    last_logged_loss: Option<Instant>,
    /// How many pauses there were when they were last logged, and when.
    logged_pauses: u64,
    last_logged_pauses: Option<Instant>,
}

impl Engine {
    pub(crate) fn new(socket: EngineSocket, failure_memory: Duration, budget: &Arc<Budget>) -> Engine {
        Engine {
            socket,
            meter: Meter::default(),
            is_opening: Arc::default(),
            connection: Mutex::new(ConnectionState {
                state: EngineState::Connecting,
                is_synced: false,
                loss_logged: false,
                last_logged_loss: None,
                logged_pauses: 0,
                last_logged_pauses: None,
            }),
            cache: Mutex::new(Cache::new(failure_memory, Arc::clone(budget))),
            synced: Condvar::new(),
            revision: AtomicU64::new(0),
            inspections: AtomicU64::new(0),
            further_questions: AtomicU64::new(0),
            refused_questions: AtomicU64::new(0),
            cut_labels: AtomicU64::new(0),
            cut_answers: AtomicU64::new(0),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self) -> MutexGuard<'_, ConnectionState> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> EngineStatus {
        let cache = self.cache();
        EngineStatus {
            socket: self.socket.clone(),
            state: self.connection().state.clone(),
            counters: EngineCounters {
                known_containers: cache.len() as u64,
                inspections: self.inspections.load(Ordering::Relaxed),
                further_questions: self.further_questions.load(Ordering::Relaxed),
                refused_questions: self.refused_questions.load(Ordering::Relaxed),
                evicted_containers: cache.evicted(),
                cut_labels: self.cut_labels.load(Ordering::Relaxed),
                cut_answers: self.cut_answers.load(Ordering::Relaxed),
                pauses: self.meter.pauses(),
            },
        }
    }

    /// What is known about a container. `ask` is called if the engine has to be asked; it returns whether the question
    /// was queued.
    pub(crate) fn look_up(&self, id: &str, ask: impl FnOnce() -> bool) -> Lookup {
        let now = Instant::now();
        let mut cache = self.cache();
        let (lookup, question) = cache.look_up(id, now);
        if question == Question::NotNeeded || ask() {
            return lookup;
        }
        self.count_refused_question();
        cache.fail(id, LookupFailure::TooManyQuestions, now);
        cache.look_up(id, now).0
    }

    /// Waits until everything in the first listing has been asked about or the engine was found to be away, at most
    /// until `deadline`.
    pub(crate) fn wait_until_synced(&self, deadline: Instant) {
        let mut connection = self.connection();
        while !connection.is_synced {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            connection = self
                .synced
                .wait_timeout(connection, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Everything in the first listing has been asked about, or the engine is away.
    pub(crate) fn mark_synced(&self) {
        self.connection().is_synced = true;
        self.synced.notify_all();
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.cache().knows(id)
    }

    pub(crate) fn known_ids(&self) -> HashSet<String> {
        self.cache().known_ids()
    }

    pub(crate) fn is_complete(&self, id: &str) -> bool {
        self.cache().is_complete(id)
    }

    /// See [`Cache::ask_again`].
    pub(crate) fn ask_again(&self) -> Vec<String> {
        self.cache().ask_again(Instant::now())
    }

    /// Whether all is known of a container that the engine still has.
    pub(crate) fn is_current(&self, id: &str) -> bool {
        self.cache().is_current(id)
    }

    pub(crate) fn expect(&self, id: &str, metadata: Option<Metadata>) {
        self.cache().expect(id, metadata);
    }

    pub(crate) fn complete(&self, id: &str, metadata: Metadata) {
        self.cut_labels.fetch_add(metadata.cut_labels, Ordering::Relaxed);
        self.cache().complete(id, metadata);
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// The answer to a question from before the container was removed. Whether the engine has to be asked again.
    pub(crate) fn complete_removed(&self, id: &str, metadata: Option<Metadata>) -> Question {
        let question = self.cache().complete_removed(id, metadata);
        self.revision.fetch_add(1, Ordering::Release);
        question
    }

    /// Grows whenever more is known of a container.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The first of these cgroups that is a container's by the engine's own word: its position, and the container's id.
    pub(crate) fn in_cgroup(&self, paths: &[&str]) -> Option<(usize, String)> {
        let cache = self.cache();
        let mut paths = paths.iter().enumerate();
        paths.find_map(|(position, path)| Some((position, cache.in_cgroup(path)?.to_owned())))
    }

    pub(crate) fn fail(&self, id: &str, why: LookupFailure) {
        self.cache().fail(id, why, Instant::now());
    }

    pub(crate) fn amend(&self, id: &str, change: impl FnOnce(&mut Metadata)) {
        self.cache().amend(id, change);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.cache().remove(id, Instant::now());
    }

    pub(crate) fn count_inspection(&self) {
        self.inspections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_further_question(&self) {
        self.further_questions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_cut_labels(&self, number: u64) {
        self.cut_labels.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn count_cut_answer(&self) {
        self.cut_answers.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that the engine is read slowly, if it is.
    pub(crate) fn report_pauses(&self) {
        let pauses = self.meter.pauses();
        let mut connection = self.connection();
        let logged_lately = connection
            .last_logged_pauses
            .is_some_and(|at| at.elapsed() < PAUSES_LOGGED_EVERY);
        if pauses == connection.logged_pauses || logged_lately {
            return;
        }
        connection.logged_pauses = pauses;
        connection.last_logged_pauses = Some(Instant::now());
        warn!(
            "{} says more than is read of it: it is read slowly, and what is known of its containers may be late",
            self.socket
        );
    }

    pub(crate) fn count_refused_question(&self) {
        self.refused_questions.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs the connection if the engine was not there before, or if its loss was logged.
    pub(crate) fn connected(&self, version: &EngineVersion) {
        self.cache().forget_failures();
        let mut connection = self.connection();
        let is_new = matches!(connection.state, EngineState::Connecting | EngineState::Absent);
        if connection.loss_logged || is_new {
            let socket = &self.socket;
            info!("connected to {socket}, {version}: its containers are known by name and image");
        }
        connection.loss_logged = false;
        connection.state = EngineState::Connected;
    }

    /// Logs the loss once, however often the connection is retried, and at most every [`LOSS_LOGGED_EVERY`] if the
    /// engine comes and goes.
    pub(crate) fn lost(&self, error: &EngineError) {
        self.cache()
            .fail_pending(&LookupFailure::EngineUnreachable, Instant::now());
        self.mark_synced();
        let mut connection = self.connection();
        // What was never there is reported once, for all engines together, at the start.
        if let (EngineState::Connecting | EngineState::Absent, EngineError::Absent) = (&connection.state, error) {
            connection.state = EngineState::Absent;
            return;
        }
        connection.state = EngineState::Failing {
            reason: error.to_string(),
        };
        let logged_lately = connection
            .last_logged_loss
            .is_some_and(|at| at.elapsed() < LOSS_LOGGED_EVERY);
        if connection.loss_logged || logged_lately {
            return;
        }
        connection.loss_logged = true;
        connection.last_logged_loss = Some(Instant::now());
        let socket = &self.socket;
        match error {
            EngineError::Absent => info!("no {socket}: its containers have only their id until it is there"),
            error => {
                warn!("{socket} cannot be used: {error}; new containers have only their id until it answers again")
            }
        }
    }
}
