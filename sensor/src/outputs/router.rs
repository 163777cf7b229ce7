//! Completes alerts and offers each, in the form that it wants, to every output.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::json;
use super::queue::{Output, QueueCounters};
use super::text::{self, ReasonDetail, Style};
use super::waiting::Block;
use crate::alert::complete::Completion;
use crate::alert::{ALERT_ID, AMENDMENT, Alert, BUILDING_BLOCK_TYPE, owner};
use crate::notice::{self, Notice};
use crate::sandbox::{self, Role};
use crate::scheduling::Precedence;
use crate::telemetry::counts::OutputCounts;
use crate::text::document::Document;

/// Alerts that may wait for the router's thread, and the memory that they may take.
const QUEUE_LENGTH: usize = 4096;
const QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// How long the thread sleeps when nothing waits to be completed or reported.
const IDLE: Duration = Duration::from_secs(3600);

/// The percentage of a processor that the thread may take before others.
const SHARE: u32 = 20;
/// The shortest time between two lines about what full queues refused.
const REFUSAL_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How an output has its alerts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Json,
    Text { style: Style, detail: ReasonDetail },
}

impl Form {
    /// The document as the output writes it; `None` if it does not.
    fn render(self, document: &Document) -> Option<Vec<u8>> {
        match self {
            Form::Json => {
                let mut line = Vec::new();
                json::write_line(&mut line, document).ok()?;
                Some(line)
            }
            // What is only recorded is not for a person to read.
            Form::Text { .. } if document.contains_key(BUILDING_BLOCK_TYPE) => None,
            Form::Text { style, .. } if !document.contains_key(ALERT_ID) => {
                text::render_notice(document, style).map(String::into_bytes)
            }
            Form::Text { style, .. } if document.contains_key(AMENDMENT) => {
                Some(text::render_amendment(document, style).into_bytes())
            }
            Form::Text { style, detail } => Some(text::render(document, style, detail).into_bytes()),
        }
    }
}

/// What leaves the program.
enum Outgoing {
    Alert {
        alert: Box<Alert>,
        bytes: usize,
    },
    /// What the sensor says of itself.
    Notice(Box<Document>),
}

/// The sending side of all outputs.
pub(crate) struct Router {
    input: RouterInput,
    counters: Arc<Counters>,
    /// Closed when the outputs have been offered everything.
    all_offered: Receiver<Infallible>,
    /// Closed by the end of the thread, which ends after those of the outputs.
    ended: Receiver<Infallible>,
    thread: Arc<JoinHandle<()>>,
}

/// Where documents are offered, from any thread. The router's thread lives as long as one of these.
#[derive(Clone)]
pub(crate) struct RouterInput {
    queue: SyncSender<Outgoing>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    /// What the alerts take that wait for the thread.
    waiting_bytes: AtomicUsize,
    offered: AtomicU64,
    /// Refused by a full queue.
    refused: AtomicU64,
    /// Offered to the outputs.
    emitted: AtomicU64,
    without_metadata: AtomicU64,
    amended: AtomicU64,
    outputs: Vec<Arc<QueueCounters>>,
}

impl Counters {
    /// What was done so far.
    fn counts(&self) -> OutputCounts {
        let sum = |count: fn(&QueueCounters) -> &AtomicU64| -> u64 {
            self.outputs.iter().map(|output| count(output).load(Relaxed)).sum()
        };
        OutputCounts {
            written: sum(|output| &output.written),
            refused: sum(|output| &output.refused) + self.refused.load(Relaxed),
            lost: 0,
            without_metadata: self.without_metadata.load(Relaxed),
            amended: self.amended.load(Relaxed),
            write_errors: sum(|output| &output.write_errors),
        }
    }

    /// The counts of the end, when nothing is offered any more: what is neither written nor refused is lost.
    fn final_counts(&self) -> OutputCounts {
        let counts = self.counts();
        let to_outputs: u64 = self.outputs.iter().map(|output| output.offered.load(Relaxed)).sum();
        let unemitted = self.offered.load(Relaxed).saturating_sub(self.emitted.load(Relaxed));
        OutputCounts {
            lost: (unemitted + to_outputs).saturating_sub(counts.refused + counts.written),
            ..counts
        }
    }
}

impl Router {
    /// Starts the thread, which ends after [`Router::finish`].
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(outputs: Vec<(Form, Output)>, completion: Completion) -> io::Result<Self> {
        let (input, queue) = mpsc::sync_channel(QUEUE_LENGTH);
        let (offering, all_offered) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let counters = Arc::new(Counters {
            outputs: outputs.iter().map(|(_, output)| Arc::clone(&output.counters)).collect(),
            ..Counters::default()
        });
        let counted = Arc::clone(&counters);
        let thread = thread::Builder::new().name("alerts".to_owned()).spawn(move || {
            sandbox::enter(Role::Output);
            let _end = end;
            route(&queue, completion, &outputs, &counted);
            drop(offering);
            outputs.iter().for_each(|(_, output)| output.close());
            outputs.iter().for_each(|(_, output)| output.join(Duration::MAX));
        })?;
        Ok(Router {
            input: RouterInput {
                queue: input,
                counters: Arc::clone(&counters),
            },
            counters,
            all_offered,
            ended,
            thread: Arc::new(thread),
        })
    }

    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Takes an alert if there is room for it. Never waits.
    pub(crate) fn offer(&self, alert: Alert) {
        self.input.offer(alert);
    }

    /// For threads that have something to say beside alerts.
    pub(crate) fn input(&self) -> RouterInput {
        self.input.clone()
    }

    /// What was done so far. Before the end nothing is lost.
    pub(crate) fn counts(&self) -> OutputCounts {
        self.counters.counts()
    }

    /// Writes what is waiting, for at most `time_limit`. What is not written then counts as lost.
    pub(crate) fn finish(self, time_limit: Duration) -> OutputCounts {
        for output in &self.counters.outputs {
            output.is_finishing.store(true, Relaxed);
        }
        drop(self.input);
        // Nothing is ever sent: these return when there is nothing more to do, or at the time limit.
        let deadline = Instant::now() + time_limit;
        for done in [self.all_offered, self.ended] {
            let _ = done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        self.counters.final_counts()
    }
}

impl RouterInput {
    /// Takes a document that is no alert if there is room for it; returns whether there was. Never waits.
    pub(crate) fn offer_notice(&self, document: Document) -> bool {
        self.queue.try_send(Outgoing::Notice(Box::new(document))).is_ok()
    }

    /// What was done so far. Before the end nothing is lost.
    pub(crate) fn counts(&self) -> OutputCounts {
        self.counters.counts()
    }

    fn offer(&self, alert: Alert) {
        let counters = &self.counters;
        counters.offered.fetch_add(1, Relaxed);
        let bytes = alert.memory();
        let waiting = counters.waiting_bytes.fetch_add(bytes, Relaxed);
        let alert = Box::new(alert);
        let refused = if waiting > 0 && waiting.saturating_add(bytes) > QUEUE_BYTES {
            Some(alert)
        } else {
            match self.queue.try_send(Outgoing::Alert { alert, bytes }) {
                Err(TrySendError::Full(Outgoing::Alert { alert, .. })) => Some(alert),
                _ => None,
            }
        };
        if let Some(alert) = refused {
            counters.waiting_bytes.fetch_sub(bytes, Relaxed);
            counters.refused.fetch_add(1, Relaxed);
            notice::raise(Notice::OutputRefused, Some(owner(&alert.event)), 1);
        }
    }
}

/// Reports what full queues refused, the router's own and the outputs'.
struct RefusalReport {
    reported: u64,
    reported_at: Instant,
}

impl RefusalReport {
    /// Reports what was refused since the last report, if it is time; returns how long until it is, if it is not.
    fn look(&mut self, refused: u64, now: Instant) -> Option<Duration> {
        let new = refused - self.reported;
        if new == 0 {
            return None;
        }
        let elapsed = now.duration_since(self.reported_at);
        if elapsed < REFUSAL_REPORT_INTERVAL {
            return Some(REFUSAL_REPORT_INTERVAL - elapsed);
        }
        tracing::warn!("{new} alerts were not written: the output was too slow to take them");
        (self.reported, self.reported_at) = (refused, now);
        None
    }
}

/// Completes alerts and offers them until nobody sends any more.
fn route(queue: &Receiver<Outgoing>, mut completion: Completion, outputs: &[(Form, Output)], counters: &Counters) {
    let offer = |document: &Document, documents: u64| {
        let mut is_taken = false;
        for (form, output) in outputs {
            if let Some(bytes) = form.render(document) {
                is_taken |= output.offer(Block {
                    bytes,
                    documents,
                    owner: owner(document).into(),
                });
            }
        }
        is_taken
    };
    let mut emit = |document: Document| offer(&document, 1);
    let mut refusals = RefusalReport {
        reported: 0,
        reported_at: Instant::now(),
    };
    let mut precedence = Precedence::take("alerts", SHARE);
    loop {
        precedence.keep_to_share(Instant::now());
        let until_report = refusals.look(counters.counts().refused, Instant::now());
        let pause = completion.interval().or(until_report).unwrap_or(IDLE);
        let is_open = match queue.recv_timeout(pause) {
            Ok(Outgoing::Alert { alert, bytes }) => {
                counters.waiting_bytes.fetch_sub(bytes, Relaxed);
                completion.accept(alert, &mut emit);
                true
            }
            Ok(Outgoing::Notice(document)) => {
                offer(&document, 0);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        };
        if is_open {
            completion.poll(&mut emit);
        } else {
            completion.finish(&mut emit);
        }
        let counts = completion.counts;
        counters.emitted.store(counts.emitted, Relaxed);
        counters.without_metadata.store(counts.without_metadata, Relaxed);
        counters.amended.store(counts.amended, Relaxed);
        if !is_open {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_reported_once_and_not_too_often() {
        let start = Instant::now();
        let mut refusals = RefusalReport {
            reported: 0,
            reported_at: start,
        };
        let half = REFUSAL_REPORT_INTERVAL / 2;
        assert_eq!(refusals.look(0, start), None);
        assert_eq!(refusals.look(3, start + half), Some(half));
        assert_eq!((refusals.look(5, start + 2 * half), refusals.reported), (None, 5));
        assert_eq!(refusals.look(5, start + 4 * half), None);
        assert_eq!((refusals.look(6, start + 4 * half), refusals.reported), (None, 6));
        assert_eq!(refusals.look(7, start + 5 * half), Some(half));
    }
}
