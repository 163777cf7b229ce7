//! Checked rules, compiled together.

use std::sync::Arc;

use crate::rule::{CheckedRule, RuleInfo};
use crate::schema::FieldId;

/// All rules that an engine runs.
#[derive(Default)]
pub struct RuleSet {
    rules: Vec<Arc<RuleInfo>>,
}

impl RuleSet {
    pub fn compile(rules: Vec<CheckedRule>) -> RuleSet {
        RuleSet {
            rules: rules.into_iter().map(|rule| Arc::new(rule.info)).collect(),
        }
    }

    pub fn rules(&self) -> &[Arc<RuleInfo>] {
        &self.rules
    }

    /// Whether the verdict of some rule can depend on the field.
    pub fn reads(&self, _field: FieldId) -> bool {
        false
    }
}
