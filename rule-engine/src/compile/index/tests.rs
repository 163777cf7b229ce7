//! The index against the definition: whatever it leaves out, no match is among it.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::Candidates;
use crate::compile::rules::Rules;
use crate::naive::generate::{event, query};
use crate::naive::query::Query;
use crate::naive::{Language, SCHEMA, WITH_OWN_FIELDS};
use crate::record::Record;
use crate::rule::{CheckedRule, parse_rule};
use crate::run::engine::Engine;
use crate::run::history::MemoryHistory;
use crate::run::options::EngineOptions;
use crate::run::screen::Screen;
use crate::schema::fields;

/// What a rule looks for, and what it does not.
type Wanted = (Language, Query, Option<Query>);

fn wanted() -> impl Strategy<Value = Wanted> {
    let of = |language| (Just(language), query(language), prop::option::of(query(language)));
    prop_oneof![of(Language::Eql), of(Language::Kql)]
}

fn checked(number: usize, body: &str) -> CheckedRule {
    let text = format!(
        "[rule]\nrule_id = \"{number}\"\nname = \"n\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
         max_signals = 1000000\n{body}"
    );
    parse_rule(&text, &WITH_OWN_FIELDS).unwrap_or_else(|report| panic!("{text}: {:?}", report.diagnostics))
}

fn written((language, query, exception): &Wanted) -> String {
    let write = |query: &Query| match language {
        Language::Eql => query.eql(),
        Language::Kql => query.kql(),
    };
    match exception {
        None => write(query),
        Some(exception) => format!("({}) and not ({})", write(query), write(exception)),
    }
}

fn rule(number: usize, wanted: &Wanted) -> CheckedRule {
    let index = if number.is_multiple_of(4) {
        "index = [\"logs-endpoint.events.process-*\"]\n"
    } else {
        ""
    };
    let condition = written(wanted);
    let query = match wanted.0 {
        Language::Kql => format!("type = \"query\"\nquery = '''{condition}'''"),
        Language::Eql => {
            let category = if number.is_multiple_of(3) { "any" } else { "process" };
            format!("type = \"eql\"\nquery = '''{category} where {condition}'''")
        }
    };
    checked(number, &format!("{index}{query}"))
}

/// A rule that remembers what it looks for.
fn remembering_rule(number: usize, wanted: &Wanted) -> CheckedRule {
    let condition = written(wanted);
    let body = match wanted.0 {
        Language::Eql => format!(
            "type = \"eql\"\nquery = '''sequence by source.ip [any where {}] [any where {condition}]'''",
            wanted.1.eql()
        ),
        Language::Kql if number.is_multiple_of(2) => format!(
            "type = \"threshold\"\nquery = '''{condition}'''\n\
             [rule.threshold]\nfield = [\"source.ip\"]\nvalue = 2\n"
        ),
        Language::Kql => format!(
            "type = \"new_terms\"\nquery = '''{condition}'''\nnew_terms_fields = [\"acme.team\"]\n\
             history_window_start = \"now-14d\"\n"
        ),
    };
    checked(number, &body)
}

fn compile(rules: &[Wanted], check: fn(usize, &Wanted) -> CheckedRule) -> Arc<Rules> {
    let rules = rules.iter().enumerate().map(|(number, wanted)| check(number, wanted));
    Rules::compile(&SCHEMA, rules.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_remembered_is_what_would_be_found(
        rules in prop::collection::vec(wanted(), 1..60),
        events in prop::collection::vec((event(), prop::sample::select(vec!["exec", "end"])), 1..12),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let rules = compile(&rules, rule);
        let mut record = rules.narrow_record();
        let mut remembering = rules.index.scratch();
        let mut scratch = rules.graph.scratch();
        let mut found_by = |record: &Record, candidates: &mut Candidates| {
            rules.begin(record, candidates, &mut scratch);
            candidates.rules().collect::<Vec<usize>>()
        };
        for turn in turns {
            let (event, action) = turn.get(&events);
            let mut event = event.clone();
            event.insert("event.action".to_owned(), (*action).into());
            record.fill_from_document(&event);
            let remembered = found_by(&record, &mut remembering);
            prop_assert_eq!(remembered, found_by(&record, &mut rules.index.scratch()), "{}", Json::Object(event));
        }
    }

    #[test]
    fn a_rule_of_any_type_that_takes_an_event_in_is_found(
        wanted in prop::collection::vec(wanted(), 1..60),
        events in prop::collection::vec(event(), 1..12),
    ) {
        let rules = compile(&wanted, remembering_rule);
        let mut record = rules.narrow_record();
        let mut program = rules.program_record();
        let (mut candidates, mut scratch) = (rules.index.scratch(), rules.graph.scratch());
        for event in events {
            record.fill_from_document(&event);
            program.fill_from_document(&event);
            let may_concern = rules.may_concern_program(&program, &mut candidates, &mut scratch);
            let evaluation = rules.begin(&record, &mut candidates, &mut scratch);
            let taken_in = (0..rules.rules.len()).filter(|position| rules.rules[*position].takes_in(&evaluation));
            let taken_in: Vec<usize> = taken_in.collect();
            prop_assert!(may_concern || taken_in.is_empty(), "{}", Json::Object(event));
            let found: Vec<usize> = candidates.rules().filter(|position| taken_in.contains(position)).collect();
            prop_assert_eq!(&found, &taken_in, "{}", Json::Object(event.clone()));
            let holds = |(_, query, but): &Wanted| query.holds(&event) && !but.as_ref().is_some_and(|but| but.holds(&event));
            // A sequence takes in what its first event is, too.
            let is_wanted = |(position, wanted): &(usize, &Wanted)| match wanted.0 {
                Language::Eql => wanted.1.holds(&event).then_some(*position),
                Language::Kql => holds(wanted).then_some(*position),
            };
            let expected: Vec<usize> = wanted.iter().enumerate().filter_map(|pair| is_wanted(&pair)).collect();
            prop_assert_eq!(taken_in, expected, "{}", Json::Object(event));
        }
    }

    #[test]
    fn rules_found_by_the_index_match_as_each_by_itself(
        wanted in prop::collection::vec(wanted(), 1..60),
        events in prop::collection::vec((event(), prop::sample::select(vec!["process", "file", ""])), 1..12),
    ) {
        let rules = compile(&wanted, rule);
        let mut record = rules.narrow_record();
        let mut screen = Screen::new(&rules);
        let mut engine = Engine::new(rules, EngineOptions::default());
        let mut history = MemoryHistory::default();
        for (mut event, category) in events {
            if !category.is_empty() {
                event.insert("event.category".to_owned(), category.into());
            }
            record.fill_from_document(&event);
            let mut kind = Record::with_schema(&SCHEMA);
            for field in [fields::EVENT_CATEGORY, fields::EVENT_TYPE, fields::EVENT_ACTION] {
                for value in record.values(field) {
                    kind.push(field, value);
                }
            }
            let may_concern = engine.may_concern(&kind);
            let mut matched = Vec::new();
            engine.evaluate(&record, &mut history, &mut |found| matched.push(found.rule.rule_id.clone()));
            let expected = wanted.iter().enumerate().filter(|(number, (language, query, but))| {
                let reads = category == "process" || (category.is_empty() || !number.is_multiple_of(4));
                let is_process = category == "process" || number.is_multiple_of(3) || *language == Language::Kql;
                reads && is_process && query.holds(&event) && !but.as_ref().is_some_and(|but| but.holds(&event))
            });
            let expected: Vec<String> = expected.map(|(number, _)| number.to_string()).collect();
            prop_assert_eq!(screen.takes_in(&record), !matched.is_empty());
            prop_assert!(may_concern || matched.is_empty(), "{}", Json::Object(event));
            prop_assert_eq!(matched, expected, "{}", Json::Object(event));
        }
    }
}
