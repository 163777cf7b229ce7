//! What ways need of one field, as it is collected before an index of the field is built.

use std::collections::BTreeMap;

use crate::analysis::prerequisite::RequiredKey;

/// For each key the ways that need it or an alternative to it.
pub(super) type Keys = BTreeMap<RequiredKey, Vec<u32>>;

/// What ways need of one field.
#[derive(Default)]
pub(super) struct NeedsOfField {
    pub needing: Vec<u32>,
    pub keys: Keys,
}

impl NeedsOfField {
    /// How many ways looking up the field is likely to rule out: those that need one of its values, less the share of
    /// all needs that their keys make up, because a value that many need is likely to be common.
    pub(super) fn worth(&self) -> f64 {
        let needs: usize = self.keys.values().map(Vec::len).sum();
        let keyed: f64 = self.keys.values().map(|ways| (ways.len() * ways.len()) as f64).sum();
        let expected = if needs == 0 { 0.0 } else { keyed / needs as f64 };
        let mut ways: Vec<u32> = self.keys.values().flatten().copied().collect();
        ways.sort_unstable();
        ways.dedup();
        // A field that only has to be present is assumed to be present in half of all events.
        (ways.len() as f64 - expected).max(0.0) + self.needing.len().saturating_sub(ways.len()) as f64 / 2.0
    }
}
