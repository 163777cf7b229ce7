//! What an event that satisfies the rule's query leads to: `[rule.new_terms]`, `[rule.threshold]`, or an alert.

use super::super::table::{Located, Table};
use super::super::{RuleType, keys};
use super::Reader;
use crate::analysis::satisfiable;
use crate::condition::{Cardinality, KeyField, MissingKey, NewTerms, Then, Threshold};
use crate::diagnostic::Code;
use crate::schema::FieldReference;
use crate::value::duration;

/// What Kibana takes where a rule has no `from`.
const DEFAULT_LOOK_BACK_MS: i64 = 6 * 60 * 1_000;
const MAX_NEW_TERMS_FIELDS: usize = 3;

impl<'a> Reader<'a, '_> {
    /// What an event that satisfies the query leads to, by the rule's type.
    pub(super) fn then(&mut self, rule_type: RuleType, learn_for_ms: Option<i64>) -> Option<Then> {
        match rule_type {
            RuleType::Eql | RuleType::Query => Some(Then::Alert),
            RuleType::NewTerms => self.new_terms(learn_for_ms).map(Then::NewTerms),
            RuleType::Threshold => self.threshold().map(Then::Threshold),
        }
    }

    /// `[rule.new_terms]` with `field = "new_terms_fields"` and `[[rule.new_terms.history_window_start]]`, or in the flat
    /// form `new_terms_fields` and `history_window_start`.
    fn new_terms(&mut self, learn_for_ms: Option<i64>) -> Option<NewTerms> {
        let is_flat = self.rule.has("new_terms_fields");
        let table = if is_flat {
            Some(self.rule)
        } else {
            let table = self.rule.table("new_terms", self.findings);
            if let Some(table) = table {
                keys::check_table(table, &["field", "value", "history_window_start"], self.findings);
            }
            table
        };
        let Some(table) = table else {
            self.findings
                .add(self.rule.span, Code::MissingKey, "`[rule.new_terms]` is missing");
            return None;
        };
        let names = table.texts(if is_flat { "new_terms_fields" } else { "value" }, self.findings);
        if names.is_empty() || names.len() > MAX_NEW_TERMS_FIELDS {
            let message = format!("`value` in `[rule.new_terms]` must name 1 to {MAX_NEW_TERMS_FIELDS} fields");
            self.findings.add(table.span, Code::BadValue, message);
        }
        let fields: Vec<FieldReference> = names.into_iter().filter_map(|name| self.needed_field(name)).collect();
        let start = if is_flat {
            table.text("history_window_start", self.findings)
        } else {
            let starts = table.tables("history_window_start", self.findings);
            for start in &starts {
                keys::check_table(*start, &["field", "value"], self.findings);
            }
            starts.first().and_then(|start| start.text("value", self.findings))
        };
        let Some(start) = start else {
            let message = "`[[rule.new_terms.history_window_start]]` with a `value` is missing";
            self.findings.add(table.span, Code::MissingKey, message);
            return None;
        };
        let window_ms = duration::parse_look_back(start.value);
        if window_ms.is_none() {
            self.not_a_duration(start, "`now-14d`");
        }
        Some(NewTerms {
            fields,
            window_ms: window_ms?,
            learn_for_ms,
        })
    }

    /// `[rule.threshold]` with `field`, `value` and `[[rule.threshold.cardinality]]`; its window is the rule's `from`.
    fn threshold(&mut self) -> Option<Threshold> {
        let Some(table) = self.rule.table("threshold", self.findings) else {
            self.findings
                .add(self.rule.span, Code::MissingKey, "`[rule.threshold]` is missing");
            return None;
        };
        keys::check_table(table, &["field", "value", "cardinality"], self.findings);
        let fields: Vec<KeyField> = table
            .text_or_texts("field", self.findings)
            .into_iter()
            // Kibana writes an empty name where there is no field.
            .filter(|name| !name.value.is_empty())
            .filter_map(|name| self.needed_field(name))
            .map(|field| KeyField {
                field,
                missing: MissingKey::Excludes,
            })
            .collect();
        let events = self.threshold_value(table);
        let cardinalities = table.tables("cardinality", self.findings);
        if let Some(second) = cardinalities.get(1) {
            self.findings.add(
                second.span,
                Code::UnsupportedKey,
                "more than one `cardinality` is not supported",
            );
        }
        let is_empty = |table: &Table<'_>| table.is_text("field", "");
        let cardinality = cardinalities.first().filter(|table| !is_empty(table));
        let cardinality = cardinality.map(|cardinality| self.cardinality(*cardinality));
        let window_ms = match self.rule.text("from", self.findings) {
            None => Some(DEFAULT_LOOK_BACK_MS),
            Some(from) => {
                let window = duration::parse_look_back(from.value);
                if window.is_none() {
                    self.not_a_duration(from, "`now-9m`");
                }
                window
            }
        };
        let cardinality = match cardinality {
            Some(cardinality) => Some(cardinality?),
            None => None,
        };
        Some(Threshold {
            fields,
            events: events?,
            cardinality,
            window_ns: window_ms?.checked_mul(1_000_000)?,
        })
    }

    /// A field of which an event must have a value to count.
    fn needed_field(&mut self, name: Located<&str>) -> Option<FieldReference> {
        let field = FieldReference::check(self.options.schema(), name.value, name.span, self.findings)?;
        satisfiable::warn_of_missing(self.options.producer(), &field, name.span, self.findings);
        Some(field)
    }

    fn cardinality(&mut self, table: Table<'a>) -> Option<Cardinality> {
        keys::check_table(table, &["field", "value"], self.findings);
        let values = self.threshold_value(table);
        let Some(name) = table.text("field", self.findings) else {
            self.findings
                .add(table.span, Code::MissingKey, "`cardinality` needs a `field`");
            return None;
        };
        let field = self.needed_field(name)?;
        Some(Cardinality { field, values: values? })
    }

    fn threshold_value(&mut self, table: Table<'a>) -> Option<usize> {
        let most = self.options.limits().threshold;
        let value = table.integer("value", self.findings);
        match value {
            Some(value) if (1..=most as i64).contains(&value.value) => Some(value.value as usize),
            _ => {
                let message = format!("`value` in `[{}]` must be a number from 1 to {most}", table.name);
                self.findings
                    .add(value.map_or(table.span, |value| value.span), Code::BadValue, message);
                None
            }
        }
    }
}
