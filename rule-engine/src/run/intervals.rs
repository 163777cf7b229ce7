//! What of alerts is told later, of all rules of an engine: intervals of `max_signals`, of which there may be so many, and
//! growths. When the next one ends, or is due.

use std::collections::BTreeSet;

use super::alert_limiter::AlertLimiter;
use super::state::{Rooms, RuleState};

/// Follows the limiters of an engine's rules.
#[derive(Debug)]
pub(super) struct Intervals {
    /// When the next interval of a rule ends in which something was held back, or the next of its alerts is told again, and
    /// the rule's position.
    ends: BTreeSet<(i64, usize)>,
    count: usize,
    /// Of all rules together, and of one. However many there are, a rule has one.
    most: usize,
    most_of_rule: usize,
}

impl Intervals {
    pub(super) fn of(states: &[RuleState], rooms: &Rooms) -> Intervals {
        let limiters = states.iter().map(|state| &state.limiter).enumerate();
        Intervals {
            ends: limiters
                .filter_map(|(position, limiter)| Some((limiter.next_due_ns()?, position)))
                .collect(),
            count: states.iter().map(|state| state.limiter.interval_count()).sum(),
            most: rooms.intervals,
            most_of_rule: rooms.intervals_of_rule,
        }
    }

    /// Has the limiter of the rule at this position work, which may have so many intervals.
    pub(super) fn follow<T>(
        &mut self,
        position: usize,
        limiter: &mut AlertLimiter,
        work: impl FnOnce(&mut AlertLimiter, usize) -> T,
    ) -> T {
        let (count, end_ns) = (limiter.interval_count(), limiter.next_due_ns());
        let others = self.count - count;
        let most = self.most.saturating_sub(others).clamp(1, self.most_of_rule);
        let outcome = work(limiter, most);
        self.count = others + limiter.interval_count();
        let new_end_ns = limiter.next_due_ns();
        if new_end_ns != end_ns {
            end_ns.map(|end_ns| self.ends.remove(&(end_ns, position)));
            self.ends.extend(new_end_ns.map(|end_ns| (end_ns, position)));
        }
        outcome
    }

    /// When the next interval ends in which something was held back, or growth is due, and the rule's position.
    pub(super) fn next_end(&self) -> Option<(i64, usize)> {
        self.ends.first().copied()
    }
}
