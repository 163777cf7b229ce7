//! Runs a rule over events: `cargo run -p rule-engine --example embed`.

use rule_engine::{
    DocumentReader, Engine, EngineOptions, FieldType, MemoryHistory, ParseOptions, Producer, Rules, Schema, parse_rule,
};

const RULE: &str = r#"
[rule]
rule_id = "3c1f0a52-6a7e-4d0c-9a55-0f4a5a1f7a10"
name = "Package tool run by the shop team"
description = "Software is installed in a container of the shop team."
severity = "medium"
risk_score = 47
type = "eql"
query = '''
process where process.name in ("apt", "apk") and process.args == "install" and acme.team == "shop"
'''
"#;

const EVENTS: [&str; 2] = [
    r#"{"@timestamp": "2026-01-01T10:00:00Z", "event": {"category": ["process"]}, "acme": {"team": "shop"},
        "process": {"name": "apt", "args": ["apt", "install", "curl"]}}"#,
    r#"{"@timestamp": "2026-01-01T10:00:01Z", "event": {"category": ["process"]}, "acme": {"team": "web"},
        "process": {"name": "apt", "args": ["apt", "install", "curl"]}}"#,
];

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    // ECS's fields, and one of our own.
    let schema = Schema::ecs().with_field("acme.team", FieldType::Keyword)?;
    let options = ParseOptions::new(Producer::new(schema.clone()));
    let rules = Rules::compile(&schema, vec![parse_rule(RULE, &options)?]);

    // The record takes only the fields that the rules look at, and is used again for each event.
    let mut record = rules.narrow_record();
    let reader = DocumentReader::new(&record);
    let mut engine = Engine::new(rules, EngineOptions::default());
    let mut history = MemoryHistory::default();
    let mut matches = Vec::new();
    for event in EVENTS {
        reader.read(event, &mut record)?;
        engine.evaluate(&record, &mut history, &mut |found| {
            matches.push(format!("{}: {}", found.rule.name, found.reason.join("; ")));
        });
    }
    println!("{}", matches.join("\n"));
    assert_eq!(matches.len(), 1);
    Ok(())
}
