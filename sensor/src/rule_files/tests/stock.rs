//! The stock rules: sound, complete, and each right about its own examples.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use rule_engine::{CheckedRule, DataStreams, Example, ExampleOutcome, Expectation, RuleType, parse_rule, run_examples};

use crate::record::parse_options;

fn stock_rules() -> Vec<(PathBuf, CheckedRule)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let options = parse_options(DataStreams::default());
    fs::read_dir(directory)
        .expect("the stock rules")
        .map(|entry| {
            let path = entry.expect("a readable entry").path();
            let text = fs::read_to_string(&path).expect("a readable rule file");
            let rule = parse_rule(&text, &options).unwrap_or_else(|report| panic!("{}: {report:?}", path.display()));
            let shown: String = rule
                .warnings
                .iter()
                .map(|found| found.render(&path.display().to_string(), &text))
                .collect();
            assert_eq!(shown, "");
            (path, rule)
        })
        .collect()
}

#[test]
fn every_stock_rule_is_right_about_its_own_examples() {
    for (path, rule) in stock_rules() {
        let outcomes = run_examples(&rule);
        for outcome in &outcomes {
            assert!(outcome.passed(), "{}: {outcome:?}", path.display());
        }
        for expect in [Expectation::Match, Expectation::NoMatch] {
            let examples = outcomes.iter().filter(|outcome| outcome.expect == expect).count();
            assert!(
                examples >= 3,
                "{}: only {examples} examples that expect {expect:?}",
                path.display()
            );
        }
    }
}

#[test]
fn every_stock_rule_says_what_it_found_and_what_to_do() {
    let mut ids = HashSet::new();
    for (path, rule) in stock_rules() {
        let info = rule.info;
        assert!(
            ids.insert(info.rule_id),
            "{}: its `rule_id` is another rule's",
            path.display()
        );
        assert!(
            !info.description.is_empty() && info.note.is_some(),
            "{}",
            path.display()
        );
        let threats = info.threat.as_array().map_or(0, Vec::len);
        assert!(threats > 0, "{}: no MITRE ATT&CK mapping", path.display());
    }
}

/// Rules about new terms are left out: with nothing seen before, everything is new to them.
#[test]
fn what_is_ordinary_to_one_stock_rule_is_ordinary_to_the_others() {
    let rules: Vec<CheckedRule> = stock_rules().into_iter().map(|(_, rule)| rule).collect();
    let without_history = rules.iter().filter(|rule| rule.info.rule_type != RuleType::NewTerms);
    let ordinary: Vec<Example> = rules
        .iter()
        .flat_map(|rule| rule.info.examples.iter())
        .filter(|example| example.expect == Expectation::NoMatch)
        .cloned()
        .collect();
    for rule in without_history {
        let mut rule = rule.clone();
        rule.info.examples.clone_from(&ordinary);
        let found: Vec<ExampleOutcome> = run_examples(&rule)
            .into_iter()
            .filter(|outcome| !outcome.passed())
            .collect();
        assert!(found.is_empty(), "{}: {found:#?}", rule.info.name);
    }
}
