//! Checked conditions evaluated as they stand, nothing compiled or shared; and the stock rules' examples by it.

use std::fs;
use std::path::Path;

use super::{Letters, like};
use crate::compile::graph::CompiledCondition;
use crate::condition::{Condition, Detection, Number, Symbol, Test};
use crate::record::{Record, Value};
use crate::rule::{CheckedRule, Expectation, parse_file};
use crate::schema::reference::Case;

fn holds(condition: &Condition, record: &Record) -> bool {
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
        Condition::Computed(computed) => panic!("no stock rule calls a function: {computed:?}"),
    }
}

fn letters(case: Case) -> Letters {
    match case {
        Case::Sensitive => Letters::Exact,
        Case::Insensitive => Letters::AnyCase,
    }
}

fn passes(test: &Test, value: Value<'_>) -> bool {
    match (test, value) {
        (Test::Exists, _) => true,
        (Test::TextIn(texts, Case::Sensitive), Value::Text(text)) => texts.iter().any(|wanted| wanted == text),
        (Test::TextIn(texts, Case::Insensitive), Value::Text(text)) => {
            texts.iter().any(|wanted| wanted.eq_ignore_ascii_case(text))
        }
        (Test::Like(patterns, case), Value::Text(text)) => patterns.iter().any(|pattern| {
            let written = pattern.symbols().iter().map(|symbol| match symbol {
                Symbol::Character(character) => *character,
                Symbol::AnyCharacter => '?',
                Symbol::AnyRun => '*',
            });
            like(&written.collect::<String>(), text, letters(*case))
        }),
        (Test::Regex(regex), Value::Text(text)) => regex.matches(text),
        (Test::TextOrder(order, limit), Value::Text(text)) => order.holds(text.cmp(limit)),
        (Test::NumberIn(numbers), Value::Long(number)) => numbers
            .iter()
            .any(|wanted| Number::Long(number).compare(*wanted).is_some_and(|order| order.is_eq())),
        (Test::NumberOrder(order, limit), Value::Long(number)) => Number::Long(number)
            .compare(*limit)
            .is_some_and(|found| order.holds(found)),
        (Test::Boolean(wanted), Value::Boolean(truth)) => *wanted == truth,
        (Test::DateIn(dates), Value::Date(date)) => dates.contains(&date),
        (Test::DateOrder(order, limit), Value::Date(date)) => order.holds(date.cmp(limit)),
        (Test::Within(networks), _) => panic!("no stock rule asks for {networks:?}"),
        _ => false,
    }
}

fn conditions(rule: &CheckedRule) -> Vec<&Condition> {
    match &rule.detection {
        Detection::Event(condition) | Detection::NewTerms(condition, _) | Detection::Threshold(condition, _) => {
            vec![condition]
        }
        Detection::Sequence(sequence) => sequence.terms.iter().map(|term| &term.condition).collect(),
    }
}

#[test]
fn the_stock_rules_decide_their_examples_plain_as_compiled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let mut examples = 0;
    for entry in fs::read_dir(folder).expect("the stock rules") {
        let path = entry.expect("a readable entry").path();
        let text = fs::read_to_string(&path).expect("a readable rule file");
        let rule = parse_file("rule.toml", &text).rule.expect("a sound rule");
        let mut compiled: Vec<_> = conditions(&rule)
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
            if matches!(rule.detection, Detection::Event(_)) && example.events.len() == 1 {
                let expected = example.expect == Expectation::Match;
                assert_eq!(last, expected, "{}: {}", path.display(), example.name);
            }
        }
    }
    assert!(examples >= 150, "only {examples} examples");
}
