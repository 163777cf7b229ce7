//! Checked rules become what an engine runs: one graph of conditions and an index of what each rule needs.

pub(crate) mod graph;
pub(crate) mod index;
pub(crate) mod rules;
pub(crate) mod sequence;
