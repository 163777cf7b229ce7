//! Of which kinds rules are, and how bad what they find is.

use serde::Serialize;

use super::table::Located;
use crate::diagnostic::{Code, Findings};

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

    /// The severity of this name, or an error that names all.
    pub(super) fn check(name: Located<&str>, findings: &mut Findings) -> Option<RuleSeverity> {
        let severity = [
            RuleSeverity::Low,
            RuleSeverity::Medium,
            RuleSeverity::High,
            RuleSeverity::Critical,
        ]
        .into_iter()
        .find(|severity| severity.as_str() == name.value);
        if severity.is_none() {
            let message = format!("`{}` is none of `low`, `medium`, `high`, `critical`", name.value);
            findings.add(name.span, Code::BadValue, message);
        }
        severity
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
