//! What tests parse rules with.

use std::sync::LazyLock;

use crate::diagnostic::Diagnostic;
use crate::language::ParseOptions;
use crate::record::Producer;
use crate::rule::{CheckedRule, Report, parse_rule};
use crate::schema::Schema;

include!("../tests/data/options.rs");

pub(crate) static OPTIONS: LazyLock<ParseOptions> = LazyLock::new(options);

pub(crate) fn parse(text: &str) -> Result<CheckedRule, Report> {
    parse_rule(text, &OPTIONS)
}

/// What came of a rule in one word, and what was found.
pub(crate) fn outcome(parsed: &Result<CheckedRule, Report>) -> (&'static str, &[Diagnostic]) {
    match parsed {
        Ok(rule) => ("Ok", &rule.warnings),
        Err(report) if report.is_unsupported => ("Unsupported", &report.diagnostics),
        Err(report) => ("Error", &report.diagnostics),
    }
}
