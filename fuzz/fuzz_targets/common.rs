//! What the targets of the rule engine do with their input; a test of the rule engine runs the same over mutated seeds.

#![allow(dead_code, clippy::allow_attributes, reason = "each target uses its own part")]

use std::sync::LazyLock;

use rule_engine::{
    CheckedRule, DocumentReader, Engine, EngineOptions, Envelope, Format, MemoryHistory, ParseOptions, Record, Report,
    Rules, Schema, parse_rule, parse_rules, run_examples,
};

const EVENT: &str = r#"{"@timestamp": "2026-01-01T00:00:00Z", "event": {"category": ["process"], "type": ["start"]},
    "process": {"name": "apt", "pid": 7, "args": ["apt", "install", "curl"], "interactive": true},
    "container": {"id": "5d2f1c7a9b3e", "labels": {"team": "a"}}}"#;

static RECORD: LazyLock<Record> = LazyLock::new(|| {
    let mut record = Record::new();
    record.fill_from_document(&serde_json::from_str(EVENT).expect("the event is JSON"));
    record
});

/// Puts the query into a rule of the given type, reads the rule and runs it.
pub(crate) fn run_query(rule_type: &str, query: &str) {
    let head = [
        ("rule_id", "one"),
        ("name", "one"),
        ("description", "one"),
        ("severity", "low"),
    ];
    let mut rule: toml::Table = head
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    rule.insert("risk_score".to_owned(), 1.into());
    rule.insert("type".to_owned(), rule_type.into());
    rule.insert("query".to_owned(), query.into());
    let file = toml::Table::from_iter([("rule".to_owned(), toml::Value::Table(rule))]);
    let text = file.to_string();
    let parsed = parse_rule(&text, &ParseOptions::default());
    render(&parsed, &text);
    if let Ok(rule) = parsed {
        let mut engine = Engine::new(Rules::compile(&Schema::ecs(), vec![rule]), EngineOptions::default());
        engine.evaluate(&RECORD, &mut MemoryHistory::default(), &mut |_| {});
    }
}

/// A rule file of any text: a report, never a panic; what is `ok` compiles and its examples run.
pub(crate) fn run_rule_file(text: &str) {
    let parsed = parse_rule(text, &ParseOptions::default());
    render(&parsed, text);
    if let Ok(rule) = parsed {
        run_examples(&rule);
    }
    for parsed in parse_rules(text, Format::Ndjson, &ParseOptions::default()) {
        render(&parsed, text);
    }
}

/// Shows what was found; a rule that does not run has at least one finding.
fn render(parsed: &Result<CheckedRule, Report>, text: &str) {
    let found = match parsed {
        Ok(rule) => &rule.warnings,
        Err(report) => {
            assert!(!report.diagnostics.is_empty());
            &report.diagnostics
        }
    };
    for found in found {
        found.render("rule.toml", text);
    }
}

/// Any JSON document as an event: it is read without a panic, and what was read survives being written. Any text is
/// opened as a line of a file, and what a search hit holds comes out of it.
pub(crate) fn run_document(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let opened = Envelope::open(text);
    let mut record = Record::new();
    if let Envelope::Document(document) = opened {
        let _ = DocumentReader::new(&record).read(document, &mut record);
    }
    let Ok(document) = serde_json::from_str(text) else {
        return;
    };
    let hit = format!("{{\"_id\": \"}}\", \"_source\": {text}, \"sort\": [{text}]}}");
    if document != serde_json::Map::new() {
        assert_eq!(Envelope::open(&hit), Envelope::Document(text.trim_ascii()));
    }
    record.fill_from_document(&document);
    let written = record.to_document();
    let mut again = Record::new();
    // Fields beyond the schema are written as text.
    assert_eq!(again.fill_from_document(&written).unfit, []);
    assert_eq!(again.to_document(), written);
}
