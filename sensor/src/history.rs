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

use crate::clock::boot_clock_ns;
use crate::sandbox::{self, Role};
use crate::telemetry::counts::HistoryCounts;

mod change;
mod hand_on;
mod stand_by;
mod store;
mod terms;
mod writer;

use change::{Change, QUEUE_LENGTH, Seen, Shared, WhenInUse};
pub(crate) use change::{HistoryState, TakenOver};
use store::{Contents, OpenError, Opened, Opener};
use terms::{Queue, RuleTerms, SMALLER, Stored, Term, term_bytes};
use writer::Writer;

/// The database's name in the state directory.
pub(crate) const FILE_NAME: &str = "history.redb";

/// Terms of one rule that are remembered, those of several containers counted for each; past that, the outermost container
/// with the most gives up the one that it has not seen for the longest. A term that nobody holds any more is forgotten.
pub(crate) const MAX_TERMS_PER_RULE: usize = 50_000 / SMALLER;
/// What the terms of all rules take together; past that, the container whose terms take the most gives up one.
const MAX_BYTES: usize = 16 << 20;
/// A term that is seen again is written again only when what the disk knows is this much older. After a crash a term
/// may be taken to be unseen for that much longer than it was, which is little against windows of days.
const REFRESH_INTERVAL_MS: i64 = 60 * 1000;
/// How much time passes between searches for terms that no rule asks about any more.
const PRUNE_INTERVAL_MS: i64 = 60 * 60 * 1000;

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
///
/// Its time is its own: milliseconds since the epoch where the wall clock was right at the start, and from then on as much
/// more as passed by the boot clock. So setting the wall clock changes nothing while the sensor runs.
pub(crate) struct History {
    rules: HashMap<Arc<str>, RuleTerms>,
    /// The weight of each container's terms, by rule; the heaviest of a container comes first.
    totals: FairQuota<Arc<str>>,
    /// What to add to a time of the caller's.
    offset_ms: i64,
    /// The latest time that was handed to the writing thread; `None` if the caller's times are the history's.
    clock_ms: Option<i64>,
    /// The latest time of the runs before, by what is on disk.
    ended_ms: Option<i64>,
    /// Terms unseen for longer than this are of no use to any rule.
    keep_ms: i64,
    pruned_at_ms: i64,
    evicted: u64,
    changes: SyncSender<Change>,
    /// Since when some change has not been taken by the queue, and when that was last tried.
    behind: Option<Instant>,
    /// Terms that were forgotten when the queue had no room to say so.
    kept_on_disk: usize,
    directory: PathBuf,
    shared: Arc<Shared>,
    /// Brings what is on disk once another sensor has ended that has it.
    awaited: Option<Receiver<Contents>>,
    /// Closed by the writing thread's end.
    ended: Receiver<()>,
    thread: Arc<JoinHandle<()>>,
}

impl History {
    /// Opens the history in the state directory, which is made if it is missing. `keep` is the longest window of any
    /// rule. A damaged file is put aside, and an unwritable disk is tried again later: both are said, neither is an
    /// error.
    ///
    /// # Errors
    /// Another sensor has it, or it can never be written.
    pub(crate) fn open(state_directory: &Path, keep: Duration) -> Result<Self, HistoryError> {
        Self::open_with(Self::opener(state_directory)?, keep, WhenInUse::Refuse)
    }

    /// As [`Self::open`], but where another sensor has the history, stands by until that has ended; see
    /// [`Self::take_over`].
    pub(crate) fn open_or_stand_by(state_directory: &Path, keep: Duration) -> Result<Self, HistoryError> {
        Self::open_with(Self::opener(state_directory)?, keep, WhenInUse::StandBy)
    }

    fn opener(state_directory: &Path) -> Result<Opener, HistoryError> {
        make_directory(state_directory).map_err(|source| HistoryError::Directory {
            path: state_directory.to_owned(),
            source,
        })?;
        Ok(Opener::File(state_directory.join(FILE_NAME)))
    }

    fn open_with(opener: Opener, keep: Duration, when_in_use: WhenInUse) -> Result<Self, HistoryError> {
        let path = opener.path().to_owned();
        let mut stands_by = false;
        let opened = match store::open(&opener) {
            Ok(opened) => Some(opened),
            Err(OpenError::InUse) if when_in_use == WhenInUse::StandBy => {
                stands_by = true;
                Some(Opened::default())
            }
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
        let is_failing = opened.is_none();
        let Opened { database, contents } = opened.unwrap_or_default();
        let (changes, queued) = mpsc::sync_channel(QUEUE_LENGTH);
        let (end, ended) = mpsc::channel();
        let shared = Arc::new(Shared {
            is_failing: is_failing.into(),
            stands_by: stands_by.into(),
            ..Shared::default()
        });
        let directory = opener.directory().to_owned();
        let writer = Writer::new(opener, database, queued, Arc::clone(&shared));
        let (found, awaited) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                sandbox::enter(Role::Files);
                let end_of_thread = end;
                match stands_by {
                    true => writer.run_after_another(&found),
                    false => writer.run(),
                }
                drop(end_of_thread);
            })
            .map_err(HistoryError::Thread)?;

        let mut history = Self {
            rules: HashMap::new(),
            totals: FairQuota::default(),
            offset_ms: 0,
            clock_ms: None,
            ended_ms: None,
            keep_ms: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX),
            pruned_at_ms: i64::MIN,
            evicted: 0,
            changes,
            behind: None,
            kept_on_disk: 0,
            directory,
            shared,
            awaited: stands_by.then_some(awaited),
            ended,
            thread: Arc::new(thread),
        };
        history.load(contents);
        Ok(history)
    }

    fn load(&mut self, contents: Contents) {
        self.ended_ms = contents.clock_ms;
        for (rule, time_ms) in contents.rules {
            self.rule_mut(&rule.into()).first_seen = Some(Stored::on_disk(time_ms));
        }
        for (rule, term, Seen { time_ms, holders }) in contents.terms {
            let (rule, term) = (rule.into(), term.into());
            for holder in holders.split('\n') {
                self.set(&rule, &term, holder, time_ms, Stored::on_disk(time_ms));
            }
        }
    }

    /// From now on the caller's times are of the boot clock, which shows `boot_ms` now, while the wall clock shows
    /// `wall_ms`.
    ///
    /// What the wall clock says of the time since the run before is believed up to half of what is kept, so that a clock
    /// that is wrong at a start empties nothing; and the history's time never goes back.
    pub(crate) fn follow_boot_clock(&mut self, boot_ms: i64, wall_ms: i64) {
        let now_ms = self.ended_ms.map_or(wall_ms, |ended_ms| {
            wall_ms.clamp(ended_ms, ended_ms.saturating_add(self.keep_ms / 2))
        });
        self.offset_ms = now_ms.saturating_sub(boot_ms);
        self.clock_ms = Some(i64::MIN);
        // Nothing was seen at a time that has yet to come.
        for terms in self.rules.values_mut() {
            if let Some(first_seen) = &mut terms.first_seen {
                first_seen.time_ms = first_seen.time_ms.min(now_ms);
            }
            for (name, term) in terms.terms.iter_mut().filter(|(_, term)| term.stored.time_ms > now_ms) {
                term.stored = Stored {
                    time_ms: now_ms,
                    handed_on_ms: None,
                };
                let host = terms.by_age.owner("");
                terms.by_age.insert(&host, now_ms, Arc::clone(name), term_bytes(name));
            }
        }
        self.tick(boot_ms);
    }

    /// Notes how far time has come, for the next start.
    pub(crate) fn tick(&mut self, now_ms: i64) {
        let now_ms = now_ms.saturating_add(self.offset_ms);
        if self
            .clock_ms
            .is_some_and(|clock_ms| now_ms >= clock_ms.saturating_add(REFRESH_INTERVAL_MS))
            && self.hand_on(Change::Clock { time_ms: now_ms }) == Queue::Taken
        {
            self.clock_ms = Some(now_ms);
        }
    }

    /// The thread that writes.
    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    pub(crate) fn state(&self) -> HistoryState {
        HistoryState(Arc::clone(&self.shared))
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
        if self.clock_ms.is_some() {
            let now_ms = (boot_clock_ns() / 1_000_000).saturating_add(self.offset_ms);
            self.hand_on(Change::Clock { time_ms: now_ms });
        }
        while self.hand_on_everything(0) == Queue::Full && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let mut counts = self.counts();
        self.shared.is_closing.store(true, Relaxed);
        let is_unsaved = |term: &&Term| term.stored.is_stale(0);
        let terms = self.rules.values().flat_map(|rule| rule.terms.values());
        let never_handed_on = terms.filter(is_unsaved).count() as u64;
        drop(self.changes);
        // Nothing is ever sent: this returns when the thread has ended, or at the time limit.
        let _ = self
            .ended
            .recv_timeout(deadline.saturating_duration_since(Instant::now()));
        counts.committed = self.shared.committed.load(Relaxed);
        counts.unsaved = self.shared.unsaved.load(Relaxed) + never_handed_on;
        counts
    }

    fn rule_mut(&mut self, rule: &Arc<str>) -> &mut RuleTerms {
        self.rules.entry(Arc::clone(rule)).or_default()
    }

    /// Remembers a term with this time, as one of the container's, and gives up another if there are too many. A container
    /// that is new to it is yet to be written.
    fn set(&mut self, rule: &Arc<str>, term: &Arc<str>, container: &str, seen_ms: i64, stored: Stored) {
        let terms = self.rules.entry(Arc::clone(rule)).or_default();
        let owner = terms.by_age.owner(container);
        let age = terms.by_age.age(&owner, term).map_or(seen_ms, |age| age.max(seen_ms));
        let is_new = terms.by_age.insert(&owner, age, Arc::clone(term), term_bytes(term));
        let known = terms
            .terms
            .entry(Arc::clone(term))
            .or_insert(Term { owners: 0, stored });
        known.stored = stored;
        if !is_new {
            return;
        }
        if known.owners > 0 {
            known.stored.handed_on_ms = None;
        }
        known.owners += 1;
        if terms.by_age.count() > MAX_TERMS_PER_RULE
            && let Some((owner, oldest)) = terms.by_age.take_oldest_of_largest()
        {
            self.give_up(rule, &owner, oldest);
        }
        self.weigh(rule, &owner);
        while self.bytes() > MAX_BYTES
            && let Some((owner, rule)) = self.totals.take_oldest_of_largest()
            && let Some(terms) = self.rules.get_mut(&rule)
            && let Some(oldest) = terms.by_age.take_oldest_of(&owner, |_, _| true)
        {
            self.give_up(&rule, &owner, oldest);
        }
    }

    /// What all terms take.
    fn bytes(&self) -> usize {
        let owners = self.rules.values().map(|terms| terms.by_age.owner_bytes());
        self.totals.weight() + self.totals.owner_bytes() + owners.sum::<usize>()
    }

    /// Notes what the container's terms of the rule take.
    fn weigh(&mut self, rule: &Arc<str>, owner: &Owner) {
        let weight = self.rules.get(rule).map_or(0, |terms| terms.by_age.weight_of(owner));
        if weight == 0 {
            self.totals.remove(owner, rule);
        } else {
            let heaviest_first = -i64::try_from(weight).unwrap_or(i64::MAX);
            self.totals.insert(owner, heaviest_first, Arc::clone(rule), weight);
        }
    }

    /// The container has lost a term for want of room; forgets it if nobody else holds it.
    fn give_up(&mut self, rule: &Arc<str>, owner: &Owner, term: Arc<str>) {
        self.weigh(rule, owner);
        let terms = self.rules.entry(Arc::clone(rule)).or_default();
        if !terms.let_go(&term) {
            return;
        }
        if !terms.evictions_reported {
            terms.evictions_reported = true;
            tracing::warn!(
                "new_terms rules have seen more terms than are remembered ({MAX_TERMS_PER_RULE} of a rule, {} MiB of \
                 all); from now on, for each new one, the container with the most gives up the one that it has not seen \
                 for the longest, which may raise an alert when it is seen again (rule key `{rule}`)",
                MAX_BYTES >> 20
            );
        }
        self.evicted += 1;
        self.hand_on_forgotten(rule, term);
    }

    /// Forgets what no rule can ask about, every now and then.
    fn prune(&mut self, now_ms: i64) {
        if now_ms < self.pruned_at_ms.saturating_add(PRUNE_INTERVAL_MS) {
            return;
        }
        self.pruned_at_ms = now_ms;
        let cutoff_ms = now_ms.saturating_sub(self.keep_ms);
        let (mut forgotten, mut lighter) = (Vec::new(), Vec::new());
        for (rule, terms) in &mut self.rules {
            while let Some((owner, term)) = terms.by_age.take_oldest(|time_ms, _| time_ms < cutoff_ms) {
                lighter.push((Arc::clone(rule), owner));
                if terms.let_go(&term) {
                    forgotten.push((Arc::clone(rule), term));
                }
            }
        }
        for (rule, owner) in lighter {
            self.weigh(&rule, &owner);
        }
        for (rule, term) in forgotten {
            self.hand_on_forgotten(&rule, term);
        }
    }
}

impl TermHistory for History {
    fn rule_first_seen(&mut self, rule_key: &str, now_ms: i64) -> i64 {
        let now_ms = now_ms.saturating_add(self.offset_ms);
        let known = self.rules.get(rule_key).and_then(|rule| rule.first_seen);
        if let Some(first_seen) = known.filter(|first_seen| first_seen.time_ms <= now_ms) {
            return first_seen.time_ms.saturating_sub(self.offset_ms);
        }
        let rule: Arc<str> = rule_key.into();
        let taken = self.hand_on(Change::RuleFirstSeen {
            rule: Arc::clone(&rule),
            time_ms: now_ms,
        });
        self.rule_mut(&rule).first_seen = Some(Stored::new(now_ms, taken));
        now_ms.saturating_sub(self.offset_ms)
    }

    fn last_seen(&self, rule_key: &str, term: &str) -> Option<i64> {
        let term = self.rules.get(rule_key)?.terms.get(term)?;
        Some(term.stored.time_ms.saturating_sub(self.offset_ms))
    }

    fn observe(&mut self, rule_key: &str, term: &str, owner: &str, now_ms: i64) -> Option<i64> {
        self.tick(now_ms);
        let now_ms = now_ms.saturating_add(self.offset_ms);
        self.prune(now_ms);
        self.catch_up();
        let known = self.rules.get_key_value(rule_key).and_then(|(rule, terms)| {
            terms
                .terms
                .get_key_value(term)
                .map(|(term, known)| (Arc::clone(rule), Arc::clone(term), known.stored))
        });
        let (rule, term, previous) = match known {
            Some((rule, term, previous)) => (rule, term, Some(previous)),
            None => (rule_key.into(), term.into(), None),
        };
        let stored = Stored {
            time_ms: previous.map_or(now_ms, |previous| previous.time_ms.max(now_ms)),
            handed_on_ms: previous.and_then(|previous| previous.handed_on_ms),
        };
        self.set(&rule, &term, owner, now_ms, stored);
        let is_stale = |known: &Term| known.stored.is_stale(REFRESH_INTERVAL_MS);
        if self
            .rules
            .get(&rule)
            .and_then(|terms| terms.terms.get(&term))
            .is_some_and(is_stale)
        {
            self.hand_on_term(&rule, &term);
        }
        previous.map(|previous| previous.time_ms.saturating_sub(self.offset_ms))
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
