//! What has been seen before, in memory for the event thread and on disk for the next start.
//!
//! The [`TermHistory`] behind `run`. The event thread asks memory alone and never waits: every change goes through a
//! bounded queue to a thread that writes it to a database in the state directory, as soon as the one before is
//! written. So memory is always right, and the disk is right but for what the last moments before a crash added:
//! a term can be lost there, which repeats an alert, but never gained, which would hide one.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rule_engine::{FairQuota, Owner, TermHistory};

use crate::telemetry::counts::HistoryCounts;

mod change;
mod store;
mod writer;

use change::{Change, Shared};
use store::{OpenError, Opened, Opener};
use writer::Writer;

/// The database's name in the state directory.
pub(crate) const FILE_NAME: &str = "history.redb";

/// Terms of one rule that are remembered; past that, the one is forgotten that has been unseen the longest among those of
/// the container with the most.
pub(crate) const MAX_TERMS_PER_RULE: usize = 50_000;
/// Changes that may wait for the writing thread.
const QUEUE_LENGTH: usize = 64 * 1024;
/// A term that is seen again is written again only when what the disk knows is this much older. After a crash a term
/// may be taken to be unseen for that much longer than it was, which is little against windows of days.
const REFRESH_INTERVAL_MS: i64 = 60 * 1000;
/// How much event time passes between searches for terms that no rule asks about any more.
const PRUNE_INTERVAL_MS: i64 = 60 * 60 * 1000;
/// How often changes that found the queue full are offered again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Why there is no history to start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error("cannot make the state directory `{path}`")]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "the history `{path}` is in use by another tidewaiter; end that one, or give this one a `state_directory` of \
         its own"
    )]
    InUse { path: PathBuf },
    #[error("cannot open the history `{path}`")]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot start the thread that writes the history")]
    Thread(#[source] io::Error),
}

/// Remembers when each term of each rule was last seen.
pub(crate) struct History {
    rules: HashMap<Arc<str>, RuleTerms>,
    /// Terms unseen for longer than this are of no use to any rule.
    keep_ms: i64,
    pruned_at_ms: i64,
    evicted: u64,
    changes: SyncSender<Change>,
    /// Since when some change has not been taken by the queue, and when that was last tried.
    behind: Option<Instant>,
    shared: Arc<Shared>,
    /// Closed by the writing thread's end.
    ended: Receiver<()>,
    thread: Arc<JoinHandle<()>>,
}

#[derive(Default)]
struct RuleTerms {
    first_seen: Option<Stored>,
    terms: HashMap<Arc<str>, Term>,
    /// The same terms, longest unseen first. Those that the disk knew from an earlier run are nobody's.
    by_age: FairQuota<Arc<str>>,
    evictions_reported: bool,
}

struct Term {
    /// The container that brought it.
    owner: Owner,
    stored: Stored,
}

#[derive(Clone, Copy)]
struct Stored {
    time_ms: i64,
    /// The time that was handed to the writing thread, which may be earlier; `None` if none was.
    handed_on_ms: Option<i64>,
}

impl History {
    /// Opens the history in the state directory, which is made if it is missing. `keep` is the longest window of any
    /// rule. A damaged file is put aside, and an unwritable disk is tried again later: both are said, neither is an
    /// error.
    pub(crate) fn open(state_directory: &Path, keep: Duration) -> Result<Self, HistoryError> {
        make_directory(state_directory).map_err(|source| HistoryError::Directory {
            path: state_directory.to_owned(),
            source,
        })?;
        let path = state_directory.join(FILE_NAME);
        Self::open_with(Opener::File(path), keep)
    }

    fn open_with(opener: Opener, keep: Duration) -> Result<Self, HistoryError> {
        let path = opener.path().to_owned();
        let opened = match store::open(&opener) {
            Ok(opened) => Some(opened),
            Err(OpenError::InUse) => return Err(HistoryError::InUse { path }),
            Err(OpenError::Io(error)) if is_lasting(&error) => return Err(HistoryError::Open { path, source: error }),
            Err(OpenError::Io(error)) => {
                tracing::error!(
                    "cannot open the history `{}`: {error}; what is seen is remembered in memory alone until it works",
                    path.display()
                );
                None
            }
        };
        let Opened { database, contents } = opened.unwrap_or_default();
        let (changes, queued) = mpsc::sync_channel(QUEUE_LENGTH);
        let (end, ended) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(opener, database, queued, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                let end_of_thread = end;
                writer.run();
                drop(end_of_thread);
            })
            .map_err(HistoryError::Thread)?;

        let mut history = Self {
            rules: HashMap::new(),
            keep_ms: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX),
            pruned_at_ms: i64::MIN,
            evicted: 0,
            changes,
            behind: None,
            shared,
            ended,
            thread: Arc::new(thread),
        };
        for (rule, time_ms) in contents.rules {
            history.rule_mut(&rule.into()).first_seen = Some(Stored::on_disk(time_ms));
        }
        for (rule, term, time_ms) in contents.terms {
            history.set(&rule.into(), &term.into(), "", Stored::on_disk(time_ms));
        }
        Ok(history)
    }

    /// The thread that writes.
    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Takes the longest window of another set of rules.
    pub(crate) fn keep_for(&mut self, keep: Duration) {
        self.keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    }

    pub(crate) fn counts(&self) -> HistoryCounts {
        HistoryCounts {
            terms: self.rules.values().map(|rule| rule.terms.len() as u64).sum(),
            evicted: self.evicted,
            committed: self.shared.committed.load(Relaxed),
            write_errors: self.shared.write_errors.load(Relaxed),
            unsaved: self.shared.unsaved.load(Relaxed),
        }
    }

    /// Writes what is not on disk yet, for at most `time_limit`.
    pub(crate) fn close(mut self, time_limit: Duration) -> HistoryCounts {
        let deadline = Instant::now() + time_limit;
        while self.hand_on_everything(0) == Queue::Full && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let mut counts = self.counts();
        drop(self.changes);
        // Nothing is ever sent: this returns when the thread has ended, or at the time limit.
        let _ = self
            .ended
            .recv_timeout(deadline.saturating_duration_since(Instant::now()));
        counts.committed = self.shared.committed.load(Relaxed);
        counts.unsaved = self.shared.unsaved.load(Relaxed);
        counts
    }

    fn rule_mut(&mut self, rule: &Arc<str>) -> &mut RuleTerms {
        self.rules.entry(Arc::clone(rule)).or_default()
    }

    /// Remembers a term with this time, a new one as the container's, and forgets another if there are too many.
    fn set(&mut self, rule: &Arc<str>, term: &Arc<str>, container: &str, stored: Stored) {
        let terms = self.rule_mut(rule);
        let owner = match terms.terms.remove(term) {
            Some(previous) => {
                terms.by_age.remove(&previous.owner, previous.stored.time_ms, term);
                previous.owner
            }
            None => terms.by_age.owner(container),
        };
        terms.by_age.insert(&owner, stored.time_ms, Arc::clone(term));
        terms.terms.insert(Arc::clone(term), Term { owner, stored });
        if terms.terms.len() <= MAX_TERMS_PER_RULE {
            return;
        }
        let Some(oldest) = terms.by_age.take_oldest_of_largest() else {
            return;
        };
        terms.terms.remove(&oldest);
        if !terms.evictions_reported {
            terms.evictions_reported = true;
            tracing::warn!(
                "a new_terms rule has seen more than {MAX_TERMS_PER_RULE} terms; from now on, for each new one, the container \
                 with the most terms loses the one unseen the longest, which may raise an alert when it is seen again \
                 (rule key `{rule}`)"
            );
        }
        self.evicted += 1;
        self.hand_on(Change::TermForgotten {
            rule: Arc::clone(rule),
            term: oldest,
        });
    }

    /// Forgets what no rule can ask about, every now and then.
    fn prune(&mut self, now_ms: i64) {
        if now_ms < self.pruned_at_ms.saturating_add(PRUNE_INTERVAL_MS) {
            return;
        }
        self.pruned_at_ms = now_ms;
        let cutoff_ms = now_ms.saturating_sub(self.keep_ms);
        let mut forgotten = Vec::new();
        for (rule, terms) in &mut self.rules {
            while let Some(term) = terms.by_age.take_any_oldest(|time_ms, _| time_ms < cutoff_ms) {
                terms.terms.remove(&term);
                forgotten.push(Change::TermForgotten {
                    rule: Arc::clone(rule),
                    term,
                });
            }
        }
        for change in forgotten {
            self.hand_on(change);
        }
    }

    /// Gives a change to the writing thread. A change that finds no room is found again by [`Self::catch_up`], except
    /// for a forgotten term, which is then forgotten again at the next start.
    fn hand_on(&mut self, change: Change) -> Queue {
        match self.changes.try_send(change) {
            Ok(()) => Queue::Taken,
            Err(_) => {
                self.behind.get_or_insert_with(Instant::now);
                Queue::Full
            }
        }
    }

    /// Offers again what the queue refused, and everything after the file was replaced.
    fn catch_up(&mut self) {
        if self.shared.was_replaced.swap(false, Relaxed) {
            for rule in self.rules.values_mut() {
                rule.first_seen
                    .iter_mut()
                    .chain(rule.terms.values_mut().map(|term| &mut term.stored))
                    .for_each(|stored| stored.handed_on_ms = None);
            }
            self.behind.get_or_insert_with(Instant::now);
        }
        if self.behind.is_some_and(|since| since.elapsed() >= RETRY_INTERVAL) {
            self.behind = None;
            self.hand_on_everything(REFRESH_INTERVAL_MS);
        }
    }

    /// Hands on all times of which the disk knows none, or one at least `staleness_ms` older.
    fn hand_on_everything(&mut self, staleness_ms: i64) -> Queue {
        let mut rules = std::mem::take(&mut self.rules);
        let mut result = Queue::Taken;
        'rules: for (rule, terms) in &mut rules {
            if let Some(first_seen) = &mut terms.first_seen
                && first_seen.handed_on_ms.is_none()
            {
                let change = Change::RuleFirstSeen {
                    rule: Arc::clone(rule),
                    time_ms: first_seen.time_ms,
                };
                result = self.hand_on(change);
                if result == Queue::Full {
                    break 'rules;
                }
                first_seen.handed_on_ms = Some(first_seen.time_ms);
            }
            for (term, Term { stored, .. }) in &mut terms.terms {
                if !stored.is_stale(staleness_ms) {
                    continue;
                }
                let change = Change::TermSeen {
                    rule: Arc::clone(rule),
                    term: Arc::clone(term),
                    time_ms: stored.time_ms,
                };
                result = self.hand_on(change);
                if result == Queue::Full {
                    break 'rules;
                }
                stored.handed_on_ms = Some(stored.time_ms);
            }
        }
        self.rules = rules;
        result
    }
}

impl TermHistory for History {
    fn rule_first_seen(&mut self, rule_key: &str, now_ms: i64) -> i64 {
        if let Some(first_seen) = self.rules.get(rule_key).and_then(|rule| rule.first_seen) {
            return first_seen.time_ms;
        }
        let rule: Arc<str> = rule_key.into();
        let taken = self.hand_on(Change::RuleFirstSeen {
            rule: Arc::clone(&rule),
            time_ms: now_ms,
        });
        self.rule_mut(&rule).first_seen = Some(Stored::new(now_ms, taken));
        now_ms
    }

    fn observe(&mut self, rule_key: &str, term: &str, container: &str, now_ms: i64) -> Option<i64> {
        self.prune(now_ms);
        self.catch_up();
        let known = self.rules.get_key_value(rule_key).and_then(|(rule, terms)| {
            terms
                .terms
                .get_key_value(term)
                .map(|(term, known)| (Arc::clone(rule), Arc::clone(term), known.stored))
        });
        let Some((rule, term, previous)) = known else {
            let (rule, term): (Arc<str>, Arc<str>) = (rule_key.into(), term.into());
            let change = Change::TermSeen {
                rule: Arc::clone(&rule),
                term: Arc::clone(&term),
                time_ms: now_ms,
            };
            let taken = self.hand_on(change);
            self.set(&rule, &term, container, Stored::new(now_ms, taken));
            return None;
        };
        if now_ms > previous.time_ms {
            let mut stored = Stored {
                time_ms: now_ms,
                ..previous
            };
            if stored.is_stale(REFRESH_INTERVAL_MS) {
                let change = Change::TermSeen {
                    rule: Arc::clone(&rule),
                    term: Arc::clone(&term),
                    time_ms: now_ms,
                };
                if self.hand_on(change) == Queue::Taken {
                    stored.handed_on_ms = Some(now_ms);
                }
            }
            self.set(&rule, &term, container, stored);
        }
        Some(previous.time_ms)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    Taken,
    Full,
}

impl Stored {
    fn on_disk(time_ms: i64) -> Self {
        Self {
            time_ms,
            handed_on_ms: Some(time_ms),
        }
    }

    fn new(time_ms: i64, queue: Queue) -> Self {
        Self {
            time_ms,
            handed_on_ms: (queue == Queue::Taken).then_some(time_ms),
        }
    }

    fn is_stale(&self, staleness_ms: i64) -> bool {
        self.handed_on_ms.is_none_or(|handed_on_ms| {
            let behind_ms = self.time_ms.saturating_sub(handed_on_ms);
            behind_ms > 0 && behind_ms >= staleness_ms
        })
    }
}

/// Whether an error of opening is a mistake of the set-up and not a state of the disk that passes.
fn is_lasting(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Only its owner can look into it, if it is made here: what ran in containers is nobody else's business. Says so if it
/// was there before and others may write to it.
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = std::fs::metadata(path)?;
    let is_owners = metadata.uid() == nix::unistd::geteuid().as_raw() || metadata.uid() == 0;
    if !is_owners || metadata.mode() & 0o022 != 0 {
        tracing::warn!(
            "others than the sensor's user may write to the state directory `{}` (user {}, mode {:03o}): who does can have \
             rules forget or know what they like",
            path.display(),
            metadata.uid(),
            metadata.mode() & 0o777
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
