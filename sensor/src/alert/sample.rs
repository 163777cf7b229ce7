//! An alert for tests.

use std::sync::Arc;

use rule_engine::{DataStreams, Engine, EngineOptions, MemoryHistory, ParseOptions, Record, Rules, parse_rule};
use serde_json::{Value, json};

use super::chain::chain_from_event;
use super::document::{Alert, ContainerMetadata};
use crate::record::{SCHEMA, parse_options};
use crate::text::document::Document;

/// A rule and an event as the sensor makes them, for tests of what shows alerts.
pub(crate) fn sample() -> Alert {
    let event = json!({
        "@timestamp": "2026-11-22T00:03:29.123Z",
        "event": {"kind": "event", "category": ["process"], "type": ["start"], "action": "exec"},
        "host": {"name": "node-1"},
        "user": {"name": "root", "id": "0"},
        "container": {"id": "3f2a9c5d1b2e4f60", "name": "web-1", "image": {"name": "nginx", "tag": ["1.25"]}},
        "process": {
            "pid": 4242, "entity_id": "p3", "name": "apt-get", "executable": "/usr/bin/apt-get",
            "args": ["apt-get", "install", "net cat"], "args_count": 3, "working_directory": "/root",
            "interactive": true, "tty": {"char_device": {"major": 136, "minor": 3}},
            "parent": {"pid": 4100, "entity_id": "p2", "name": "bash", "args": ["bash"], "interactive": true},
            "entry_leader": {
                "pid": 4100, "entity_id": "p2", "name": "bash", "args": ["bash"], "interactive": true,
                "entry_meta": {"type": "container"}
            }
        }
    });
    let Value::Object(event) = event else {
        panic!("not an object")
    };
    let chain = chain_from_event(&event);
    let rule = r#"[rule]
rule_id = "9b2cfe7e-0000-4000-8000-000000000001"
name = "Tool installed in a container"
description = "text"
severity = "low"
risk_score = 21
tags = ["Domain: Container"]
type = "eql"
query = "process where true"
"#;
    let rule = parse_rule(rule, &ParseOptions::default()).expect("a sound rule");
    Alert {
        event: event.into(),
        metadata: Document::new(),
        rule: Arc::new(rule.info),
        conditions: vec!["process.args == \"install\": install".to_owned()],
        new_terms: Vec::new(),
        threshold: None,
        suppression: None,
        earlier_events: Vec::new(),
        chain,
        container: None,
        container_metadata: ContainerMetadata::Complete,
        loss: None,
        held_back: None,
        number: None,
        growth: None,
        is_amendment: false,
    }
}

/// What a rule on new names says of these names in a session of the container: an alert, and what it grows by.
pub(crate) fn growing(container: &str, names: &[&str]) -> Vec<Alert> {
    let rule = r#"[rule]
rule_id = "9b2cfe7e-0000-4000-8000-000000000002"
name = "New program"
description = "text"
severity = "low"
risk_score = 21
type = "new_terms"
query = "process.name:*"
[rule.new_terms]
field = "new_terms_fields"
value = ["process.name"]
[[rule.new_terms.history_window_start]]
field = "history_window_start"
value = "now-14d"
[rule.alert_suppression]
group_by = ["user.id"]
"#;
    let rule = parse_rule(rule, &parse_options(DataStreams::default())).expect("a sound rule");
    let rules = Rules::compile(&SCHEMA, vec![rule]);
    let mut engine = Engine::new(rules, EngineOptions::default().with_learn_for_ms(0));
    let (mut history, mut alerts) = (MemoryHistory::default(), Vec::new());
    for (second, name) in names.iter().enumerate() {
        let event = json!({
            "@timestamp": second * 1_000, "container.id": container, "user.id": "0",
            "process": {"name": name, "args": [name], "entity_id": format!("{container}-{second}")},
        });
        let mut record = Record::with_schema(&SCHEMA);
        record.fill_from_document(event.as_object().expect("an object"));
        engine.evaluate(&record, &mut history, &mut |matched| {
            alerts.push(Alert::new(record.to_document(), matched, Vec::new(), None));
        });
    }
    engine.finish(&mut history, &mut |matched| {
        alerts.push(Alert::new(Document::new(), matched, Vec::new(), None));
    });
    alerts
}
