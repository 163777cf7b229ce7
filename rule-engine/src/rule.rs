//! A rule file: from its text to a rule that has been checked.
//!
//! A [`CheckedRule`] can only come from [`parse_rule`] and [`parse_rules`], so every field in it exists and every literal
//! fits its field.

use crate::analysis::meaning;
use crate::condition::{AlertLimits, Condition, Detection};
use crate::diagnostic::{Diagnostic, Findings, Lines, Span};
use crate::language::ParseOptions;
use crate::record::streams::{Categories, IndexPatterns};
use crate::schema::{FieldId, FieldReference, Schema};
use crate::value::hash::fingerprint;

mod alert_limits;
mod examples;
pub(crate) mod exceptions;
mod export;
mod info;
mod keys;
mod kinds;
mod overrides;
mod own_fields;
mod query_position;
mod report;
mod source;
mod table;

pub use examples::{Example, Expectation};
pub use info::RuleInfo;
pub use kinds::{RuleSeverity, RuleType};
pub use overrides::Rating;
pub use report::Report;

/// The forms of rule files.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Format {
    /// One rule in Elastic's TOML form, as in the repository `detection-rules`.
    Toml,
    /// The rules of an export of Kibana's: one JSON object a line, each a rule or an item of an exception list.
    Ndjson,
}

/// Reads a rule file in Elastic's TOML form.
///
/// # Errors
/// The rule cannot run. All errors are reported at once, with their places in `text`.
pub fn parse_rule(text: &str, options: &ParseOptions) -> Result<CheckedRule, Report> {
    let mut findings = Findings::default();
    let read_rule = source::read(options, text, &mut findings);
    let lines = Lines::new(text);
    checked(1, read_rule, findings, &|span| lines.position(span.start as usize))
}

/// Reads all rules of a file, at least one; a bad one does not stop the others. What is wrong with a rule of an export
/// is placed at its line.
pub fn parse_rules(text: &str, format: Format, options: &ParseOptions) -> Vec<Result<CheckedRule, Report>> {
    if format == Format::Toml {
        return vec![parse_rule(text, options)];
    }
    let parse = |exported: export::ExportedRule| {
        let mut findings = Findings::default();
        let read_rule = match exported.rule_file {
            Ok(rule_file) => source::read(options, &rule_file, &mut findings),
            Err((code, message)) => {
                findings.add(Span::default(), code, message);
                source::ReadRule::default()
            }
        };
        checked(exported.line, read_rule, findings, &|_| (exported.line, 1))
    };
    export::rules(options.limits(), text).into_iter().map(parse).collect()
}

fn checked(
    line: u32,
    mut read_rule: source::ReadRule,
    findings: Findings,
    place: &dyn Fn(Span) -> (u32, u32),
) -> Result<CheckedRule, Report> {
    let has_errors = findings.has_errors();
    let diagnostics = report::diagnostics(findings, place);
    match read_rule.rule.take() {
        Some(rule) if !has_errors => Ok(CheckedRule {
            line,
            warnings: diagnostics,
            ..rule
        }),
        _ => Err(Report::new(read_rule, line, diagnostics)),
    }
}

/// A rule that can run.
#[derive(Clone, Debug)]
pub struct CheckedRule {
    /// What the rule says of itself.
    pub info: RuleInfo,
    /// What may not be as it was meant, in the order of the file.
    pub warnings: Vec<Diagnostic>,
    /// The line of the file at which the rule begins, from 1.
    pub line: u32,
    pub(crate) schema: Schema,
    pub(crate) index: IndexPatterns,
    /// The categories of the events that `index` names, where these do not say themselves where they are.
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

#[cfg(test)]
mod tests;
