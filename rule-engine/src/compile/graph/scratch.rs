//! What evaluating an event needs besides the event, kept for the next one so that nothing is allocated.

use std::cell::Cell;

use crate::value::FoldBuffer;

#[derive(Debug)]
pub(crate) struct Scratch {
    /// For each node the number of the event it was last evaluated for, and in the lowest bit the outcome.
    pub(super) results: Box<[Cell<u64>]>,
    /// The number of the current event, from 1.
    pub(super) event: u64,
    pub(super) folded: FoldBuffer,
    /// Where a value is folded whose tests fold it themselves.
    pub(super) scanned: FoldBuffer,
    /// For each node the number of the value that it was last tried on, from 1.
    pub(super) tried: Box<[Cell<u32>]>,
    combinations_cut: Cell<u64>,
}

impl Scratch {
    pub(super) fn new(nodes: usize) -> Scratch {
        Scratch {
            results: vec![Cell::new(0); nodes].into(),
            event: 0,
            folded: FoldBuffer::default(),
            scanned: FoldBuffer::default(),
            tried: vec![Cell::new(0); nodes].into(),
            combinations_cut: Cell::new(0),
        }
    }

    /// Invalidates the outcomes of the previous event.
    pub(super) fn begin_event(&mut self) {
        self.event += 1;
        self.combinations_cut.set(0);
        self.folded.forget();
    }

    /// Notes the outcome of a node for the current event.
    pub(super) fn note(&self, node: usize, holds: bool) {
        self.results[node].set(self.event << 1 | u64::from(holds));
    }

    /// Combinations of values beyond the limit, for which no function was computed.
    pub(super) fn combinations_cut(&self) -> u64 {
        self.combinations_cut.get()
    }

    pub(super) fn note_cut(&self, combinations: usize) {
        let cut = self.combinations_cut().saturating_add(combinations as u64);
        self.combinations_cut.set(cut);
    }
}
