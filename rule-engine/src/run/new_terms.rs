//! New-terms rules: a combination of values raises an alert if it was not seen within the window before.
//!
//! Only events that satisfy the rule's query are remembered; what is remembered is events seen, not alerts sent.

use crate::condition::NewTerms;
use crate::record::Record;
use crate::record::key::owner;
use crate::record::key::{bounded, text};
use crate::run::counters::EngineCounters;
use crate::run::history::TermHistory;
use crate::schema::FieldReference;

/// A new-terms rule at work; what it remembers is in the [`TermHistory`].
#[derive(Debug)]
pub(crate) struct NewTermsObserver {
    new_terms: NewTerms,
    /// The key of the rule's terms in the history. It names the fields, so that terms of other fields are kept apart.
    history_key: String,
    /// Combinations of one event that are looked at.
    most_combinations: usize,
}

impl NewTermsObserver {
    pub(crate) fn new(new_terms: NewTerms, rule_id: &str, most_combinations: usize) -> NewTermsObserver {
        let fields: Vec<String> = new_terms.fields.iter().map(FieldReference::name).collect();
        NewTermsObserver {
            history_key: format!("{rule_id}/{}", fields.join(",")),
            new_terms,
            most_combinations,
        }
    }

    /// Remembers the event's combinations and returns those that are new, unless the rule is still learning.
    pub(crate) fn observe(
        &self,
        record: &Record,
        now_ms: i64,
        learn_for_ms: i64,
        history: &mut dyn TermHistory,
        counters: &mut EngineCounters,
    ) -> Vec<Vec<String>> {
        let mut combinations = self.combinations(record, counters);
        if combinations.is_empty() {
            return combinations;
        }
        let first_seen = history.rule_first_seen(&self.history_key, now_ms);
        let learning = now_ms < first_seen.saturating_add(self.new_terms.learn_for_ms.unwrap_or(learn_for_ms));
        combinations.retain(|combination| {
            let last_seen = history.observe(&self.history_key, &term(combination), owner(record), now_ms);
            last_seen.is_none_or(|last_seen| last_seen < now_ms.saturating_sub(self.new_terms.window_ms))
        });
        if learning {
            counters.terms_learned += combinations.len() as u64;
            combinations.clear();
        }
        combinations
    }

    /// Every combination of one value of each field; none if a field is missing.
    fn combinations(&self, record: &Record, counters: &mut EngineCounters) -> Vec<Vec<String>> {
        let mut combinations = vec![Vec::new()];
        for field in &self.new_terms.fields {
            let mut values: Vec<String> = Vec::new();
            for value in record.values(field.field) {
                let text = text(value, field);
                if let Some(text) = text.filter(|text| !values.contains(text)) {
                    if values.len() == self.most_combinations {
                        counters.term_combinations_cut += 1;
                        continue;
                    }
                    values.push(text);
                }
            }
            combinations = combinations
                .iter()
                .flat_map(|begun| {
                    values
                        .iter()
                        .map(|value| [begun.as_slice(), std::slice::from_ref(value)].concat())
                })
                .collect();
            let cut = combinations.len().saturating_sub(self.most_combinations);
            combinations.truncate(self.most_combinations);
            counters.term_combinations_cut += cut as u64;
        }
        combinations
    }
}

/// An unambiguous text for the values.
fn term(values: &[String]) -> String {
    bounded(serde_json::Value::from(values.to_vec()).to_string())
}
