//! Documents in the order of their times, which is not quite that in which they were written: `replay` between the lines
//! of a recording and the rules.
//!
//! A document waits until one is read that is later by the span, so that those that come late by less find their place;
//! those of one time stay in the order in which they came. Memory is bounded: past [`MAX_HELD_BYTES`] the earliest need
//! not wait any more. Nor need they when the input has nothing to read for a while, as a live pipe has. One document from
//! the far future moves nothing: it takes two. What comes when a later one was taken is taken as it comes, and counted.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::commands::recording::input::Input;
use crate::commands::recording::reading::ReadDocument;
use crate::commands::recording::{Recording, RecordingCounts, Seen};

/// Bytes of documents that may wait at a time, as allocated.
pub(super) const MAX_HELD_BYTES: usize = 256 << 20;
/// About what the allocator and the tree take for one that waits.
const HELD_BYTES: usize = 96;
/// What has waited for all of such a part of the time in which the input had nothing to read waits no longer.
const PART_OF_WAITING: Duration = Duration::from_millis(500);
/// A step of time by more than this, and by more than the span, has to be confirmed by a second document.
const DOUBTFUL_STEP_NS: i64 = 600_000_000_000;

/// The documents of a recording in the order of their times.
pub(super) struct InOrder<I> {
    recording: Recording<I>,
    span_ns: i64,
    max_held_bytes: usize,
    held: BTreeMap<Place, Held>,
    held_bytes: usize,
    /// The times of what was read and of what was taken.
    read: Newest,
    taken: Newest,
    waiting: Waiting,
    /// Up to here everything may be taken, because it waited for long enough.
    waited_to: Option<Place>,
    is_at_end: bool,
    pub(super) counts: OrderCounts,
}

/// What could not be put in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OrderCounts {
    /// Documents that came later than by the span.
    pub(super) late: u64,
    /// Documents that came in time, but when a later one was taken because it could not wait any longer.
    pub(super) overtaken: u64,
}

/// What a recording goes on with.
pub(super) enum Next {
    Document(ReadDocument),
    /// There is nothing to read now, and nothing that may be taken.
    Pause,
    End,
}

/// A document that waits.
struct Held {
    json: Option<Box<str>>,
    has_time: bool,
}

impl Held {
    fn bytes(&self) -> usize {
        HELD_BYTES + self.json.as_ref().map_or(0, |json| json.len())
    }
}

/// A time, and the number of the line.
type Place = (i64, u64);

impl<I: Input> InOrder<I> {
    pub(super) fn new(recording: Recording<I>, span: Duration) -> InOrder<I> {
        InOrder {
            recording,
            span_ns: i64::try_from(span.as_nanos()).unwrap_or(i64::MAX),
            max_held_bytes: MAX_HELD_BYTES,
            held: BTreeMap::new(),
            held_bytes: 0,
            read: Newest::default(),
            taken: Newest::default(),
            waiting: Waiting::default(),
            waited_to: None,
            is_at_end: false,
            counts: OrderCounts::default(),
        }
    }

    /// What comes next. Does not wait for the input before it has said that there is a pause.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        loop {
            if let Some(document) = self.take_due() {
                return Ok(Next::Document(document));
            }
            if self.is_at_end {
                return Ok(Next::End);
            }
            if !self.recording.wait(Duration::ZERO)? {
                if !std::mem::replace(&mut self.waiting.is_told, true) {
                    return Ok(Next::Pause);
                }
                let at_most = if self.held.is_empty() {
                    Duration::MAX
                } else {
                    PART_OF_WAITING
                };
                if !self.recording.wait(at_most)? {
                    self.look_at_waiting();
                    continue;
                }
            }
            match self.recording.look()? {
                Seen::Document(document) => self.hold(document),
                Seen::Part => {}
                Seen::End => self.is_at_end = true,
            }
            self.look_at_waiting();
        }
    }

    /// What was read, once all of it is.
    pub(super) fn finish(self) -> RecordingCounts {
        self.recording.finish()
    }

    fn hold(&mut self, document: ReadDocument) {
        let ReadDocument { line, time_ns, json } = document;
        if let Some(time_ns) = time_ns {
            self.read.note(time_ns);
            let is_before = |other_ns: Option<i64>| Some(time_ns) < other_ns;
            if is_before(self.due_ns()) {
                self.counts.late += 1;
            } else if is_before(self.taken.present(self.step_ns())) {
                self.counts.overtaken += 1;
            }
        }
        // One without a time stands behind what was read before it.
        let now_ns = self.read.present(self.step_ns()).unwrap_or(i64::MIN);
        let place = (time_ns.unwrap_or(now_ns), line);
        self.waiting.last = self.waiting.last.max(Some(place));
        let held = Held {
            json,
            has_time: time_ns.is_some(),
        };
        self.held_bytes += held.bytes();
        self.held.insert(place, held);
    }

    fn take_due(&mut self) -> Option<ReadDocument> {
        let due_ns = self.due_ns();
        let first = self.held.first_entry()?;
        let place = *first.key();
        let is_due = self.is_at_end
            || self.span_ns == 0
            || due_ns.is_none_or(|due_ns| place.0 <= due_ns)
            || self.held_bytes > self.max_held_bytes
            || Some(place) <= self.waited_to;
        if !is_due {
            self.waited_to = None;
            return None;
        }
        let held = first.remove();
        self.held_bytes -= held.bytes();
        let (time_ns, line) = place;
        self.taken.note(time_ns);
        self.waiting.is_told = false;
        Some(ReadDocument {
            line,
            time_ns: held.has_time.then_some(time_ns),
            json: held.json,
        })
    }

    /// Up to which time nothing more is to be waited for; `None` before the first.
    fn due_ns(&self) -> Option<i64> {
        let now_ns = self.read.present(self.step_ns())?;
        Some(now_ns.saturating_sub(self.span_ns))
    }

    fn step_ns(&self) -> i64 {
        self.span_ns.max(DOUBTFUL_STEP_NS)
    }

    fn look_at_waiting(&mut self) {
        let waited = self.recording.input.waited();
        if let Some(waited_to) = self.waiting.turn(waited) {
            self.waited_to = self.waited_to.max(Some(waited_to));
        }
    }
}

/// The two latest times.
#[derive(Debug, Default)]
struct Newest {
    newest_ns: Option<i64>,
    second_ns: Option<i64>,
}

impl Newest {
    fn note(&mut self, time_ns: i64) {
        if self.newest_ns <= Some(time_ns) {
            self.second_ns = self.newest_ns.replace(time_ns);
        } else {
            self.second_ns = self.second_ns.max(Some(time_ns));
        }
    }

    /// How far time has come: to the latest, unless that is further than this from all others.
    fn present(&self, step_ns: i64) -> Option<i64> {
        let newest_ns = self.newest_ns?;
        let is_confirmed = |second_ns: i64| newest_ns.saturating_sub(second_ns) <= step_ns;
        match self.second_ns {
            Some(second_ns) if !is_confirmed(second_ns) => Some(second_ns),
            _ => Some(newest_ns),
        }
    }
}

/// How far that reaches which has waited for the input: in two parts of the time that it had nothing to read.
#[derive(Debug, Default)]
struct Waiting {
    turned: Duration,
    /// The last of what was read in the part before this one, and in this one.
    before: Option<Place>,
    last: Option<Place>,
    /// Whether it is known that there is a pause.
    is_told: bool,
}

impl Waiting {
    /// Gives what has waited for a whole part, when one is over.
    fn turn(&mut self, waited: Duration) -> Option<Place> {
        if waited.saturating_sub(self.turned) < PART_OF_WAITING {
            return None;
        }
        self.turned = waited;
        std::mem::replace(&mut self.before, self.last.take())
    }
}

#[cfg(test)]
mod tests;
