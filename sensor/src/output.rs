//! Where alerts leave the program: a bounded queue and a thread that completes, renders and writes them.
//!
//! The last stage. The event thread only ever calls [`Output::offer`], which never waits: what a full queue refuses
//! is counted. An alert whose container's name is not known yet waits a stated time on this side, without holding up
//! the others, and goes out without it then; what comes to be known later is told in a second document with the same
//! identifier. A reader that is slow, a disk that is full or a pipe that is closed is met here and nowhere else.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use crate::alert::{AMENDMENT, Alert, BUILDING_BLOCK_TYPE, ContainerMetadata};
use crate::config::Format;
use crate::telemetry::counts::OutputCounts;

pub mod sink;
pub mod text;

use sink::{Destination, Flushed, Sink};
use text::{Because, Style};

/// Alerts that may wait for the output thread.
pub const QUEUE_LENGTH: usize = 4096;
/// Alerts that may wait for their container's metadata; with more, the oldest goes out without.
const MAX_PENDING: usize = 1024;
/// How often the metadata of waiting alerts is looked for.
const PENDING_INTERVAL: Duration = Duration::from_millis(10);
/// Alerts that went out without their container's metadata and may be amended; with more, the oldest stays as it is.
const MAX_AMENDABLE: usize = 1024;
/// How long after an alert it may be amended, and how often it is looked whether it can be.
const AMENDED_WITHIN: Duration = Duration::from_secs(60);
const AMENDING_INTERVAL: Duration = Duration::from_millis(50);
/// How often an idle output looks whether its reader is still there.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Adds what is known of an alert's container to its event, and says whether that is all there will be. Asked again
/// and again while an alert waits, so it must not wait itself.
pub type CompleteContainer = Box<dyn FnMut(&mut Alert) -> ContainerMetadata + Send>;

/// Called once when nobody reads the output any more.
pub type OnClosed = Box<dyn FnOnce() + Send>;

#[derive(Clone, Copy, Debug)]
pub struct OutputOptions {
    pub format: Format,
    pub style: Style,
    pub because: Because,
    /// How long an alert may wait for its container's name and image.
    pub metadata_wait: Duration,
}

#[derive(Default)]
struct Shared {
    written: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    without_metadata: AtomicU64,
    amended: AtomicU64,
    write_errors: AtomicU64,
    finishing: AtomicBool,
}

/// The sending side of the output.
pub struct Output {
    queue: SyncSender<Box<Alert>>,
    shared: Arc<Shared>,
    /// Closed by the thread's end.
    ended: Receiver<()>,
}

impl Output {
    pub fn start(
        destination: impl Destination + 'static,
        options: OutputOptions,
        complete: CompleteContainer,
        on_closed: OnClosed,
    ) -> io::Result<Self> {
        let (queue, alerts) = mpsc::sync_channel(QUEUE_LENGTH);
        let (end, ended) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let mut writer = Writer {
            alerts,
            sink: Sink::new(destination),
            pending: VecDeque::new(),
            amendable: VecDeque::new(),
            options,
            complete,
            shared: Arc::clone(&shared),
            refusals_reported: 0,
            last_look: Instant::now(),
            last_amending: Instant::now(),
        };
        thread::Builder::new().name("output".to_owned()).spawn(move || {
            let end_of_thread = end;
            if let Reader::Gone = writer.run() {
                on_closed();
            }
            // Only now, so that nothing that is offered meanwhile goes uncounted.
            writer.count_lost();
            drop(end_of_thread);
        })?;
        Ok(Self { queue, shared, ended })
    }

    /// Takes an alert if there is room for it. Never waits.
    pub fn offer(&self, alert: Alert) {
        let counter = match self.queue.try_send(Box::new(alert)) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => &self.shared.refused,
            Err(TrySendError::Disconnected(_)) => &self.shared.lost,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub fn counts(&self) -> OutputCounts {
        self.shared.counts()
    }

    /// Writes what is waiting, for at most `time_limit`, and ends the thread. What could not be written is counted as
    /// lost.
    pub fn finish(self, time_limit: Duration) -> OutputCounts {
        self.shared.finishing.store(true, Relaxed);
        drop(self.queue);
        // Nothing is ever sent: this returns when the thread has ended, or at the time limit.
        let _ = self.ended.recv_timeout(time_limit);
        self.shared.counts()
    }
}

impl Shared {
    fn counts(&self) -> OutputCounts {
        OutputCounts {
            written: self.written.load(Relaxed),
            refused: self.refused.load(Relaxed),
            lost: self.lost.load(Relaxed),
            without_metadata: self.without_metadata.load(Relaxed),
            amended: self.amended.load(Relaxed),
            write_errors: self.write_errors.load(Relaxed),
        }
    }
}

/// Why the thread ends.
enum Reader {
    /// Nobody reads the output any more.
    Gone,
    /// There is nothing more to write, or the end cannot wait for it.
    Served,
}

/// An alert whose container is not fully known, and until when that matters.
struct Pending {
    deadline: Instant,
    alert: Box<Alert>,
}

struct Writer<D> {
    alerts: Receiver<Box<Alert>>,
    sink: Sink<D>,
    /// Not written yet.
    pending: VecDeque<Pending>,
    /// Written, but not with all that may come to be known.
    amendable: VecDeque<Pending>,
    options: OutputOptions,
    complete: CompleteContainer,
    shared: Arc<Shared>,
    refusals_reported: u64,
    /// When the metadata of waiting alerts was last looked for.
    last_look: Instant,
    last_amending: Instant,
}

impl<D: Destination> Writer<D> {
    fn run(&mut self) -> Reader {
        loop {
            let wait = match (self.pending.is_empty(), self.amendable.is_empty()) {
                (false, _) => PENDING_INTERVAL,
                (true, false) => AMENDING_INTERVAL,
                (true, true) => IDLE_INTERVAL,
            };
            let finished = match self.alerts.recv_timeout(wait) {
                Ok(alert) => {
                    self.accept(alert);
                    false
                }
                Err(RecvTimeoutError::Timeout) if self.sink.reader_is_gone() => return Reader::Gone,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if finished {
                self.release_pending(Instant::now() + self.options.metadata_wait);
            } else if self.last_look.elapsed() >= PENDING_INTERVAL {
                self.last_look = Instant::now();
                self.release_pending(self.last_look);
            }
            if self.last_amending.elapsed() >= AMENDING_INTERVAL {
                self.last_amending = Instant::now();
                self.amend();
            }
            if let Some(end) = self.write_out() {
                return end;
            }
            if finished {
                return Reader::Served;
            }
            self.report_refusals();
        }
    }

    fn accept(&mut self, mut alert: Box<Alert>) {
        alert.container_metadata = (self.complete)(&mut alert);
        if alert.container_metadata != ContainerMetadata::Pending || self.options.metadata_wait.is_zero() {
            self.render(*alert);
            return;
        }
        if self.pending.len() == MAX_PENDING
            && let Some(oldest) = self.pending.pop_front()
        {
            self.render(*oldest.alert);
        }
        let deadline = Instant::now() + self.options.metadata_wait;
        self.pending.push_back(Pending { deadline, alert });
    }

    /// Lets go of the alerts whose metadata has come, or that need not wait after `now`.
    fn release_pending(&mut self, now: Instant) {
        for _ in 0..self.pending.len() {
            let Some(mut waiting) = self.pending.pop_front() else {
                return;
            };
            waiting.alert.container_metadata = (self.complete)(&mut waiting.alert);
            if waiting.alert.container_metadata != ContainerMetadata::Pending || waiting.deadline <= now {
                self.render(*waiting.alert);
            } else {
                self.pending.push_back(waiting);
            }
        }
    }

    fn render(&mut self, alert: Alert) {
        if alert.container_metadata != ContainerMetadata::Complete {
            self.shared.without_metadata.fetch_add(1, Relaxed);
            if self.amendable.len() == MAX_AMENDABLE {
                self.amendable.pop_front();
            }
            self.amendable.push_back(Pending {
                deadline: Instant::now() + AMENDED_WITHIN,
                alert: Box::new(alert.clone()),
            });
        }
        let document = alert.into_document();
        match self.options.format {
            Format::Json => self.sink.push_json(document),
            // What is only recorded is no news for a person.
            Format::Text if document.contains_key(BUILDING_BLOCK_TYPE) => {}
            Format::Text => self
                .sink
                .push_text(&text::render(&document, self.options.style, self.options.because)),
        }
    }

    /// Tells of alerts that went out what has come to be known of their containers since.
    fn amend(&mut self) {
        let now = Instant::now();
        for _ in 0..self.amendable.len() {
            let Some(mut told) = self.amendable.pop_front() else {
                return;
            };
            told.alert.container_metadata = (self.complete)(&mut told.alert);
            if told.alert.container_metadata != ContainerMetadata::Complete {
                if told.deadline > now {
                    self.amendable.push_back(told);
                }
                continue;
            }
            self.shared.amended.fetch_add(1, Relaxed);
            let mut document = told.alert.into_document();
            document.insert(AMENDMENT.to_owned(), true.into());
            match self.options.format {
                Format::Json => self.sink.push_json(document),
                Format::Text if document.contains_key(BUILDING_BLOCK_TYPE) => {}
                Format::Text => self
                    .sink
                    .push_text(&text::render_amendment(&document, self.options.style)),
            }
        }
    }

    /// Writes what has been rendered, however long the reader or the disk takes; nothing more is taken from the queue
    /// meanwhile. Some reason to end, if there is one.
    fn write_out(&mut self) -> Option<Reader> {
        loop {
            let flushed = self.sink.flush();
            self.shared.written.fetch_add(self.sink.take_written(), Relaxed);
            match flushed {
                Flushed::Everything => return None,
                Flushed::ReaderGone => return Some(Reader::Gone),
                Flushed::TryAgainAfter(_) if self.shared.finishing.load(Relaxed) => return Some(Reader::Served),
                Flushed::TryAgainAfter(delay) => {
                    self.shared.write_errors.fetch_add(1, Relaxed);
                    thread::sleep(delay);
                }
            }
        }
    }

    fn report_refusals(&mut self) {
        let refused = self.shared.refused.load(Relaxed);
        if refused > self.refusals_reported {
            let now_refused = refused - self.refusals_reported;
            tracing::warn!("{now_refused} alerts were not written: the output was too slow to take them");
            self.refusals_reported = refused;
        }
    }

    fn count_lost(&mut self) {
        let unwritten = self.sink.unwritten() + self.pending.len() + self.alerts.try_iter().count();
        self.shared.lost.fetch_add(unwritten as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests;
