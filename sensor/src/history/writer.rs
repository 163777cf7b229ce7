//! The thread that writes the history to disk.
//!
//! Takes changes from the queue and commits what has come, as soon as the commit before is done. When the disk fails
//! it keeps what is not written, the last change of each term, and tries again with longer and longer pauses, opening
//! the database anew each time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use redb::Database;

use super::store::{self, Batch, OpenError, Opener};
use super::{Change, Shared};

/// The pause after a failed attempt, doubled at each failure that follows.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// How often trouble is reported, lasting or coming back.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// How long the thread sleeps when nothing comes.
const IDLE: Duration = Duration::from_secs(3600);

pub struct Writer {
    opener: Opener,
    database: Option<Database>,
    changes: Receiver<Change>,
    batch: Batch,
    shared: Arc<Shared>,
    trouble: Option<Trouble>,
    reported: Option<Instant>,
}

struct Trouble {
    since: Instant,
    delay: Duration,
    retry_at: Instant,
    is_reported: bool,
}

impl Writer {
    pub fn new(opener: Opener, database: Option<Database>, changes: Receiver<Change>, shared: Arc<Shared>) -> Self {
        Self {
            opener,
            database,
            changes,
            batch: Batch::default(),
            shared,
            trouble: None,
            reported: None,
        }
    }

    /// Runs until the sending side is gone; what was sent before is written then, if the disk lets it.
    pub fn run(mut self) {
        loop {
            let wait = self.trouble.as_ref().map_or(IDLE, |trouble| {
                trouble.retry_at.saturating_duration_since(Instant::now())
            });
            match self.changes.recv_timeout(wait) {
                Ok(change) => self.add(change),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(change) = self.changes.try_recv() {
                self.add(change);
            }
            if self
                .trouble
                .as_ref()
                .is_none_or(|trouble| trouble.retry_at <= Instant::now())
            {
                self.commit();
            }
        }
        self.commit();
        self.shared.unsaved.store(self.batch.len() as u64, Relaxed);
        if let Some(database) = self.database {
            store::close(database);
        }
    }

    fn add(&mut self, change: Change) {
        match change {
            Change::RuleFirstSeen { rule, time_ms } => {
                self.batch.rules.insert(rule, time_ms);
            }
            Change::TermSeen { rule, term, time_ms } => {
                self.batch.terms.insert((rule, term), Some(time_ms));
            }
            Change::TermForgotten { rule, term } => {
                self.batch.terms.insert((rule, term), None);
            }
        }
    }

    fn commit(&mut self) {
        let count = self.batch.len();
        if count == 0 {
            return;
        }
        match self.try_commit() {
            Ok(()) => {
                self.batch = Batch::default();
                self.shared.committed.fetch_add(count as u64, Relaxed);
                tracing::debug!(count, "history committed");
                if let Some(trouble) = self.trouble.take().filter(|trouble| trouble.is_reported) {
                    let seconds = trouble.since.elapsed().as_secs();
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
                // After an error redb wants to be opened anew.
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
        self.shared.write_errors.fetch_add(1, Relaxed);
        let now = Instant::now();
        let trouble = self.trouble.get_or_insert(Trouble {
            since: now,
            delay: FIRST_DELAY / 2,
            retry_at: now,
            is_reported: false,
        });
        if self
            .reported
            .is_none_or(|reported| now.duration_since(reported) >= REPORT_INTERVAL)
        {
            self.reported = Some(now);
            trouble.is_reported = true;
            let seconds = now.duration_since(trouble.since).as_secs();
            tracing::error!(
                "cannot write the history `{}` (for {seconds} s now): {error}; detection goes on with what is in \
                 memory, and writing is tried again until it works",
                self.opener.path().display()
            );
        }
        trouble.delay = (trouble.delay * 2).min(LONGEST_DELAY);
        trouble.retry_at = now + trouble.delay;
    }
}
