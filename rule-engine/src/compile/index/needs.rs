//! What rules need of one field, as it is collected before an index of the field is built.

use std::collections::BTreeMap;

use crate::analysis::prerequisite::{RequiredKey, RequiredValues};

/// For each key the rules that need it or an alternative to it.
pub(super) type Keys = BTreeMap<RequiredKey, Vec<u32>>;

/// What rules need of one field: in each case, or as one of several ways.
#[derive(Default)]
pub(super) struct NeedsOfField {
    pub needing: Vec<u32>,
    pub keys: Keys,
    pub asking: Vec<u32>,
    pub alternatives: Keys,
    /// Of those that ask, the rules for which any value will do.
    pub asking_presence: Vec<u32>,
}

impl NeedsOfField {
    pub(super) fn rules(&self) -> impl Iterator<Item = u32> + '_ {
        let keyed = self.keys.values().flatten();
        self.needing.iter().chain(&self.asking).chain(keyed).copied()
    }

    /// How many rules looking up the field is likely to rule out: those that need one of its values, less the share of
    /// all needs that their keys make up, because a value that many rules need is likely to be common.
    pub(super) fn worth(&self) -> f64 {
        let needs: usize = self.keys.values().map(Vec::len).sum();
        let keyed: f64 = self.keys.values().map(|rules| (rules.len() * rules.len()) as f64).sum();
        let expected = if needs == 0 { 0.0 } else { keyed / needs as f64 };
        let mut rules: Vec<u32> = self.keys.values().flatten().copied().collect();
        rules.sort_unstable();
        rules.dedup();
        // A field that only has to be present is assumed to be present in half of all events.
        (rules.len() as f64 - expected).max(0.0) + self.needing.len().saturating_sub(rules.len()) as f64 / 2.0
    }
}

pub(super) fn add_keys(keys: &mut Keys, values: &RequiredValues, rule: u32) {
    for key in values.keys() {
        keys.entry(key.clone()).or_default().push(rule);
    }
}
