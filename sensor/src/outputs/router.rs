//! Completes alerts and offers each, in the form that it wants, to every output.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::json;
use super::queue::{Output, QueueCounters};
use super::text::{self, ReasonDetail, Style};
use crate::alert::complete::Completion;
use crate::alert::{AMENDMENT, Alert, BUILDING_BLOCK_TYPE};
use crate::telemetry::counts::OutputCounts;
use crate::text::document::Document;

/// Alerts that may wait for the router's thread.
const QUEUE_LENGTH: usize = 4096;
/// How long the thread sleeps when nothing waits to be completed or reported.
const IDLE: Duration = Duration::from_secs(3600);

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
            Form::Text { style, .. } if document.contains_key(AMENDMENT) => {
                Some(text::render_amendment(document, style).into_bytes())
            }
            Form::Text { style, detail } => Some(text::render(document, style, detail).into_bytes()),
        }
    }
}

/// The sending side of all outputs.
pub(crate) struct Router {
    alerts: SyncSender<Box<Alert>>,
    counters: Arc<Counters>,
    /// Closed when the outputs have been offered everything.
    all_offered: Receiver<Infallible>,
    /// Closed by the end of the thread, which ends after those of the outputs.
    ended: Receiver<Infallible>,
    thread: Arc<JoinHandle<()>>,
}

#[derive(Default)]
struct Counters {
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
        let (alerts, queue) = mpsc::sync_channel(QUEUE_LENGTH);
        let (offering, all_offered) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let counters = Arc::new(Counters {
            outputs: outputs.iter().map(|(_, output)| Arc::clone(&output.counters)).collect(),
            ..Counters::default()
        });
        let counted = Arc::clone(&counters);
        let thread = thread::Builder::new().name("alerts".to_owned()).spawn(move || {
            let _end = end;
            route(&queue, completion, &outputs, &counted);
            drop(offering);
            outputs.into_iter().for_each(|(_, output)| output.finish());
        })?;
        Ok(Router {
            alerts,
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
        self.counters.offered.fetch_add(1, Relaxed);
        if let Err(TrySendError::Full(_)) = self.alerts.try_send(Box::new(alert)) {
            self.counters.refused.fetch_add(1, Relaxed);
        }
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
        drop(self.alerts);
        // Nothing is ever sent: these return when there is nothing more to do, or at the time limit.
        let deadline = Instant::now() + time_limit;
        for done in [self.all_offered, self.ended] {
            let _ = done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        self.counters.final_counts()
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
fn route(queue: &Receiver<Box<Alert>>, mut completion: Completion, outputs: &[(Form, Output)], counters: &Counters) {
    let mut emit = |document: Document| {
        let mut is_taken = false;
        for (form, output) in outputs {
            if let Some(block) = form.render(&document) {
                is_taken |= output.offer(block);
            }
        }
        is_taken
    };
    let mut refusals = RefusalReport {
        reported: 0,
        reported_at: Instant::now(),
    };
    loop {
        let until_report = refusals.look(counters.counts().refused, Instant::now());
        let pause = completion.interval().or(until_report).unwrap_or(IDLE);
        let is_open = match queue.recv_timeout(pause) {
            Ok(alert) => {
                completion.accept(alert, &mut emit);
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
