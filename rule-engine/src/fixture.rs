//! What tests parse rules with.

use std::sync::LazyLock;

use crate::condition::Detection;
use crate::diagnostic::{Diagnostic, Findings};
use crate::language::{ParseOptions, eql};
use crate::record::Producer;
use crate::rule::{CheckedRule, Report, parse_rule};
use crate::schema::{FieldReference, Schema, fields};

include!("../tests/data/options.rs");

pub(crate) static OPTIONS: LazyLock<ParseOptions> = LazyLock::new(options);

pub(crate) fn parse(text: &str) -> Result<CheckedRule, Report> {
    parse_rule(text, &OPTIONS)
}

/// EQL of a rule without an override.
pub(crate) fn parse_eql(options: &ParseOptions, query: &str, findings: &mut Findings) -> Option<Detection> {
    let category = FieldReference::new(options.schema(), fields::EVENT_CATEGORY);
    eql::parse(options, &category, query, findings)
}

/// What came of a rule in one word, and what was found.
pub(crate) fn outcome(parsed: &Result<CheckedRule, Report>) -> (&'static str, &[Diagnostic]) {
    match parsed {
        Ok(rule) => ("Ok", &rule.warnings),
        Err(report) if report.is_unsupported => ("Unsupported", &report.diagnostics),
        Err(report) => ("Error", &report.diagnostics),
    }
}
