//! A rule file: from its text to a rule that has been checked.
//!
//! A [`CheckedRule`] can only come from [`parse_file`], so every field in it exists and every literal fits its field.

use serde::Serialize;

use crate::analysis::meaning;
use crate::condition::{AlertLimits, Condition, Detection};
use crate::diagnostic::{Code, Diagnostic, Findings, Lines, Severity, Span};
use crate::language::ParseOptions;
use crate::record::streams::Categories;
use crate::schema::{FieldId, FieldReference, Schema};
use crate::value::hash::fingerprint;

mod alert_limits;
mod examples;
pub(crate) mod exceptions;
mod export;
mod query_position;
mod source;
pub(crate) mod table;

pub use examples::{Example, Expectation};

/// Reads all rules of a file: those that Kibana exported if its name ends in `.ndjson`, else the one of a TOML file.
/// Never fails and never gives none: what is wrong is in the reports.
pub fn parse_rules(path: &str, text: &str, options: &ParseOptions) -> Vec<ParsedFile> {
    if !path.ends_with(".ndjson") {
        return vec![parse_file(path, text, options)];
    }
    let parse = |exported: export::ExportedRule| {
        let mut findings = Findings::default();
        let outcome = match exported.rule_file {
            Ok(rule_file) => source::read(options, &rule_file, &mut findings),
            Err((code, message)) => {
                findings.add(Span::default(), code, message);
                source::Outcome::default()
            }
        };
        parsed(path, exported.line, outcome, findings, &|_| (exported.line, 1))
    };
    export::rules(options.limits(), text).into_iter().map(parse).collect()
}

/// Reads a rule file in Elastic's TOML form. Never fails: what is wrong is in the report.
pub fn parse_file(path: &str, text: &str, options: &ParseOptions) -> ParsedFile {
    let mut findings = Findings::default();
    let outcome = source::read(options, text, &mut findings);
    let lines = Lines::new(text);
    parsed(path, 1, outcome, findings, &|span| lines.position(span.start as usize))
}

fn parsed(
    path: &str,
    first_line: u32,
    outcome: source::Outcome,
    findings: Findings,
    place: &dyn Fn(Span) -> (u32, u32),
) -> ParsedFile {
    let status = match (&outcome.rule, findings.has_errors()) {
        _ if outcome.is_unsupported => RuleStatus::Unsupported,
        (Some(_), false) => RuleStatus::Ok,
        _ => RuleStatus::Error,
    };
    ParsedFile {
        report: RuleReport {
            path: path.to_owned(),
            rule_id: outcome.rule_id,
            name: outcome.name,
            rule_type: outcome.rule_type,
            status,
            diagnostics: diagnostics(findings, place),
        },
        first_line,
        rule: outcome.rule.filter(|_| status == RuleStatus::Ok),
    }
}

/// In the order of the file.
fn diagnostics(findings: Findings, place: &dyn Fn(Span) -> (u32, u32)) -> Vec<Diagnostic> {
    let severity_of_rest = if findings.has_errors() {
        Severity::Error
    } else {
        Severity::Warning
    };
    let mut list = findings.list;
    list.sort_by_key(|finding| finding.span.start);
    let mut diagnostics: Vec<Diagnostic> = list
        .into_iter()
        .map(|finding| {
            let (line, column) = place(finding.span);
            let general = Diagnostic::new(finding.code, finding.message, line);
            Diagnostic {
                help: finding.help.or(general.help),
                column,
                ..general
            }
        })
        .collect();
    if findings.left_out > 0 {
        let message = format!("{} more findings are not shown", findings.left_out);
        diagnostics.push(Diagnostic {
            severity: severity_of_rest,
            ..Diagnostic::new(Code::MoreFindings, message, place(Span::default()).0)
        });
    }
    diagnostics
}

/// What came of a rule; `rule` is there if and only if the status is [`RuleStatus::Ok`].
pub struct ParsedFile {
    pub report: RuleReport,
    /// The line of the file at which the rule begins, from 1.
    pub first_line: u32,
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
    /// The rule is of a type that this engine does not run; its diagnostics name it.
    Unsupported,
    Error,
}

/// A rule that can run.
#[derive(Clone, Debug)]
pub struct CheckedRule {
    pub info: RuleInfo,
    pub(crate) schema: Schema,
    pub(crate) categories: Categories,
    /// What an event has to satisfy for the rule to look at it: filters and exceptions.
    pub(crate) filter: Condition,
    pub(crate) limits: AlertLimits,
    pub(crate) detection: Detection,
}

impl CheckedRule {
    /// Whether the rule's verdict can depend on the field.
    pub fn reads(&self, field: FieldId) -> bool {
        let mut is_read = false;
        self.visit_fields(&mut |read| is_read |= read.field == field);
        is_read
    }

    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        self.filter.visit_fields(visit);
        self.limits.visit_fields(visit);
        self.detection.visit_fields(visit);
    }

    /// The same for rules that look for the same in the same events, however that is written: the order of what `and`
    /// and `or` join does not count. Not to be kept: another process gives another number.
    pub fn meaning(&self) -> u64 {
        let filter = meaning::of_condition(&self.filter);
        fingerprint(&(self.categories, filter, meaning::of_detection(&self.detection)))
    }

    /// The same for rules of one meaning that also raise as many alerts: what one remembers is of use to the other.
    pub(crate) fn meaning_with_limits(&self) -> u64 {
        fingerprint(&(self.meaning(), &self.limits))
    }
}

/// What alerts and lists say about a rule.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    pub rule_id: String,
    pub name: String,
    pub description: String,
    pub severity: RuleSeverity,
    /// 0 to 100.
    pub risk_score: u8,
    pub rule_type: RuleType,
    pub tags: Vec<String>,
    /// The file's `[[rule.threat]]` tables as they are.
    pub threat: serde_json::Value,
    /// Set if the rule's alerts are only recorded, as material for other rules, and nobody is told of them.
    pub building_block_type: Option<String>,
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

    fn from_name(name: &str) -> Option<RuleSeverity> {
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

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleType {
    Eql,
    Query,
    NewTerms,
    Threshold,
}

impl RuleType {
    pub fn as_str(self) -> &'static str {
        match self {
            RuleType::Eql => "eql",
            RuleType::Query => "query",
            RuleType::NewTerms => "new_terms",
            RuleType::Threshold => "threshold",
        }
    }

    fn from_name(name: &str) -> Option<RuleType> {
        [RuleType::Eql, RuleType::Query, RuleType::NewTerms, RuleType::Threshold]
            .into_iter()
            .find(|rule_type| rule_type.as_str() == name)
    }
}

#[cfg(test)]
mod tests;
