//! The judge of the compiled matchers: queries evaluated by definition, over plain lists of JSON values.
//!
//! Shares no code with the engine. Queries are generated as trees, written out as EQL or KQL, and both the tree (here)
//! and the text (there) have to say the same about generated events. `PROPTEST_CASES` sets how many there are.

use std::net::IpAddr;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use crate::compile::graph::CompiledCondition;
use crate::condition::{Condition, Detection};
use crate::diagnostic::Findings;
use crate::fixture;
use crate::language::{ParseOptions, kql};
use crate::limits::MAX_REASON_LINES;
use crate::record::{Producer, Record};
use crate::schema::{FieldType, Schema, fields};

mod compute;
mod engine;
pub(crate) mod generate;
mod plain;
pub(crate) mod query;
mod regex;
pub(crate) mod sequence;

use query::Query;

/// All fields of generated events, and what their values are.
const FIELDS: [&str; 17] = [
    "acme.count",
    "acme.team",
    "container.labels",
    "host.cpu.usage",
    "no.such.field",
    "process.args",
    "process.args_count",
    "process.interactive",
    "process.name",
    "process.name.text",
    "process.parent.name",
    "process.parent.name.text",
    "process.pid",
    "process.start",
    "process.title",
    "process.title.text",
    "source.ip",
];

/// Where a test of the process's name is one of its title too.
pub(crate) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let schema = Schema::ecs();
    let title = schema.field("process.title").expect("a field of ECS");
    schema.with_further_values(fields::PROCESS_NAME, title)
});

/// With fields for which records have no place.
pub(crate) static WITH_OWN_FIELDS: LazyLock<ParseOptions> = LazyLock::new(|| {
    let options = ParseOptions::new(Producer::new(SCHEMA.clone())).with_own_field("acme.team", FieldType::Keyword);
    let options = options.and_then(|options| options.with_own_field("acme.count", FieldType::Long));
    options.expect("new fields")
});

/// Dates as documents write them, the half seconds since the first, and the last one that KQL means by it.
const DATES: [(&str, i64, i64); 5] = [
    ("2026-01-01T00:00:00Z", 0, 1),
    ("2026-01-01T00:00:00.500Z", 1, 1),
    ("2026-01-02", 172_800, 345_599),
    ("2025-12-31T23:59:59+01:00", -7_202, -7_201),
    ("2026-01-01T01:00:00+01:00", 0, 1),
];
/// The last one is none.
const ADDRESSES: [&str; 11] = [
    "10.1.2.3",
    "10.200.0.1",
    "192.168.7.9",
    "fe80::1",
    "2001:db8::ff",
    "::ffff:10.1.2.3",
    "::FFFF:c0a8:0709",
    "2001:0DB8:0:0::00ff",
    "10.1.2.20",
    "::1",
    "10.1.2",
];
const NETWORKS: [&str; 11] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.168.7.9",
    "::ffff:192.168.7.9",
    "0.0.0.0/0",
    "fe80::/10",
    "2001:db8::/127",
    "::/0",
    "::ffff:10.0.0.0/104",
    "::ffff:0:0/96",
    "2001:DB8:0::FF",
];

fn type_of(field: &str) -> &'static str {
    match field {
        "acme.count" | "host.cpu.usage" | "process.args_count" | "process.pid" => "number",
        "process.interactive" => "boolean",
        "process.start" => "date",
        "source.ip" => "ip",
        name if name.ends_with(".text") => "words",
        _ => "text",
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Null,
    Text(String),
    Whole(i64),
    Real(f64),
    Boolean(bool),
}

impl Value {
    fn as_float(&self) -> Option<f64> {
        match self {
            Value::Whole(number) => Some(*number as f64),
            Value::Real(number) => Some(*number),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Text(text) => text.clone(),
            Value::Whole(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
        }
    }

    /// As a query writes it.
    fn written(&self) -> String {
        match self {
            Value::Text(text) => format!("{text:?}"),
            Value::Real(number) => format!("{number:?}"),
            other => other.to_text(),
        }
    }
}

/// The values of a field, of a key of the labels, or none.
fn values(event: &Map<String, Json>, field: &str) -> Vec<Value> {
    let field = field.trim_matches(['`', '?']);
    let field = field.strip_suffix(".text").unwrap_or(field);
    if let Some(base) = field.strip_suffix(".caseless") {
        let folded = |value| match value {
            Value::Text(text) => Value::Text(text.to_ascii_lowercase()),
            other => other,
        };
        return values(event, base).into_iter().map(folded).collect();
    }
    let values_of = |list: &Json| -> Vec<Value> {
        let list = list.as_array().into_iter().flatten();
        let values = list.map(|json| value(field, json));
        values.filter(|value| *value != Value::Null).collect()
    };
    let labels = &event["container.labels"];
    match field.strip_prefix("container.labels") {
        Some("") => ["team", "other"]
            .into_iter()
            .flat_map(|key| values_of(&labels[key]))
            .collect(),
        Some(key) => values_of(&labels[&key[1..]]),
        None => event.get(field).map(values_of).unwrap_or_default(),
    }
}

/// The values that a test of a field is for: those of a name are two fields'.
fn tested_values(event: &Map<String, Json>, field: &str) -> Vec<Value> {
    let own = values(event, field);
    match field.trim_matches(['`', '?']).strip_prefix("process.name") {
        Some(form) => [own, values(event, &format!("process.title{form}"))].concat(),
        None => own,
    }
}

fn value(field: &str, json: &Json) -> Value {
    match (json, field) {
        (Json::Number(number), "host.cpu.usage") => number.as_f64().map_or(Value::Null, Value::Real),
        (Json::Number(number), _) => number.as_i64().map_or(Value::Null, Value::Whole),
        (Json::Bool(truth), _) => Value::Boolean(*truth),
        // A mapped address is that of IPv4.
        (Json::String(text), "source.ip") => match text.parse::<IpAddr>() {
            Ok(address) => Value::Text(address.to_canonical().to_string()),
            Err(_) => Value::Null,
        },
        (Json::String(text), _) => Value::Text(text.clone()),
        _ => Value::Null,
    }
}

fn date(text: &str) -> Option<i64> {
    DATES
        .iter()
        .find(|(known, ..)| *known == text)
        .map(|(_, half_seconds, _)| *half_seconds)
}

/// The bits of an address, all as those of IPv6.
fn bits(text: &str) -> Option<String> {
    let octets = match text.parse().ok()? {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    Some(octets.iter().map(|byte| format!("{byte:08b}")).collect())
}

/// Whether the bits of the address begin with those of the network.
fn is_within(address: &str, network: &str) -> bool {
    let (base, length) = network.split_once('/').unwrap_or((network, ""));
    let before = if base.contains(':') { 0 } else { 96 };
    let length = length.parse().map_or(128, |length: usize| before + length);
    let (Some(address), Some(base)) = (bits(address), bits(base)) else {
        return false;
    };
    address[..length] == base[..length]
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Language {
    Eql,
    Kql,
}

/// Which letters are the same: of ASCII those that differ only in case, if any.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Letters {
    Exact,
    AnyCase,
}

impl Letters {
    fn or(self, other: Letters) -> Letters {
        if self == Letters::AnyCase { self } else { other }
    }

    fn folded(self, letter: char) -> char {
        match self {
            Letters::Exact => letter,
            Letters::AnyCase => letter.to_ascii_lowercase(),
        }
    }

    fn same(self, one: char, other: char) -> bool {
        self.folded(one) == self.folded(other)
    }

    fn spellings(self, letter: char) -> Vec<char> {
        match self {
            Letters::Exact => vec![letter],
            Letters::AnyCase => vec![letter, letter.to_ascii_lowercase(), letter.to_ascii_uppercase()],
        }
    }
}

/// What lies between all but letters and digits, and points between two letters or two digits; in lower case.
fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let joins = |at: usize| {
        let beside = |at: Option<usize>| at.and_then(|at| letters.get(at)).copied().unwrap_or(' ');
        let (before, behind) = (beside(at.checked_sub(1)), beside(Some(at + 1)));
        letters[at].is_alphanumeric()
            || letters[at] == '.' && before.is_alphabetic() && behind.is_alphabetic()
            || letters[at] == '.' && before.is_numeric() && behind.is_numeric()
    };
    let joined: String = (0..letters.len())
        .map(|at| if joins(at) { letters[at] } else { ' ' })
        .collect();
    joined
        .to_lowercase()
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn like(pattern: &str, text: &str, letters: Letters) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    is_like(&pattern, &text, letters)
}

/// A run is empty or takes one character more; `?` takes one.
fn is_like(pattern: &[char], text: &[char], letters: Letters) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', behind @ ..], _) => {
            is_like(behind, text, letters) || (!text.is_empty() && is_like(pattern, &text[1..], letters))
        }
        (['?', behind @ ..], [_, rest @ ..]) => is_like(behind, rest, letters),
        ([wanted, behind @ ..], [character, rest @ ..]) => {
            letters.same(*wanted, *character) && is_like(behind, rest, letters)
        }
        _ => false,
    }
}

fn parse_eql(options: &ParseOptions, text: &str, findings: &mut Findings) -> Option<Condition> {
    match fixture::parse_eql(options, text, findings)? {
        Detection::Single { condition, .. } => Some(condition),
        other => panic!("{text} is no event query: {other:?}"),
    }
}

fn check(
    query: &Query,
    text: &str,
    parse: fn(&ParseOptions, &str, &mut Findings) -> Option<Condition>,
    events: &[Map<String, Json>],
) -> Result<(), TestCaseError> {
    let mut findings = Findings::default();
    let condition = parse(&WITH_OWN_FIELDS, text, &mut findings);
    prop_assert!(condition.is_some(), "{}: {:?}", text, findings.list);
    let mut read = Vec::new();
    let condition = condition.unwrap_or(Condition::Never);
    condition.visit_fields(&mut |field| read.push(field.field));
    let is_plain = !calls_function(&condition);
    let mut narrow = Record::only(&SCHEMA, |field| read.contains(&field));
    let mut compiled = CompiledCondition::compile(&condition);
    let mut record = Record::with_schema(&SCHEMA);
    for event in events {
        record.fill_from_document(event);
        let evaluate = |compiled: &mut CompiledCondition, record: &Record| {
            compiled.evaluate(record, |matcher, event| (matcher.matches(event), matcher.reason(event)))
        };
        let (matched, reason) = evaluate(&mut compiled, &record);
        prop_assert_eq!(
            matched,
            query.holds(event),
            "{} on {}",
            text,
            Json::Object(event.clone())
        );
        prop_assert!(
            !is_plain || plain::holds(&condition, &record) == matched,
            "{} plainly",
            text
        );
        let (distance, failures) = compiled.evaluate(&record, |matcher, event| {
            (matcher.distance(event), matcher.failures(event))
        });
        prop_assert_eq!(distance == 0, matched, "{}", text);
        prop_assert_eq!(failures.is_empty(), matched, "{}: {:?}", text, failures);
        // What an unknown field decides, or a phrase without a word, has no value to show.
        let mut quoted = text.split('"').skip(1).step_by(2);
        let shows_nothing =
            text.contains("no.such.field") || quoted.any(|phrase| !phrase.contains(char::is_alphanumeric));
        prop_assert!(!matched || !reason.is_empty() || shows_nothing);
        narrow.fill_from_document(event);
        prop_assert_eq!(
            evaluate(&mut compiled, &narrow),
            (matched, reason.clone()),
            "{} on a narrow record",
            text
        );
        prop_assert!(reason.len() <= MAX_REASON_LINES);
    }
    Ok(())
}

fn calls_function(condition: &Condition) -> bool {
    match condition {
        Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().any(calls_function),
        Condition::Not(condition) => calls_function(condition),
        Condition::Computed(_) => true,
        Condition::Always | Condition::Never | Condition::Field(_) => false,
    }
}

/// Cases of each test below, each with a few events.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(50_000),
        max_local_rejects: u32::MAX,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn compiled_eql_decides_as_its_definition(
        query in generate::query(Language::Eql),
        events in prop::collection::vec(generate::event(), 1..4),
    ) {
        check(&query, &format!("any where {}", query.eql()), parse_eql, &events)?;
    }

    #[test]
    fn compiled_kql_decides_as_its_definition(
        query in generate::query(Language::Kql),
        events in prop::collection::vec(generate::event(), 1..4),
    ) {
        check(&query, &query.kql(), kql::parse, &events)?;
    }
}
