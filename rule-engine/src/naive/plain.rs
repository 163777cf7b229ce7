//! Checked conditions evaluated as they stand, nothing compiled or shared; and the stock rules' examples by it.

use std::fs;
use std::path::Path;

use crate::analysis::holds::passes;
use crate::compile::graph::CompiledCondition;
use crate::condition::{Condition, Detection, Then};
use crate::language::ParseOptions;
use crate::record::{Record, Value};
use crate::rule::{Expectation, parse_rule};

pub(super) fn holds(condition: &Condition, record: &Record) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Never => false,
        Condition::All(conditions) => conditions.iter().all(|condition| holds(condition, record)),
        Condition::Any(conditions) => conditions.iter().any(|condition| holds(condition, record)),
        Condition::Not(condition) => !holds(condition, record),
        Condition::Field(tested) => record.values(tested.field.field).any(|value| match value {
            Value::Label { key, value } => {
                tested.field.key.as_deref().is_none_or(|wanted| wanted == key)
                    && passes(&tested.test, Value::Text(value))
            }
            value => passes(&tested.test, value),
        }),
        Condition::Computed(computed) => panic!("functions are judged by their definition: {computed:?}"),
    }
}

#[test]
fn rules_decide_their_own_examples_plain_as_compiled() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = check_examples(&package.join("tests/data/rules"), &ParseOptions::default());
    assert!(examples >= 8, "only {examples} examples");
    // The stock rules of the repository, which the package does not have.
    let stock = package.join("../rules");
    if stock.is_dir() {
        let examples = check_examples(&stock, &ParseOptions::default().with_own_table("tidewaiter"));
        assert!(examples >= 150, "only {examples} examples");
    }
}

/// How many examples the rules of the folder have.
fn check_examples(folder: &Path, options: &ParseOptions) -> usize {
    let mut examples = 0;
    for entry in fs::read_dir(folder).expect("a folder of rules") {
        let path = entry.expect("a readable entry").path();
        let text = fs::read_to_string(&path).expect("a readable rule file");
        let rule = parse_rule(&text, options).expect("a sound rule");
        let mut compiled: Vec<_> = rule
            .detection
            .conditions()
            .into_iter()
            .map(|condition| (condition, CompiledCondition::compile(condition)))
            .collect();
        for example in &rule.info.examples {
            examples += 1;
            let mut record = Record::new();
            let mut last = false;
            for event in &example.events {
                record.fill_from_document(event);
                last = false;
                for (condition, compiled) in &mut compiled {
                    let plain = holds(condition, &record);
                    assert_eq!(compiled.matches(&record), plain, "{}: {}", path.display(), example.name);
                    last |= plain;
                }
            }
            // Of several events some may be suppressed.
            if matches!(rule.detection, Detection::Single { then: Then::Alert, .. }) && example.events.len() == 1 {
                let expected = example.expect == Expectation::Match;
                assert_eq!(last, expected, "{}: {}", path.display(), example.name);
            }
        }
    }
    examples
}
