//! How the sensor is: whether its threads go on with their work, and what it lacks to do all that it was told to.

use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::request::{Cause, ReloadRequest};
use crate::control::{Answering, Health, Reloaded};
use crate::history::HistoryState;
use crate::pipeline::Progress;
use crate::telemetry::beat::Beat;

/// A thread that has not done its round for so long hangs; each does one a second.
const HANGS_AFTER: Duration = Duration::from_secs(15);
/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a reload may take until nobody waits for it.
const RELOAD_LIMIT: Duration = Duration::from_secs(60);

/// Signs of life. Cheap to copy, and noting one never waits.
#[derive(Clone)]
pub(crate) struct Vitals(Arc<Inner>);

struct Inner {
    started: Instant,
    progress: Progress,
    supervision: Beat,
    notices: Beat,
    reload: SyncSender<ReloadRequest>,
    /// Set when all is attached and runs.
    watching: OnceLock<()>,
    status: Mutex<String>,
    /// Why the rules that there are do not run, if they do not.
    rules: Mutex<Option<String>>,
    history: OnceLock<HistoryState>,
}

impl Vitals {
    pub(super) fn new(progress: Progress, reload: SyncSender<ReloadRequest>) -> Self {
        Vitals(Arc::new(Inner {
            started: Instant::now(),
            progress,
            supervision: Beat::new(),
            notices: Beat::new(),
            reload,
            watching: OnceLock::new(),
            status: Mutex::new("starting".to_owned()),
            rules: Mutex::default(),
            history: OnceLock::new(),
        }))
    }

    /// Noted by the notices thread at each of its looks.
    pub(crate) fn notices(&self) -> &Beat {
        &self.0.notices
    }

    /// Noted by who supervises the threads.
    pub(super) fn supervision(&self) -> &Beat {
        &self.0.supervision
    }

    /// All is attached and runs.
    pub(super) fn watches(&self, status: &str) {
        self.0.supervision.note();
        self.0.notices.note();
        self.set_status(status);
        let _ = self.0.watching.set(());
    }

    pub(super) fn set_status(&self, status: &str) {
        status.clone_into(&mut self.0.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The rules that there are run, or not for this reason.
    pub(crate) fn set_rules(&self, problem: Option<String>) {
        *self.0.rules.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    pub(crate) fn set_history(&self, history: HistoryState) {
        let _ = self.0.history.set(history);
    }

    /// Why the sensor is not alive; empty if it is.
    pub(super) fn not_alive(&self) -> Vec<String> {
        let inner = &*self.0;
        if inner.watching.get().is_none() {
            let starting = inner.started.elapsed();
            return match starting > START_LIMIT {
                true => vec![format!("it has been starting for {} s", starting.as_secs())],
                false => Vec::new(),
            };
        }
        let rounds = [
            (
                "the ring buffer was last looked at",
                inner.progress.counted().at.elapsed(),
            ),
            ("threads were last supervised", inner.supervision.age()),
            ("counters were last looked at", inner.notices.age()),
        ];
        let hanging = rounds.into_iter().filter(|(_, age)| *age > HANGS_AFTER);
        hanging
            .map(|(what, age)| format!("{what} {} s ago", age.as_secs()))
            .collect()
    }

    fn not_ready(&self) -> Vec<String> {
        let inner = &*self.0;
        let mut problems = Vec::new();
        if inner.watching.get().is_none() {
            problems.push("it does not watch yet".to_owned());
        }
        problems.extend(inner.rules.lock().unwrap_or_else(PoisonError::into_inner).clone());
        if inner.history.get().is_some_and(HistoryState::is_failing) {
            problems.push("the history cannot be written".to_owned());
        }
        problems
    }
}

impl Answering for Vitals {
    fn health(&self) -> Health {
        Health {
            pid: std::process::id(),
            status: self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            not_alive: self.not_alive(),
            not_ready: self.not_ready(),
        }
    }

    fn reload(&self) -> Reloaded {
        let (answer, answered) = mpsc::sync_channel(1);
        let request = ReloadRequest {
            cause: Cause::Command,
            answer: Some(answer),
        };
        let not_taken = |what: &str| Reloaded {
            is_taken: false,
            what: what.to_owned(),
        };
        if self.0.reload.try_send(request).is_err() {
            return not_taken("other reloads are under way; try again");
        }
        let answer = answered.recv_timeout(RELOAD_LIMIT);
        answer.unwrap_or_else(|_| not_taken("nothing came of it: the sensor ends, or is far behind"))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn vitals() -> Vitals {
        let (reload, requests) = mpsc::sync_channel(1);
        thread::spawn(move || requests.into_iter().for_each(drop));
        Vitals::new(Progress::new(), reload)
    }

    #[test]
    fn a_sensor_that_starts_is_alive_and_not_ready_and_one_that_watches_is_both() {
        let vitals = vitals();
        let health = vitals.health();
        assert_eq!((health.not_alive.len(), health.not_ready.len()), (0, 1), "{health:?}");
        vitals.watches("watching");
        let health = vitals.health();
        assert_eq!((health.not_alive.len(), health.not_ready.len()), (0, 0), "{health:?}");
        assert_eq!((health.status.as_str(), health.pid), ("watching", std::process::id()));
    }

    #[test]
    fn what_was_not_taken_is_the_reason_until_it_is() {
        let vitals = vitals();
        vitals.watches("watching");
        vitals.set_rules(Some("`x.toml` is broken".to_owned()));
        assert_eq!(vitals.health().not_ready, ["`x.toml` is broken"]);
        vitals.set_rules(None);
        assert!(vitals.health().not_ready.is_empty());
    }

    #[test]
    fn a_reload_of_which_nothing_comes_is_not_taken() {
        assert!(!vitals().reload().is_taken);
    }
}
