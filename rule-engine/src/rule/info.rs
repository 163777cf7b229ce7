//! What a rule says of itself.

use serde::Serialize;
use serde_json::Value as Json;

use super::examples::Example;
use super::kinds::{RuleSeverity, RuleType};
use super::overrides::{Overrides, Rating};

/// What alerts and lists say about a rule.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RuleInfo {
    /// By which the rule is known, the same over all its versions.
    pub rule_id: String,
    /// One line.
    pub name: String,
    /// What the rule finds.
    pub description: String,
    /// How bad a match is.
    pub severity: RuleSeverity,
    /// From 0 to 100.
    pub risk_score: u8,
    /// Of which kind the rule is.
    #[serde(rename = "type")]
    pub rule_type: RuleType,
    /// The file's `tags`.
    pub tags: Vec<String>,
    /// The file's `[[rule.threat]]` tables as they are.
    pub threat: Json,
    /// Set if the rule's alerts are only recorded, as material for other rules, and nobody is notified of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub building_block_type: Option<String>,
    /// What to do about a match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Addresses of pages about what the rule finds.
    pub references: Vec<String>,
    /// The rule's own examples.
    #[serde(skip)]
    pub examples: Vec<Example>,
    /// Which fields of an event its alert's severity, risk score and name are taken from.
    #[serde(skip)]
    pub(super) overrides: Overrides,
}

impl RuleInfo {
    /// What an alert of the rule says of itself for an event, whose values `value` gives by the name of the field: one
    /// or a list.
    pub fn rating<'a>(&self, value: &dyn Fn(&str) -> Option<&'a Json>) -> Rating {
        let own = Rating {
            severity: self.severity,
            risk_score: self.risk_score,
            name: self.name.clone(),
        };
        self.overrides.applied(own, value)
    }
}
