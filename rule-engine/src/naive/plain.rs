//! Checked conditions evaluated as they stand, nothing compiled or shared; and the stock rules' examples by it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::analysis::holds::passes;
use crate::compile::graph::CompiledCondition;
use crate::condition::{Condition, Detection, Then};
use crate::language::ParseOptions;
use crate::record::values::tested_values;
use crate::record::{Producer, Record};
use crate::rule::{Expectation, parse_rule};
use crate::schema::{FieldType, Schema};

pub(super) fn holds(condition: &Condition, record: &Record) -> bool {
    match condition {
        Condition::Always => true,
        Condition::Never => false,
        Condition::All(conditions) => conditions.iter().all(|condition| holds(condition, record)),
        Condition::Any(conditions) => conditions.iter().any(|condition| holds(condition, record)),
        Condition::Not(condition) => !holds(condition, record),
        Condition::Field(tested) => {
            let field = &tested.field;
            let mut values = tested_values(record, field.field, field.key.as_deref(), field.value_type);
            values.any(|value| passes(&tested.test, value))
        }
        Condition::Computed(computed) => panic!("functions are judged by their definition: {computed:?}"),
    }
}

#[test]
fn rules_decide_their_own_examples_plain_as_compiled() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = check_examples(&package.join("tests/data/rules"));
    assert!(examples >= 8, "only {examples} examples");
    // The stock rules of the repository, which the package does not have.
    let stock = package.join("../rules");
    if stock.is_dir() {
        let examples = check_examples(&stock);
        assert!(examples >= 150, "only {examples} examples");
    }
}

/// How many examples the rules of the folder have.
fn check_examples(folder: &Path) -> usize {
    let mut examples = 0;
    for entry in fs::read_dir(folder).expect("a folder of rules") {
        let path = entry.expect("a readable entry").path();
        let text = fs::read_to_string(&path).expect("a readable rule file");
        let options = options_for(&text);
        let rule = parse_rule(&text, &options).expect("a sound rule");
        let mut compiled: Vec<_> = rule
            .detection
            .conditions()
            .into_iter()
            .map(|condition| (condition, CompiledCondition::compile_for(condition, options.schema())))
            .collect();
        for example in &rule.info.examples {
            examples += 1;
            let mut record = Record::with_schema(options.schema());
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

/// What the rule is checked against: its file's table beside Elastic's is its own, and the fields that the examples have
/// below the name of that table are declared, with the types of their values.
fn options_for(text: &str) -> ParseOptions {
    let file: toml::Table = text.parse().expect("a TOML file");
    let is_own = |key: &&String| !["metadata", "rule"].contains(&key.as_str());
    let Some(own) = file.keys().find(is_own) else {
        return ParseOptions::default();
    };
    let mut fields = BTreeMap::new();
    collect_fields(own, "", &file[own], &mut fields);
    let schema = fields.iter().fold(Schema::ecs(), |schema, (name, field_type)| {
        let schema = schema
            .with_field(name, *field_type)
            .expect("a field beside those of ECS");
        // A process has two names, each of which may be meant.
        let below = name.strip_prefix(&format!("{own}."));
        let process = below.and_then(|name| name.strip_suffix("other_name"));
        let names = process.and_then(|process| schema.field(&format!("{process}name")).zip(schema.field(name)));
        match names {
            Some((shown, other)) => schema.with_further_values(shown, other),
            None => schema,
        }
    });
    ParseOptions::new(Producer::new(schema)).with_own_table(own)
}

/// Collects the fields below `own` in a value of the field `path`, which is empty above `own`.
fn collect_fields(own: &str, path: &str, value: &toml::Value, fields: &mut BTreeMap<String, FieldType>) {
    let field_type = match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let below = match path {
                    "" if key == own => own.to_owned(),
                    "" => String::new(),
                    path => format!("{path}.{key}"),
                };
                collect_fields(own, &below, value, fields);
            }
            return;
        }
        toml::Value::Array(values) => {
            return values.iter().for_each(|value| collect_fields(own, path, value, fields));
        }
        toml::Value::Boolean(_) => FieldType::Boolean,
        toml::Value::Integer(_) => FieldType::Long,
        _ => FieldType::Keyword,
    };
    if !path.is_empty() {
        fields.insert(path.to_owned(), field_type);
    }
}
