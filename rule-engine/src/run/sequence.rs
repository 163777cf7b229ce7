//! Sequences of EQL: events that follow one another and share a key.
//!
//! Works on a stream of events. Each key has one slot per stage, for the partial sequence that ends there. An event
//! tries the stages from last to first: a stage takes the partial sequence out of the slot before it and, extended by
//! the event, puts it into its own slot, replacing an older one. This finds what Elastic's batch algorithm finds, with
//! state that grows only with the number of keys, which [`Groups`] limits.
//!
//! Events that must be missing take no part in this: once the other events are complete, whether one of them came at a
//! forbidden time decides if there is a match. So a spoiled partial sequence stays in its slot and spoils only itself.

use std::cell::OnceCell;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::compile::graph::Evaluation;
use crate::compile::sequence::{CompiledSequence, CompiledTerm};
use crate::limits::EngineLimits;
use crate::record::Record;
use crate::record::key::{Key, owner};
use crate::run::clock::Moment;
use crate::run::counters::EngineCounters;
use crate::run::groups::{Groups, Remembered, Room, keys};
use crate::schema::fields;

mod missing;
mod summary;

pub(crate) use missing::LateMatch;
use missing::{Sightings, Waiting, WaitingSequences};
pub(crate) use summary::{EarlierEvents, Summary};

/// A sequence and what it remembers.
#[derive(Debug)]
pub(crate) struct SequenceState {
    /// Refers to the graph that events are evaluated with, so a reload replaces it.
    sequence: Arc<CompiledSequence>,
    keys: Groups<KeyState>,
    waiting: WaitingSequences,
}

/// What is remembered for a key.
#[derive(Debug)]
struct KeyState {
    /// For each stage but the last.
    slots: Box<[Slot]>,
    /// For each stage the events that must be missing before it.
    unwanted: Box<[Sightings]>,
}

/// The partial sequences that end at a stage: the newest, which replaces those before it.
#[derive(Debug, Default)]
struct Slot {
    newest: Option<Partial>,
    /// One so much earlier that by the newest it is over: should the newest be from the future, the next event continues
    /// this.
    before: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    first_ns: i64,
    last_ns: i64,
    /// When the last event came that must not come before the first one.
    unwanted_before_ns: Option<i64>,
    /// Whether an event came in between that must be missing there.
    is_spoiled: bool,
    events: EarlierEvents,
    /// Of the events.
    bytes: usize,
}

/// How much later a partial sequence has to be, where there is no maxspan, for the one before to be kept beside it.
const DOUBTFUL_GAP_NS: i64 = 3_600_000_000_000;

/// An event of a sequence.
struct Present<'a> {
    record: &'a Record,
    moment: Moment,
    /// The event as a short document, made when it is first needed.
    summary: OnceCell<Summary>,
}

impl Present<'_> {
    fn summary(&self) -> Summary {
        self.summary.get_or_init(|| Summary::of(&self.record.summary())).clone()
    }
}

impl SequenceState {
    pub(crate) fn new(sequence: &Arc<CompiledSequence>, limits: &EngineLimits, room: Room) -> SequenceState {
        let mut state = SequenceState {
            sequence: Arc::clone(sequence),
            keys: Groups::new(room),
            waiting: WaitingSequences::new(room),
        };
        state.set_room(limits, room);
        state
    }

    pub(crate) fn set_room(&mut self, limits: &EngineLimits, room: Room) {
        let beside = |bytes: usize| room.bytes.saturating_sub(bytes);
        self.waiting.set_room(Room {
            keys: limits.waiting_sequences,
            bytes: beside(self.keys.bytes()),
        });
        self.keys.set_room(Room {
            keys: room.keys,
            bytes: beside(self.waiting.bytes()),
        });
    }

    /// What it remembers takes at most, in bytes as allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.bytes() + self.waiting.bytes()
    }

    /// Forgets a key, as [`Groups::give_up`] says, or a sequence that waits, whichever take more.
    pub(crate) fn give_up(&mut self, now_ns: i64, evicted: &mut u64) -> bool {
        if self.waiting.bytes() > self.keys.bytes() {
            return self.waiting.give_up(evicted);
        }
        self.keys.give_up(is_over(self.sequence.max_span_ns, now_ns), evicted)
    }

    /// Continues with the same sequence, compiled again.
    pub(crate) fn run_on(&mut self, sequence: &Arc<CompiledSequence>) {
        self.sequence = Arc::clone(sequence);
    }

    /// The matches that are certain at this time, whatever events come later.
    pub(crate) fn take_due(&mut self, time_ns: i64) -> Vec<LateMatch> {
        self.waiting.take_due(time_ns)
    }

    /// When the next waiting match becomes certain.
    pub(crate) fn next_due_ns(&self) -> Option<i64> {
        self.waiting.next_due_ns()
    }

    /// Whether taking in the event can change anything: it begins a sequence, or something is remembered for its key.
    pub(crate) fn has_use_for(&self, event: &Evaluation<'_>) -> bool {
        if self.sequence.begins_with(event) {
            return true;
        }
        if self.keys.is_empty() && self.waiting.is_empty() {
            return false;
        }
        let is_remembered = |key: &Key| self.keys.get(*key).is_some() || self.waiting.has_one_of(*key);
        let mut terms = self.sequence.terms.iter().chain(&self.sequence.until);
        // Few keys are remembered, so they come first.
        terms.any(|term| {
            let mut cut = 0;
            let keys = keys(&term.keys, event.record, &mut cut);
            // Of keys beyond the limit it is told.
            (cut > 0 || keys.iter().any(is_remembered)) && term.condition.matches(event)
        })
    }

    /// Takes in the event and returns the matches that it completes.
    pub(crate) fn observe(
        &mut self,
        event: &Evaluation<'_>,
        moment: Moment,
        counters: &mut EngineCounters,
    ) -> Vec<EarlierEvents> {
        let sequence = Arc::clone(&self.sequence);
        let terms = sequence.terms.iter();
        let event_keys: Vec<SmallVec<[Key; 1]>> = terms
            .map(|term| term_keys(term, event, &mut counters.group_keys_cut))
            .collect();
        let time_ns = moment.time_ns;
        let present = Present {
            record: event.record,
            moment,
            summary: OnceCell::new(),
        };
        let mut matches = Vec::new();
        for stage in (0..sequence.stages.len()).rev() {
            for key in &event_keys[sequence.stages[stage]] {
                let Some(partial) = self.extended(stage, *key, time_ns) else {
                    continue;
                };
                if stage + 1 < sequence.stages.len() {
                    self.put(stage, *key, partial, &present, counters);
                } else if let Some(deadline_ns) = self.waits_until(&partial) {
                    let summary = Summary::of(&event.record.alert_summary());
                    let bytes = partial.bytes + summary.bytes();
                    let found = LateMatch {
                        owner: owner(event.record).into(),
                        event: summary,
                        timestamp_ns: event.record.first_date(fields::TIMESTAMP),
                        earlier_events: partial.events,
                        reason: sequence.reason(event),
                    };
                    let waiting = Waiting {
                        key: *key,
                        last_ns: time_ns,
                        found,
                    };
                    self.waiting
                        .add(deadline_ns, waiting, bytes, &mut counters.groups_evicted);
                } else if self.is_match(&partial) {
                    matches.push(partial.events);
                }
            }
        }
        self.note_unwanted(&event_keys, &present, counters);
        if let Some(until) = &sequence.until {
            // What would be over by then is not ended: the event may be from the future.
            let is_ended = |partial: &mut Partial| {
                let in_time = |span| time_ns.saturating_sub(partial.first_ns) <= span;
                partial.last_ns <= time_ns && sequence.max_span_ns.is_none_or(in_time)
            };
            for key in term_keys(until, event, &mut counters.group_keys_cut) {
                for slot in self.keys.get_mut(key).into_iter().flat_map(|state| &mut state.slots) {
                    slot.newest.take_if(is_ended);
                    slot.before.take_if(is_ended);
                }
            }
        }
        matches
    }

    /// The partial sequence that the event extends or begins; `None` if there is none within maxspan.
    fn extended(&mut self, stage: usize, key: Key, time_ns: i64) -> Option<Partial> {
        let state = self.keys.get_mut(key);
        let unwanted_ns = state
            .as_ref()
            .and_then(|state| state.unwanted[stage].last_before(time_ns));
        if stage == 0 {
            return Some(Partial {
                first_ns: time_ns,
                last_ns: time_ns,
                unwanted_before_ns: unwanted_ns,
                is_spoiled: false,
                events: Vec::new(),
                bytes: 0,
            });
        }
        // One that is over would be used up, but is left: the event may be from the future.
        let span = self.sequence.max_span_ns;
        let is_usable = |partial: &mut Partial| {
            let in_time = |span| time_ns.saturating_sub(partial.first_ns) <= span;
            partial.last_ns <= time_ns && span.is_none_or(in_time)
        };
        let mut partial = state?.slots[stage - 1].take(is_usable)?;
        partial.is_spoiled |= unwanted_ns > Some(partial.last_ns);
        partial.last_ns = time_ns;
        Some(partial)
    }

    fn put(
        &mut self,
        stage: usize,
        key: Key,
        mut partial: Partial,
        present: &Present<'_>,
        counters: &mut EngineCounters,
    ) {
        let summary = present.summary();
        partial.bytes += summary.bytes();
        partial.events.push(summary);
        let gap_ns = self.sequence.max_span_ns.unwrap_or(DOUBTFUL_GAP_NS);
        self.use_state(key, present, counters, |state| {
            state.slots[stage].put(partial, gap_ns, present.moment);
        });
    }

    fn use_state(
        &mut self,
        key: Key,
        present: &Present<'_>,
        counters: &mut EngineCounters,
        change: impl FnOnce(&mut KeyState),
    ) {
        let stages = self.sequence.stages.len();
        let make = || KeyState {
            slots: std::iter::repeat_with(Slot::default).take(stages - 1).collect(),
            unwanted: vec![Sightings::default(); stages].into(),
        };
        let is_over = is_over(self.sequence.max_span_ns, present.moment.now_ns);
        let evicted = &mut counters.groups_evicted;
        self.keys
            .use_state(key, owner(present.record), make, change, is_over, evicted);
    }

    /// Until when an unwanted event after a complete sequence spoils it; `None` if none can.
    fn waits_until(&self, partial: &Partial) -> Option<i64> {
        if partial.is_spoiled || !self.sequence.may_wait() {
            return None;
        }
        // If an event must be missing before the sequence too, only both within maxspan of each other spoil it.
        let from_ns = if self.sequence.missing[0].is_empty() {
            partial.first_ns
        } else {
            partial.unwanted_before_ns?
        };
        let deadline_ns = from_ns.saturating_add(self.sequence.max_span_ns?);
        (deadline_ns > partial.last_ns).then_some(deadline_ns)
    }

    /// Whether a complete sequence that does not have to wait is a match.
    fn is_match(&self, partial: &Partial) -> bool {
        let unwanted_in_time = partial
            .unwanted_before_ns
            .zip(self.sequence.max_span_ns)
            .is_some_and(|(unwanted_ns, span)| partial.last_ns.saturating_sub(unwanted_ns) <= span);
        !partial.is_spoiled && (self.sequence.may_wait() || !unwanted_in_time)
    }

    fn note_unwanted(
        &mut self,
        event_keys: &[SmallVec<[Key; 1]>],
        present: &Present<'_>,
        counters: &mut EngineCounters,
    ) {
        let (stages, moment) = (self.sequence.stages.len(), present.moment);
        let places = self.sequence.missing.iter().enumerate();
        let unwanted: Vec<(usize, usize)> = places
            .flat_map(|(place, terms)| terms.iter().map(move |term| (place, *term)))
            .collect();
        for (place, term) in unwanted {
            let keys = &event_keys[term];
            if place == stages {
                self.waiting.spoil(keys, moment.time_ns);
            }
            for key in keys {
                if place == 0 {
                    self.use_state(*key, present, counters, |state| state.unwanted[0].note(moment));
                } else if let Some(state) = self.keys.get_mut(*key).filter(|_| place < stages) {
                    state.unwanted[place].note(moment);
                }
            }
        }
    }
}

/// Whether all that began or was seen under a key is out of maxspan.
fn is_over(max_span_ns: Option<i64>, now_ns: i64) -> impl Fn(&KeyState) -> bool {
    let in_time = move |from_ns: i64| max_span_ns.is_none_or(|span| now_ns.saturating_sub(from_ns) <= span);
    move |state| {
        let mut begun = state.partials().map(|partial| partial.first_ns);
        let mut unwanted = state.unwanted.iter().filter_map(Sightings::newest);
        !begun.any(in_time) && !unwanted.any(in_time)
    }
}

impl KeyState {
    fn partials(&self) -> impl Iterator<Item = &Partial> {
        self.slots
            .iter()
            .flat_map(|slot| slot.newest.iter().chain(&slot.before))
    }
}

impl Remembered for KeyState {
    fn heap_bytes(&self) -> usize {
        const ALLOCATIONS: usize = 2 * 16;
        let slots = size_of_val(&*self.slots) + size_of_val(&*self.unwanted) + ALLOCATIONS;
        slots + self.partials().map(|partial| partial.bytes).sum::<usize>()
    }
}

impl Slot {
    /// Takes out the newest that can be used.
    fn take(&mut self, is_usable: impl Fn(&mut Partial) -> bool) -> Option<Partial> {
        match self.newest.take_if(&is_usable) {
            Some(newest) => {
                self.before = None;
                Some(newest)
            }
            None => self.before.take_if(is_usable),
        }
    }

    fn put(&mut self, partial: Partial, gap_ns: i64, moment: Moment) {
        let is_gap = |from: &Partial, to: &Partial| to.last_ns.saturating_sub(from.last_ns) > gap_ns;
        let newest = self.newest.take().filter(|newest| !moment.refutes(newest.last_ns));
        match newest.or(self.before.take()) {
            Some(newest) if is_gap(&partial, &newest) => {
                self.before = Some(partial);
                self.newest = Some(newest);
            }
            newest => {
                self.before = newest.filter(|newest| is_gap(newest, &partial));
                self.newest = Some(partial);
            }
        }
    }
}

/// The keys of the event; none if the term does not match it.
fn term_keys(term: &CompiledTerm, event: &Evaluation<'_>, cut: &mut u64) -> SmallVec<[Key; 1]> {
    if !term.condition.matches(event) {
        return SmallVec::new();
    }
    keys(&term.keys, event.record, cut)
}

#[cfg(test)]
mod tests;
