//! The judge of the compiled matchers: queries evaluated by definition, over plain lists of JSON values.
//!
//! Shares no code with the engine. Queries are generated as trees, written out as EQL or KQL, and both the tree (here)
//! and the text (there) have to say the same about generated events.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use crate::condition::{Condition, Detection};
use crate::diagnostic::Findings;
use crate::limits::MAX_REASON_LINES;
use crate::matcher::CompiledCondition;
use crate::record::Record;
use crate::{eql, kql};

/// Text, array text, number, boolean; one of each is often missing.
const TEXT_FIELDS: [&str; 3] = ["process.name", "process.args", "process.parent.name"];
const NUMBER_FIELDS: [&str; 2] = ["process.pid", "process.args_count"];
const BOOLEAN_FIELD: &str = "process.interactive";

#[derive(Clone, Debug)]
pub(crate) enum Query {
    And(Vec<Query>),
    Or(Vec<Query>),
    Not(Box<Query>),
    Test(&'static str, Test),
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    Exists,
    TextIn(Vec<String>, Letters),
    Like(Vec<String>, Letters),
    NumberIn(Vec<i64>),
    Number(&'static str, i64),
    Boolean(bool),
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Letters {
    Exact,
    AnyCase,
}

impl Query {
    pub fn holds(&self, event: &Map<String, Json>) -> bool {
        match self {
            Query::And(queries) => queries.iter().all(|query| query.holds(event)),
            Query::Or(queries) => queries.iter().any(|query| query.holds(event)),
            Query::Not(query) => !query.holds(event),
            Query::Test(field, test) => {
                let values = event.get(*field).and_then(Json::as_array);
                values.is_some_and(|values| values.iter().any(|value| test.passes(value)))
            }
        }
    }

    pub fn eql(&self) -> String {
        match self {
            Query::And(queries) => joined(queries, " and ", Query::eql),
            Query::Or(queries) => joined(queries, " or ", Query::eql),
            Query::Not(query) => format!("not ({})", query.eql()),
            Query::Test(field, test) => format!("{field} {}", test.eql()),
        }
    }

    fn kql(&self) -> String {
        match self {
            Query::And(queries) => joined(queries, " and ", Query::kql),
            Query::Or(queries) => joined(queries, " or ", Query::kql),
            Query::Not(query) => format!("not ({})", query.kql()),
            Query::Test(field, test) => format!("{field}{}", test.kql()),
        }
    }
}

fn joined(queries: &[Query], operator: &str, write: fn(&Query) -> String) -> String {
    let written: Vec<String> = queries.iter().map(|query| format!("({})", write(query))).collect();
    written.join(operator)
}

impl Test {
    fn passes(&self, value: &Json) -> bool {
        let folded = |text: &str, letters: Letters| match letters {
            Letters::Exact => text.to_owned(),
            Letters::AnyCase => text.to_ascii_uppercase(),
        };
        match self {
            Test::Exists => true,
            Test::TextIn(texts, letters) => texts.iter().any(|text| {
                value
                    .as_str()
                    .is_some_and(|v| folded(v, *letters) == folded(text, *letters))
            }),
            Test::Like(patterns, letters) => patterns.iter().any(|pattern| {
                let pattern: Vec<char> = folded(pattern, *letters).chars().collect();
                value
                    .as_str()
                    .is_some_and(|v| like(&pattern, &folded(v, *letters).chars().collect::<Vec<_>>()))
            }),
            Test::NumberIn(numbers) => numbers.iter().any(|number| value.as_i64() == Some(*number)),
            Test::Number(operator, limit) => value.as_i64().is_some_and(|number| match *operator {
                "<" => number < *limit,
                "<=" => number <= *limit,
                ">" => number > *limit,
                _ => number >= *limit,
            }),
            Test::Boolean(wanted) => value.as_bool() == Some(*wanted),
        }
    }

    fn eql(&self) -> String {
        let list = |texts: &[String]| -> String {
            let written: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            written.join(", ")
        };
        match self {
            Test::Exists => "!= null".to_owned(),
            Test::TextIn(texts, Letters::Exact) if texts.len() == 1 => format!("== {}", list(texts)),
            Test::TextIn(texts, Letters::Exact) => format!("in ({})", list(texts)),
            Test::TextIn(texts, Letters::AnyCase) => format!("in~ ({})", list(texts)),
            Test::Like(patterns, Letters::Exact) => format!("like ({})", list(patterns)),
            Test::Like(patterns, Letters::AnyCase) => format!(": ({})", list(patterns)),
            Test::NumberIn(numbers) => {
                let written: Vec<String> = numbers.iter().map(i64::to_string).collect();
                format!("in ({})", written.join(", "))
            }
            Test::Number(operator, limit) => format!("{operator} {limit}"),
            Test::Boolean(truth) => format!("== {truth}"),
        }
    }

    fn kql(&self) -> String {
        let list = |texts: Vec<String>| format!(":({})", texts.join(" or "));
        match self {
            Test::Exists => ":*".to_owned(),
            Test::TextIn(texts, _) => list(texts.iter().map(|text| format!("{text:?}")).collect()),
            Test::Like(patterns, _) => list(patterns.clone()),
            Test::NumberIn(numbers) => list(numbers.iter().map(i64::to_string).collect()),
            Test::Number(operator, limit) => format!(" {operator} {limit}"),
            Test::Boolean(truth) => format!(":{truth}"),
        }
    }
}

/// A run is empty or takes one character more; `?` takes one.
fn like(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', behind @ ..], _) => like(behind, text) || (!text.is_empty() && like(pattern, &text[1..])),
        (['?', behind @ ..], [_, rest @ ..]) => like(behind, rest),
        ([wanted, behind @ ..], [character, rest @ ..]) => wanted == character && like(behind, rest),
        _ => false,
    }
}

fn text() -> impl Strategy<Value = String> {
    "[aAbé]{0,3}"
}

fn texts(of: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(of, 1..4)
}

/// `any_letters` is drawn from for tests that may ignore case, `pattern` for patterns.
fn test(pattern: &'static str, letters: &'static [Letters]) -> impl Strategy<Value = Query> {
    let letters = || prop::sample::select(letters);
    let text_test = prop_oneof![
        Just(Test::Exists),
        (texts("[aAbé]{0,3}"), letters()).prop_map(|(texts, letters)| Test::TextIn(texts, letters)),
        (texts(pattern), letters()).prop_map(|(patterns, letters)| Test::Like(patterns, letters)),
    ];
    let number_test = prop_oneof![
        Just(Test::Exists),
        prop::collection::vec(-3..3_i64, 1..4).prop_map(Test::NumberIn),
        (prop::sample::select(vec!["<", "<=", ">", ">="]), -3..3_i64).prop_map(|(op, limit)| Test::Number(op, limit)),
    ];
    prop_oneof![
        3 => (prop::sample::select(TEXT_FIELDS.to_vec()), text_test).prop_map(|(field, test)| Query::Test(field, test)),
        1 => (prop::sample::select(NUMBER_FIELDS.to_vec()), number_test).prop_map(|(field, test)| Query::Test(field, test)),
        1 => any::<bool>().prop_map(|truth| Query::Test(BOOLEAN_FIELD, Test::Boolean(truth))),
    ]
}

pub(crate) fn query(pattern: &'static str, letters: &'static [Letters]) -> impl Strategy<Value = Query> {
    test(pattern, letters).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Query::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Query::Or),
            inner.prop_map(|query| Query::Not(Box::new(query))),
        ]
    })
}

/// Flat keys, each with a list of up to three values; an empty list is a missing field.
pub(crate) fn event() -> impl Strategy<Value = Map<String, Json>> {
    let texts = || prop::collection::vec(text(), 0..3);
    let numbers = || prop::collection::vec(-3..3_i64, 0..3);
    (
        texts(),
        texts(),
        texts(),
        numbers(),
        numbers(),
        prop::collection::vec(any::<bool>(), 0..3),
    )
        .prop_map(|(name, args, parent, pid, count, interactive)| {
            let mut event = Map::new();
            let [name_field, args_field, parent_field] = TEXT_FIELDS;
            let [pid_field, count_field] = NUMBER_FIELDS;
            event.insert(name_field.to_owned(), json!(name));
            event.insert(args_field.to_owned(), json!(args));
            event.insert(parent_field.to_owned(), json!(parent));
            event.insert(pid_field.to_owned(), json!(pid));
            event.insert(count_field.to_owned(), json!(count));
            event.insert(BOOLEAN_FIELD.to_owned(), json!(interactive));
            event
        })
}

fn parse_eql(text: &str, findings: &mut Findings) -> Option<Condition> {
    match eql::parse(text, findings)? {
        Detection::Event(condition) => Some(condition),
        other => panic!("{text} is no event query: {other:?}"),
    }
}

fn check(
    query: &Query,
    text: &str,
    parse: fn(&str, &mut Findings) -> Option<Condition>,
    events: &[Map<String, Json>],
) -> Result<(), TestCaseError> {
    let mut findings = Findings::default();
    let condition = parse(text, &mut findings);
    prop_assert!(condition.is_some(), "{}: {:?}", text, findings.list);
    let mut read = Vec::new();
    if let Some(condition) = &condition {
        condition.visit_fields(&mut |field| read.push(field.field));
    }
    let mut narrow = Record::only(|field| read.contains(&field));
    let mut compiled = CompiledCondition::compile(&condition.unwrap_or(Condition::Never));
    let mut record = Record::new();
    for event in events {
        record.fill_from_document(event);
        let mut evaluate = |record: &Record| {
            compiled.evaluate(record, |matcher, event| (matcher.matches(event), matcher.reason(event)))
        };
        let (matched, reason) = evaluate(&record);
        prop_assert_eq!(
            matched,
            query.holds(event),
            "{} on {}",
            text,
            Json::Object(event.clone())
        );
        prop_assert!(!matched || !reason.is_empty());
        narrow.fill_from_document(event);
        prop_assert_eq!(
            evaluate(&narrow),
            (matched, reason.clone()),
            "{} on a narrow record",
            text
        );
        prop_assert!(reason.len() <= MAX_REASON_LINES);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn compiled_eql_decides_as_its_definition(
        query in query("[aAbé*?]{1,4}", &[Letters::Exact, Letters::AnyCase]),
        events in prop::collection::vec(event(), 1..12),
    ) {
        check(&query, &format!("any where {}", query.eql()), parse_eql, &events)?;
    }

    #[test]
    fn compiled_kql_decides_as_its_definition(
        query in query("[aAbé*]{1,4}", &[Letters::Exact]),
        events in prop::collection::vec(event(), 1..12),
    ) {
        check(&query, &query.kql(), kql::parse, &events)?;
    }
}
