//! New-terms rules: a combination of values is worth an alert when it was not seen within the window before.
//!
//! Stands behind the rule's query: only events that satisfy it are remembered. What is remembered is events seen,
//! not alerts sent.

use uuid::Uuid;

use crate::limits::{MAX_TERM_BYTES, MAX_TERM_COMBINATIONS};
use crate::record::{Record, Value};
use crate::run::engine::EngineCounters;
use crate::run::groups::owner;
use crate::run::history::TermHistory;
use crate::schema::reference::FieldReference;
use crate::value::timestamp;

/// The `new_terms` part of a rule, checked.
#[derive(Clone, Debug)]
pub(crate) struct NewTerms {
    /// One to three.
    pub fields: Vec<FieldReference>,
    pub window_ms: i64,
    /// The rule's own learning period; `None` takes the engine's.
    pub learn_for_ms: Option<i64>,
}

impl NewTerms {
    /// Under which name the history keeps the rule's terms. Terms of other fields are other terms.
    pub fn history_key(&self, rule_id: &str) -> String {
        let fields: Vec<String> = self.fields.iter().map(FieldReference::name).collect();
        format!("{rule_id}/{}", fields.join(","))
    }

    /// Remembers the event's combinations and returns those that are new, unless the rule is still learning.
    pub fn observe(
        &self,
        key: &str,
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
        let first_seen = history.rule_first_seen(key, now_ms);
        let learning = now_ms < first_seen.saturating_add(self.learn_for_ms.unwrap_or(learn_for_ms));
        combinations.retain(|combination| {
            let last_seen = history.observe(key, &term(combination), owner(record), now_ms);
            last_seen.is_none_or(|last_seen| last_seen < now_ms.saturating_sub(self.window_ms))
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
        for field in &self.fields {
            let mut values: Vec<String> = Vec::new();
            for value in record.values(field.field) {
                let text = text(value, field);
                if let Some(text) = text.filter(|text| !values.contains(text)) {
                    if values.len() == MAX_TERM_COMBINATIONS {
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
            let cut = combinations.len().saturating_sub(MAX_TERM_COMBINATIONS);
            combinations.truncate(MAX_TERM_COMBINATIONS);
            counters.term_combinations_cut += cut as u64;
        }
        combinations
    }
}

/// A value of the field as text; `None` for another key of an object field.
pub(crate) fn text(value: Value<'_>, field: &FieldReference) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_owned()),
        Value::Long(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Date(nanoseconds) => Some(timestamp::format(nanoseconds)),
        Value::Label { key, value } => (field.key.as_deref() == Some(key)).then(|| value.to_owned()),
    }
}

/// The values as one text that no other values give.
fn term(values: &[String]) -> String {
    bounded(serde_json::Value::from(values.to_vec()).to_string())
}

/// The text, or if it is longer than [`MAX_TERM_BYTES`] its beginning and a digest of the whole.
pub(crate) fn bounded(text: String) -> String {
    if text.len() <= MAX_TERM_BYTES {
        return text;
    }
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    let beginning = &text[..text.floor_char_boundary(MAX_TERM_BYTES / 2)];
    format!("{beginning}…{digest}")
}
