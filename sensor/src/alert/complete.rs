//! Alerts wait a stated time for what container engines report, and are amended with what comes later, from an engine or
//! as something else that is new.
//!
//! Nothing here waits itself: a thread that has nothing else to do calls [`Completion::poll`] every
//! [`Completion::interval`]. An alert that waits does not hold up the others.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use container_engines::{Directory, Lookup};
use rule_engine::Record;

use super::document::{Alert, ContainerMetadata};
use super::growing::GrowingAlerts;
use crate::record::{SCHEMA, fill_metadata};
use crate::text::document::Document;

/// Alerts that may wait for their container's metadata; with more, the oldest leaves without.
pub(crate) const MAX_PENDING: usize = 1024;
/// The memory that either of the two may take; past it as past their numbers.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// How often the metadata of waiting alerts is looked for.
const PENDING_INTERVAL: Duration = Duration::from_millis(10);
/// Alerts that left without their container's metadata and may be amended; with more, the oldest stays as it is.
pub(crate) const MAX_AMENDABLE: usize = 1024;
/// How long after an alert it may be amended, and how often to check whether it can be.
const AMENDED_WITHIN: Duration = Duration::from_secs(60);
const AMENDING_INTERVAL: Duration = Duration::from_millis(50);

/// Adds what is known of an alert's container to its event, and says whether that is all there will be. Asked again
/// and again while an alert waits, so it must not wait itself.
pub(crate) type CompleteContainer = Box<dyn FnMut(&mut Alert) -> ContainerMetadata + Send>;

/// Takes the documents that leave: alerts, and amendments, which say that they are. Says whether an output took it.
pub(crate) type Emit<'a> = &'a mut dyn FnMut(Document) -> bool;

/// Alerts on their way out.
pub(crate) struct Completion {
    complete: CompleteContainer,
    /// How long an alert may wait for its container's name and image.
    metadata_wait: Duration,
    /// Not emitted yet.
    pending: Waiting,
    /// Taken by an output, but not with all that may come to be known.
    amendable: Waiting,
    /// Those that may be followed by something new.
    growing: GrowingAlerts,
    last_poll: Instant,
    last_amending: Instant,
    pub(crate) counts: CompletionCounts,
}

/// What became of alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CompletionCounts {
    pub(crate) emitted: u64,
    /// Those of them that an output took before their container's metadata was known.
    pub(crate) without_metadata: u64,
    /// Those of these that a second document amended, which an output took.
    pub(crate) amended: u64,
}

/// An alert whose container is not fully known, and until when that matters.
struct Pending {
    deadline: Instant,
    alert: Box<Alert>,
}

/// Alerts in the order in which they came, and the memory that they take.
#[derive(Default)]
struct Waiting {
    alerts: VecDeque<(Pending, usize)>,
    bytes: usize,
}

impl Waiting {
    fn push(&mut self, pending: Pending) {
        let bytes = pending.alert.memory();
        self.bytes += bytes;
        self.alerts.push_back((pending, bytes));
    }

    fn pop(&mut self) -> Option<Pending> {
        let (pending, bytes) = self.alerts.pop_front()?;
        self.bytes -= bytes;
        Some(pending)
    }

    fn is_over(&self, length: usize) -> bool {
        self.alerts.len() > length || self.bytes > WAITING_BYTES
    }

    fn len(&self) -> usize {
        self.alerts.len()
    }

    fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }
}

impl Completion {
    pub(crate) fn new(complete: CompleteContainer, metadata_wait: Duration) -> Self {
        Completion {
            complete,
            metadata_wait,
            pending: Waiting::default(),
            amendable: Waiting::default(),
            growing: GrowingAlerts::default(),
            last_poll: Instant::now(),
            last_amending: Instant::now(),
            counts: CompletionCounts::default(),
        }
    }

    /// Emits the alert, now or after a wait.
    pub(crate) fn accept(&mut self, mut alert: Box<Alert>, emit: Emit<'_>) {
        *alert = self.growing.follow(*alert);
        if alert.growth.is_some() {
            return self.emit_grown(*alert, emit);
        }
        alert.container_metadata = (self.complete)(&mut alert);
        if alert.container_metadata != ContainerMetadata::Pending || self.metadata_wait.is_zero() {
            self.emit(*alert, emit);
            return;
        }
        let deadline = Instant::now() + self.metadata_wait;
        self.pending.push(Pending { deadline, alert });
        while self.pending.is_over(MAX_PENDING)
            && let Some(oldest) = self.pending.pop()
        {
            self.emit(*oldest.alert, emit);
        }
    }

    /// Tells what an alert has grown by: as an amendment, or with the alert if that still waits.
    fn emit_grown(&mut self, mut grown: Alert, emit: Emit<'_>) {
        let (rule, number) = (&grown.rule.rule_id, grown.number);
        let is_same = |other: &Alert| other.number == number && other.rule.rule_id == *rule;
        for (waiting, _) in &mut self.amendable.alerts {
            if is_same(&waiting.alert) {
                waiting.alert.growth.clone_from(&grown.growth);
            }
        }
        for (waiting, _) in &mut self.pending.alerts {
            if is_same(&waiting.alert) {
                waiting.alert.growth = grown.growth;
                self.counts.emitted += 1;
                return;
            }
        }
        grown.container_metadata = (self.complete)(&mut grown);
        self.counts.emitted += 1;
        emit(grown.into_document());
    }

    /// How long it may take until the next poll; `None` if nothing waits for one.
    pub(crate) fn interval(&self) -> Option<Duration> {
        match (self.pending.is_empty(), self.amendable.is_empty()) {
            (false, _) => Some(PENDING_INTERVAL),
            (true, false) => Some(AMENDING_INTERVAL),
            (true, true) => None,
        }
    }

    /// Emits what has become complete or has waited long enough, if it is time to poll.
    pub(crate) fn poll(&mut self, emit: Emit<'_>) {
        if self.last_poll.elapsed() >= PENDING_INTERVAL {
            self.last_poll = Instant::now();
            self.release(self.last_poll, emit);
        }
        if self.last_amending.elapsed() >= AMENDING_INTERVAL {
            self.last_amending = Instant::now();
            self.amend(emit);
        }
    }

    /// Emits everything that waits.
    pub(crate) fn finish(&mut self, emit: Emit<'_>) {
        self.release(Instant::now() + self.metadata_wait, emit);
    }

    /// Emits the alerts whose metadata has come, or that need not wait after `now`.
    fn release(&mut self, now: Instant, emit: Emit<'_>) {
        for _ in 0..self.pending.len() {
            let Some(mut waiting) = self.pending.pop() else {
                return;
            };
            waiting.alert.container_metadata = (self.complete)(&mut waiting.alert);
            if waiting.alert.container_metadata != ContainerMetadata::Pending || waiting.deadline <= now {
                self.emit(*waiting.alert, emit);
            } else {
                self.pending.push(waiting);
            }
        }
    }

    fn emit(&mut self, alert: Alert, emit: Emit<'_>) {
        self.counts.emitted += 1;
        let incomplete = (alert.container_metadata != ContainerMetadata::Complete).then(|| Box::new(alert.clone()));
        let is_taken = emit(alert.into_document());
        if let Some(alert) = incomplete
            && is_taken
        {
            self.counts.without_metadata += 1;
            let deadline = Instant::now() + AMENDED_WITHIN;
            self.amendable.push(Pending { deadline, alert });
            while self.amendable.is_over(MAX_AMENDABLE) {
                self.amendable.pop();
            }
        }
    }

    /// Repeats alerts of whose containers more has come to be known.
    fn amend(&mut self, emit: Emit<'_>) {
        let now = Instant::now();
        for _ in 0..self.amendable.len() {
            let Some(mut emitted) = self.amendable.pop() else {
                return;
            };
            emitted.alert.container_metadata = (self.complete)(&mut emitted.alert);
            if emitted.alert.container_metadata != ContainerMetadata::Complete {
                if emitted.deadline > now {
                    self.amendable.push(emitted);
                }
                continue;
            }
            emitted.alert.is_amendment = true;
            self.counts.amended += u64::from(emit(emitted.alert.into_document()));
        }
    }
}

/// Completes alerts with what the directory knows.
pub(crate) fn complete_from(directory: Directory) -> CompleteContainer {
    let mut scratch = Record::with_schema(&SCHEMA);
    Box::new(move |alert| {
        let Some(container) = &alert.container else {
            return ContainerMetadata::Complete;
        };
        let lookup = directory.get(container.claim());
        scratch.clear();
        fill_metadata(&mut scratch, &lookup);
        alert.metadata = scratch.to_document();
        match lookup {
            Lookup::Pending(_) => ContainerMetadata::Pending,
            lookup if lookup.may_improve() => ContainerMetadata::Failed,
            _ => ContainerMetadata::Complete,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AMENDMENT;
    use crate::alert::sample::{growing, sample};

    #[test]
    fn what_is_new_is_told_with_an_alert_that_still_waits_and_otherwise_as_its_amendment() {
        use ContainerMetadata::{Complete, Pending};
        // Whether the engine has answered when something is new, and what is told.
        for (answer, expected) in [(Complete, vec![(0, false), (1, true)]), (Pending, vec![(1, false)])] {
            let mut completion = Completion::new(Box::new(move |_| answer), Duration::from_secs(60));
            let mut told = Vec::new();
            let mut emit = |document: Document| {
                let count = document["kibana.alert.suppression.docs_count"]
                    .as_u64()
                    .unwrap_or_default();
                told.push((count, document.contains_key(AMENDMENT)));
                true
            };
            for alert in growing("c1", &["a", "b"]) {
                completion.accept(Box::new(alert), &mut emit);
            }
            completion.finish(&mut emit);
            assert_eq!((told, completion.counts.emitted), (expected, 2));
        }
    }

    #[test]
    fn only_what_an_output_took_is_amended_and_counted() {
        use ContainerMetadata::{Complete, Pending};
        // Whether an output takes the alert and the amendment, and what is then counted for each.
        for (takes, expected) in [([false, true], (0, 0)), ([true, false], (1, 0)), ([true, true], (1, 1))] {
            let mut answers = [Pending, Complete].into_iter();
            let mut completion = Completion::new(Box::new(move |_| answers.next().unwrap_or(Complete)), Duration::ZERO);
            completion.accept(Box::new(sample()), &mut |_| takes[0]);
            assert_eq!(completion.interval().is_some(), takes[0]);
            let mut amendments = 0;
            completion.amend(&mut |_| {
                amendments += 1;
                takes[1]
            });
            assert_eq!(amendments, u64::from(takes[0]));
            let counts = completion.counts;
            assert_eq!(
                (counts.emitted, (counts.without_metadata, counts.amended)),
                (1, expected)
            );
        }
    }
}
