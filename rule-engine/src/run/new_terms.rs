//! New-terms rules: a combination of values raises an alert if it was not seen within the window before.
//!
//! Only events that satisfy the rule's query are remembered; what is remembered is events seen, not alerts sent, but for a
//! term whose alert is held back, or by which an alert grows that has yet to be told.

use crate::condition::NewTerms;
use crate::record::Record;
use crate::record::key::{bounded, owner};
use crate::run::clock::Moment;
use crate::run::counters::EngineCounters;
use crate::run::history::TermHistory;
use crate::schema::FieldReference;
use crate::value::hash::{HashSet, digest};

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

    /// The rule runs at this time, whether it takes anything in or not: its learning period begins with the first time.
    pub(crate) fn begin(&self, now_ns: i64, history: &mut dyn TermHistory) {
        history.rule_first_seen(&self.history_key, milliseconds(now_ns));
    }

    /// Remembers the event's combinations and returns those that are new, unless the rule is still learning. As `places`
    /// alerts may come of them and no more, what is new beyond that is returned but not remembered.
    pub(crate) fn observe(
        &self,
        record: &Record,
        moment: Moment,
        learn_for_ms: i64,
        mut places: u64,
        history: &mut dyn TermHistory,
        counters: &mut EngineCounters,
    ) -> Vec<Vec<String>> {
        let mut combinations = self.combinations(record, counters);
        if combinations.is_empty() {
            return combinations;
        }
        let (time_ms, now_ms) = (milliseconds(moment.time_ns), milliseconds(moment.now_ns));
        let first_seen = history.rule_first_seen(&self.history_key, now_ms);
        let learning = now_ms < first_seen.saturating_add(self.new_terms.learn_for_ms.unwrap_or(learn_for_ms));
        let window_start_ms = time_ms.saturating_sub(self.new_terms.window_ms);
        let is_new = |last_seen: Option<i64>| last_seen.is_none_or(|last_seen| last_seen < window_start_ms);
        combinations.retain(|combination| {
            let term = term(combination);
            if places == 0 && !learning && is_new(history.last_seen(&self.history_key, &term)) {
                return true;
            }
            let is_new = is_new(history.observe(&self.history_key, &term, owner(record), time_ms));
            places = places.saturating_sub(u64::from(is_new));
            is_new
        });
        if learning {
            counters.terms_learned += combinations.len() as u64;
            combinations.clear();
        }
        combinations
    }

    /// Remembers a combination of an earlier event.
    pub(crate) fn see(&self, combination: &[String], owner: &str, time_ns: i64, history: &mut dyn TermHistory) {
        history.observe(&self.history_key, &term(combination), owner, milliseconds(time_ns));
    }

    /// Every combination of one value of each field; none if a field is missing.
    fn combinations(&self, record: &Record, counters: &mut EngineCounters) -> Vec<Vec<String>> {
        let mut combinations = vec![Vec::new()];
        for field in &self.new_terms.fields {
            let mut values: Vec<String> = Vec::new();
            let mut seen = HashSet::default();
            for text in field.keys(record).filter(|text| seen.insert(digest(text))) {
                if values.len() == self.most_combinations {
                    counters.term_combinations_cut += 1;
                    continue;
                }
                values.push(text.into_owned());
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

fn milliseconds(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(1_000_000)
}
