//! Checked rules, compiled together.

use std::sync::Arc;

use crate::condition::Condition;
use crate::matcher::Matcher;
use crate::new_terms::NewTerms;
use crate::rule::{CheckedRule, RuleInfo};
use crate::schema::{FieldId, fields};
use crate::streams::Categories;

/// All rules that an engine runs.
pub struct RuleSet {
    infos: Vec<Arc<RuleInfo>>,
    pub(crate) rules: Vec<CompiledRule>,
    /// For each field of the schema.
    read_fields: Box<[bool]>,
}

pub(crate) struct CompiledRule {
    pub info: Arc<RuleInfo>,
    pub categories: Categories,
    pub matcher: Matcher,
    /// With the key under which the history keeps its terms.
    pub new_terms: Option<(String, NewTerms)>,
}

impl RuleSet {
    pub fn compile(rules: Vec<CheckedRule>) -> RuleSet {
        let mut read_fields = vec![false; FieldId::COUNT].into_boxed_slice();
        for rule in &rules {
            note_fields(&rule.condition, &mut read_fields);
            if let Some(new_terms) = &rule.new_terms {
                new_terms
                    .fields
                    .iter()
                    .for_each(|field| read_fields[field.field.index()] = true);
                read_fields[fields::TIMESTAMP.index()] = true;
            }
        }
        let rules: Vec<CompiledRule> = rules
            .into_iter()
            .map(|rule| CompiledRule {
                matcher: Matcher::compile(&rule.condition),
                categories: rule.categories,
                new_terms: rule
                    .new_terms
                    .map(|new_terms| (new_terms.history_key(&rule.info.rule_id), new_terms)),
                info: Arc::new(rule.info),
            })
            .collect();
        RuleSet {
            infos: rules.iter().map(|rule| Arc::clone(&rule.info)).collect(),
            rules,
            read_fields,
        }
    }

    pub fn rules(&self) -> &[Arc<RuleInfo>] {
        &self.infos
    }

    /// How far back the new-terms rules look at most, in milliseconds; 0 if there is none.
    pub fn longest_window_ms(&self) -> i64 {
        let windows = self.rules.iter().filter_map(|rule| rule.new_terms.as_ref());
        windows.map(|(_, new_terms)| new_terms.window_ms).max().unwrap_or(0)
    }

    /// Whether the verdict of some rule can depend on the field.
    pub fn reads(&self, field: FieldId) -> bool {
        self.read_fields[field.index()]
    }
}

fn note_fields(condition: &Condition, read_fields: &mut [bool]) {
    condition.visit_fields(&mut |field| read_fields[field.field.index()] = true);
}
