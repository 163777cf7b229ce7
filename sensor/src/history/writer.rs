//! The thread that writes the history to disk.
//!
//! Takes changes from the queue and commits what has come, as soon as the commit before is done. When the disk fails
//! it keeps what is not written, the last change of each term, and tries again with longer and longer pauses, reopening
//! the database each time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use redb::Database;

use super::change::{Change, QUEUE_LENGTH, Shared};
use super::store::{self, Batch, Contents, OpenError, Opener};
use crate::notice::{self, Notice};
use crate::telemetry::backoff::Backoff;

/// The pause after a failed attempt, doubled at each failure that follows.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// How long the thread sleeps when nothing comes.
const IDLE: Duration = Duration::from_secs(3600);
/// Changes that are written together. While the disk fails no more are taken, so that memory is bounded.
const BATCH_AT_MOST: usize = QUEUE_LENGTH;
/// How often the thread looks meanwhile whether the history is being closed.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often it is tried to have what another sensor still has.
const STAND_BY_INTERVAL: Duration = Duration::from_millis(50);

pub(crate) struct Writer {
    opener: Opener,
    database: Option<Database>,
    changes: Receiver<Change>,
    batch: Batch,
    shared: Arc<Shared>,
    backoff: Backoff,
}

impl Writer {
    pub(crate) fn new(
        opener: Opener,
        database: Option<Database>,
        changes: Receiver<Change>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            opener,
            database,
            changes,
            batch: Batch::default(),
            shared,
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY),
        }
    }

    /// Waits until no other sensor has the database, and hands on what that holds, before it does its work; unless the
    /// sending side is gone before.
    pub(crate) fn run_after_another(mut self, contents: &Sender<Contents>) {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut sign = None;
        loop {
            if sign.is_none() && self.shared.is_holding.load(Relaxed) {
                sign = store::show_standing_by(self.opener.directory());
            }
            match self.changes.recv_timeout(STAND_BY_INTERVAL) {
                Ok(change) => self.add(change),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            match store::open(&self.opener) {
                Ok(opened) => {
                    self.database = opened.database;
                    drop(sign);
                    // Who takes it has gone only if the sensor ends.
                    let _ = contents.send(opened.contents);
                    return self.run();
                }
                Err(OpenError::InUse) => {}
                Err(OpenError::Io(error)) if backoff.failed().is_some() => {
                    tracing::error!("cannot open the history `{}`: {error}", self.opener.path().display());
                }
                Err(OpenError::Io(_)) => {}
            }
        }
    }

    /// Runs until the sending side is gone; what was sent before is written then, if the disk lets it.
    pub(crate) fn run(mut self) {
        loop {
            let retry_at = self.backoff.retry_at();
            let wait = retry_at.map_or(IDLE, |retry_at| retry_at.saturating_duration_since(Instant::now()));
            if self.batch.len() >= BATCH_AT_MOST {
                if self.shared.is_closing.load(Relaxed) {
                    break;
                }
                thread::sleep(wait.min(LOOK_INTERVAL));
            } else {
                match self.changes.recv_timeout(wait) {
                    Ok(change) => self.add(change),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            self.fill_batch();
            if retry_at.is_none_or(|retry_at| retry_at <= Instant::now()) {
                self.commit();
            }
        }
        // The rest, for as long as the disk takes it.
        self.commit();
        while self.batch.len() == 0 && self.fill_batch() {
            self.commit();
        }
        let left = self
            .changes
            .try_iter()
            .filter(|change| !matches!(change, Change::Clock { .. } | Change::WatchedUntil { .. }));
        self.shared
            .unsaved
            .store((self.batch.len() + left.count()) as u64, Relaxed);
        if let Some(database) = self.database {
            store::close(database);
        }
    }

    /// Takes what has come, as far as there is room; returns whether anything has.
    fn fill_batch(&mut self) -> bool {
        let before = self.batch.len();
        while self.batch.len() < BATCH_AT_MOST
            && let Ok(change) = self.changes.try_recv()
        {
            self.add(change);
        }
        self.batch.len() > before
    }

    fn add(&mut self, change: Change) {
        match change {
            Change::Clock { time_ms } => self.batch.clock_ms = Some(time_ms),
            Change::WatchedUntil { boot_ns } => self.batch.watched_until_ns = Some(boot_ns),
            Change::RuleFirstSeen { rule, time_ms } => {
                self.batch.rules.insert(rule, time_ms);
            }
            Change::TermSeen { rule, term, seen } => {
                self.batch.terms.insert((rule, term), Some(seen));
            }
            Change::TermForgotten { rule, term } => {
                self.batch.terms.insert((rule, term), None);
            }
            Change::TermsAnew => {
                self.batch.is_anew = true;
                self.batch.terms.clear();
            }
        }
    }

    fn commit(&mut self) {
        let count = self.batch.len();
        if count == 0 && self.batch.clock_ms.is_none() && self.batch.watched_until_ns.is_none() {
            return;
        }
        match self.try_commit() {
            Ok(()) => {
                self.batch = Batch::default();
                self.shared.is_failing.store(false, Relaxed);
                self.shared.committed.fetch_add(count as u64, Relaxed);
                tracing::debug!(count, "history committed");
                if let Some(lasted) = self.backoff.recovered() {
                    let seconds = lasted.as_secs();
                    tracing::info!("the history is written again, after {seconds} s; nothing of it was lost");
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    fn try_commit(&mut self) -> Result<(), String> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        match store::write(&database, &self.batch) {
            Ok(()) => {
                self.database = Some(database);
                Ok(())
            }
            Err(error) => {
                // After an error redb has to be reopened.
                store::close(database);
                Err(error)
            }
        }
    }

    fn reopen(&self) -> Result<Database, String> {
        let opened = store::open(&self.opener).map_err(|error| match error {
            OpenError::InUse => "another tidewaiter has opened it".to_owned(),
            OpenError::Io(error) => error.to_string(),
        })?;
        if opened.contents.rules.is_empty() {
            self.shared.was_replaced.store(true, Relaxed);
        }
        opened.database.ok_or_else(|| "it cannot be opened".to_owned())
    }

    fn failed(&mut self, error: &str) {
        self.shared.is_failing.store(true, Relaxed);
        self.shared.write_errors.fetch_add(1, Relaxed);
        if let Some(lasting) = self.backoff.failed() {
            let seconds = lasting.as_secs();
            notice::raise(Notice::StateNotWritten { what: "history" }, None, 1);
            tracing::error!(
                "cannot write the history `{}` (for {seconds} s now): {error}; detection goes on with what is in \
                 memory, and writing is tried again until it works",
                self.opener.path().display()
            );
        }
    }
}
