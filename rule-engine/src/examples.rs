//! Runs a rule's own examples.

use serde::Serialize;

use crate::compile::rules::Rules;
use crate::condition::{Detection, Then};
use crate::record::Record;
use crate::rule::{CheckedRule, Example, Expectation};
use crate::run::engine::Engine;
use crate::run::history::MemoryHistory;
use crate::run::options::EngineOptions;
use crate::schema::fields;

/// Whether one of a rule's own examples came out as the rule says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct ExampleOutcome {
    /// The example's name.
    pub name: String,
    /// What the example says.
    pub expect: Expectation,
    /// What the rule said.
    pub actual: Expectation,
}

impl ExampleOutcome {
    /// Whether the rule said what the example says.
    pub fn passed(&self) -> bool {
        self.expect == self.actual
    }
}

/// Milliseconds between the events of an example that say no `@timestamp`.
const EVENT_INTERVAL_MS: i64 = 1_000;

/// Runs the rule's own examples, each with an empty history and without a learning period.
pub fn run_examples(rule: &CheckedRule) -> Vec<ExampleOutcome> {
    rule.info.examples.iter().map(|example| run(rule, example)).collect()
}

fn run(rule: &CheckedRule, example: &Example) -> ExampleOutcome {
    let schema = rule.schema.clone();
    let mut rule = rule.clone();
    if let Detection::Single {
        then: Then::NewTerms(new_terms),
        ..
    } = &mut rule.detection
    {
        new_terms.learn_for_ms = Some(0);
    }
    let mut engine = Engine::new(Rules::compile(&schema, vec![rule]), EngineOptions::default());
    let mut history = MemoryHistory::default();
    let mut record = Record::with_schema(&schema);
    let mut actual = Expectation::NoMatch;
    for (position, event) in example.events.iter().enumerate() {
        record.fill_from_document(event);
        if record.is_missing(fields::TIMESTAMP) {
            record.date(fields::TIMESTAMP, position as i64 * EVENT_INTERVAL_MS * 1_000_000);
        }
        actual = Expectation::NoMatch;
        engine.evaluate(&record, &mut history, &mut |found| {
            if found.held_back.is_none() && found.growth.is_none() {
                actual = Expectation::Match;
            }
        });
    }
    ExampleOutcome {
        name: example.name.clone(),
        expect: example.expect,
        actual,
    }
}
