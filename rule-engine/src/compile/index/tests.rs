//! The index against the definition: whatever it leaves out, no match is among it.

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::compile::rules::Rules;
use crate::naive::generate::{event, query};
use crate::naive::query::Query;
use crate::naive::{Language, WITH_OWN_FIELDS};
use crate::record::Record;
use crate::rule::{CheckedRule, parse_rule};
use crate::run::engine::Engine;
use crate::run::history::MemoryHistory;
use crate::run::options::EngineOptions;
use crate::run::screen::Screen;
use crate::schema::{Schema, fields};

fn rule(number: usize, query: &Query, exception: Option<&Query>) -> CheckedRule {
    let category = if number.is_multiple_of(3) { "any" } else { "process" };
    let index = if number.is_multiple_of(4) {
        "index = [\"logs-endpoint.events.process-*\"]\n"
    } else {
        ""
    };
    let condition = match exception {
        None => query.eql(),
        Some(exception) => format!("({}) and not ({})", query.eql(), exception.eql()),
    };
    let text = format!(
        "[rule]\nrule_id = \"{number}\"\nname = \"n\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
         max_signals = 1000000\ntype = \"eql\"\n{index}query = \'\'\'{category} where {condition}\'\'\'"
    );
    parse_rule(&text, &WITH_OWN_FIELDS).unwrap_or_else(|report| panic!("{text}: {:?}", report.diagnostics))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn rules_found_by_the_index_match_as_each_by_itself(
        queries in prop::collection::vec(
            (query(Language::Eql), prop::option::of(query(Language::Eql))),
            1..60,
        ),
        events in prop::collection::vec((event(), prop::sample::select(vec!["process", "file", ""])), 1..12),
    ) {
        let rules = queries.iter().enumerate();
        let rules: Vec<CheckedRule> = rules.map(|(number, (query, but))| rule(number, query, but.as_ref())).collect();
        let rules = Rules::compile(&Schema::ecs(), rules);
        let mut record = rules.narrow_record();
        let mut screen = Screen::new(&rules);
        let mut engine = Engine::new(rules, EngineOptions::default());
        let mut history = MemoryHistory::default();
        for (mut event, category) in events {
            if !category.is_empty() {
                event.insert("event.category".to_owned(), category.into());
            }
            record.fill_from_document(&event);
            let mut kind = Record::new();
            for field in [fields::EVENT_CATEGORY, fields::EVENT_TYPE, fields::EVENT_ACTION] {
                for value in record.values(field) {
                    kind.push(field, value);
                }
            }
            let may_concern = engine.may_concern(&kind);
            let mut matched = Vec::new();
            engine.evaluate(&record, &mut history, &mut |found| matched.push(found.rule.rule_id.clone()));
            let expected = queries.iter().enumerate().filter(|(number, (query, but))| {
                let reads = category == "process" || (category.is_empty() || !number.is_multiple_of(4));
                let is_process = category == "process" || number.is_multiple_of(3);
                reads && is_process && query.holds(&event) && !but.as_ref().is_some_and(|but| but.holds(&event))
            });
            let expected: Vec<String> = expected.map(|(number, _)| number.to_string()).collect();
            prop_assert_eq!(screen.takes_in(&record), !matched.is_empty());
            prop_assert!(may_concern || matched.is_empty(), "{}", Json::Object(event));
            prop_assert_eq!(matched, expected, "{}", Json::Object(event));
        }
    }
}
