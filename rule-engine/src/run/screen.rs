//! Which events no rule takes in: what can be said without what the rules remember, so in any order and in any thread.
//!
//! An engine need not be shown such an event, only its time ([`Engine::pass`](crate::Engine::pass)).

use std::sync::Arc;

use super::counters::ScreenCounts;
use crate::compile::graph::Scratch;
use crate::compile::index::Candidates;
use crate::compile::rules::Rules;
use crate::record::Record;

/// Sorts out events before an [`Engine`](crate::Engine) with the same rules.
pub struct Screen {
    rules: Arc<Rules>,
    candidates: Candidates,
    scratch: Scratch,
    combinations_cut: u64,
}

impl Screen {
    /// A screen before engines with these rules.
    pub fn new(rules: &Arc<Rules>) -> Screen {
        Screen {
            candidates: rules.index.scratch(),
            scratch: rules.graph.scratch(),
            rules: Arc::clone(rules),
            combinations_cut: 0,
        }
    }

    /// Whether some rule takes the event in, so that an engine has to be shown it.
    pub fn takes_in(&mut self, record: &Record) -> bool {
        let Screen {
            rules,
            candidates,
            scratch,
            combinations_cut,
        } = self;
        let event = rules.begin(record, candidates, scratch);
        let is_taken_in = candidates
            .rules()
            .any(|position| rules.rules[position].takes_in(&event));
        if !is_taken_in {
            *combinations_cut += event.combinations_cut();
        }
        is_taken_in
    }

    /// What it counted of events that no rule takes in.
    pub fn counts(&self) -> ScreenCounts {
        let (unread_events, unread_streams) = self.candidates.unread_streams();
        ScreenCounts {
            function_combinations_cut: self.combinations_cut,
            unread_events,
            unread_streams,
        }
    }
}
