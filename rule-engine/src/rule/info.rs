//! What a rule says of itself.

use serde::Serialize;
use serde_json::Value as Json;

use super::examples::Example;

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
}

/// How bad a match of a rule is, the least first.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleSeverity {
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `critical`
    Critical,
}

impl RuleSeverity {
    /// As a rule file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleSeverity::Low => "low",
            RuleSeverity::Medium => "medium",
            RuleSeverity::High => "high",
            RuleSeverity::Critical => "critical",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<RuleSeverity> {
        [
            RuleSeverity::Low,
            RuleSeverity::Medium,
            RuleSeverity::High,
            RuleSeverity::Critical,
        ]
        .into_iter()
        .find(|severity| severity.as_str() == name)
    }
}

/// Of which kind a rule is.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RuleType {
    /// An event query or a sequence in EQL.
    Eql,
    /// A query in KQL.
    Query,
    /// A query in KQL, of whose events those count that have values not seen before.
    NewTerms,
    /// A query in KQL, of whose events a number has to come together.
    Threshold,
}

impl RuleType {
    /// As a rule file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleType::Eql => "eql",
            RuleType::Query => "query",
            RuleType::NewTerms => "new_terms",
            RuleType::Threshold => "threshold",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<RuleType> {
        [RuleType::Eql, RuleType::Query, RuleType::NewTerms, RuleType::Threshold]
            .into_iter()
            .find(|rule_type| rule_type.as_str() == name)
    }
}
