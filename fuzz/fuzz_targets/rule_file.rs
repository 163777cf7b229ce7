//! A rule file of any bytes: a report, never a panic; what is `ok` compiles and its examples run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rule_engine::rule::{RuleStatus, parse_file, parse_rules, run_examples};

fuzz_target!(|text: &str| {
    let parsed = parse_file("rule.toml", text);
    assert_eq!(parsed.rule.is_some(), parsed.report.status == RuleStatus::Ok);
    for found in &parsed.report.diagnostics {
        found.render("rule.toml", text);
    }
    if let Some(rule) = parsed.rule {
        run_examples(&rule);
    }
    for parsed in parse_rules("rules.ndjson", text) {
        assert_eq!(parsed.rule.is_some(), parsed.report.status == RuleStatus::Ok);
        for found in &parsed.report.diagnostics {
            found.render("rules.ndjson", text);
        }
    }
});
