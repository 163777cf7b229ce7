//! The memory that an engine's rules share.
//!
//! A rule may have whatever the others leave free. When there is nothing left, the rule that has the most gives up, so
//! each has its equal share if it needs that, however much the others would take.

use super::counters::EngineCounters;
use super::state::RuleState;

/// How much of the memory is in use.
#[derive(Debug)]
pub(super) struct Pool {
    /// What all rules together may have for longer than one event.
    bytes: usize,
    /// What one event may take beyond that.
    slack: usize,
    used: usize,
    /// The positions of the rules that remember anything.
    rules: Box<[usize]>,
}

impl Pool {
    pub(super) fn of(states: &[RuleState], bytes: usize) -> Pool {
        let remembers = |position: &usize| states[*position].remembers();
        let slack = bytes / 16;
        Pool {
            bytes: bytes - slack,
            slack,
            used: states.iter().map(RuleState::bytes).sum(),
            rules: (0..states.len()).filter(remembers).collect(),
        }
    }

    /// By how much a rule may grow with one event.
    pub(super) fn left(&self) -> usize {
        (self.bytes + self.slack).saturating_sub(self.used)
    }

    /// What took so much before takes so much now.
    pub(super) fn changed(&mut self, before: usize, now: usize) {
        self.used = self.used + now - before;
    }

    /// Has those rules that have the most forget until all fits.
    pub(super) fn make_room(&mut self, states: &mut [RuleState], now_ns: i64, counters: &mut EngineCounters) {
        while self.used > self.bytes {
            let bytes_of = |position: &usize| states[*position].bytes();
            let Some(largest) = self.rules.iter().copied().max_by_key(bytes_of) else {
                return;
            };
            let largest = &mut states[largest];
            let before = largest.bytes();
            if !largest.give_up(now_ns, counters) {
                return;
            }
            self.changed(before, largest.bytes());
        }
    }
}
