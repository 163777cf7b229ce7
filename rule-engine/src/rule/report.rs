//! Why a rule does not run.

use serde::Serialize;

use super::source::ReadRule;
use crate::diagnostic::{Code, Diagnostic, Findings, Severity, Span};

/// Why a rule does not run, with everything that was found, errors and warnings, in the order of the file.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
#[error("{}", self.first_error())]
#[non_exhaustive]
pub struct Report {
    /// As far as it could be read.
    pub rule_id: Option<String>,
    /// As far as it could be read.
    pub name: Option<String>,
    /// As far as it could be read, as the file writes it.
    #[serde(rename = "type")]
    pub rule_type: Option<String>,
    /// The line of the file at which the rule begins, from 1.
    pub line: u32,
    /// Whether nothing is wrong with the rule but that it is of a type which needs Elasticsearch.
    pub is_unsupported: bool,
    /// What was found, at least one error.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(super) fn new(read_rule: ReadRule, line: u32, diagnostics: Vec<Diagnostic>) -> Report {
        Report {
            rule_id: read_rule.rule_id,
            name: read_rule.name,
            rule_type: read_rule.rule_type,
            line,
            is_unsupported: read_rule.is_unsupported,
            diagnostics,
        }
    }

    fn first_error(&self) -> &str {
        let mut errors = self.diagnostics.iter();
        let first = errors.find(|found| found.severity == Severity::Error);
        first.map_or("the rule has errors", |found| &found.message)
    }
}

/// In the order of the file.
pub(super) fn diagnostics(findings: Findings, place: &dyn Fn(Span) -> (u32, u32)) -> Vec<Diagnostic> {
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
