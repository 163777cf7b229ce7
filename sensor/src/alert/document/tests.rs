use expect_test::expect;

use rule_engine::{Engine, EngineOptions, MemoryHistory, ParseOptions, Record, Rules, Schema, parse_rule};

use super::super::sample::sample;
use super::*;

#[test]
fn an_alert_is_its_event_with_elastics_flat_keys() {
    let mut document = sample().into_document();
    document.retain(|key, _| key.contains('.') || key == "event");
    expect![[r#"
        {
          "event": {
            "kind": "signal",
            "category": [
              "process"
            ],
            "type": [
              "start"
            ],
            "action": "exec"
          },
          "kibana.alert.uuid": "887ab4bd-eb1d-55fe-9a60-427bbb267ae5",
          "kibana.alert.reason": "`apt-get install \"net cat\"` started by `bash` as `root` in container `web-1` of image `nginx` on `node-1`: low alert `Tool installed in a container`",
          "kibana.alert.severity": "low",
          "kibana.alert.risk_score": 21,
          "kibana.alert.original_time": "2026-11-22T00:03:29.123Z",
          "kibana.alert.rule.rule_id": "9b2cfe7e-0000-4000-8000-000000000001",
          "kibana.alert.rule.uuid": "0e350db6-3c62-5194-8e8c-467ffa4f3bf8",
          "kibana.alert.rule.name": "Tool installed in a container",
          "kibana.alert.rule.type": "eql",
          "kibana.alert.rule.severity": "low",
          "kibana.alert.rule.risk_score": 21,
          "kibana.alert.rule.tags": [
            "Domain: Container"
          ],
          "kibana.alert.rule.threat": [],
          "tidewaiter.conditions": [
            "process.args == \"install\": install"
          ],
          "tidewaiter.chain": [
            {
              "pid": 4100,
              "name": "bash",
              "args": [
                "bash"
              ],
              "args_count": 1,
              "entity_id": "p2",
              "interactive": true
            },
            {
              "pid": 4242,
              "name": "apt-get",
              "args": [
                "apt-get",
                "install",
                "net cat"
              ],
              "args_count": 3,
              "entity_id": "p3",
              "interactive": true
            }
          ],
          "kibana.alert.original_event.kind": "event",
          "kibana.alert.original_event.category": [
            "process"
          ],
          "kibana.alert.original_event.type": [
            "start"
          ],
          "kibana.alert.original_event.action": "exec"
        }"#]].assert_eq(&serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn the_documentation_names_every_key() {
    let documentation = include_str!("../../../../docs/alerts.md");
    let mut alert = sample();
    alert.new_terms = vec!["x".to_owned()];
    alert.suppression = Some(Vec::new());
    alert.container_metadata = ContainerMetadata::Pending;
    for key in alert.into_document().keys().filter(|key| key.contains('.')) {
        let documented = key
            .strip_prefix("kibana.alert.original_event.")
            .map_or(key.as_str(), |_| "original_event.*");
        assert!(documentation.contains(&format!("{documented}`")), "{key}");
    }
}

#[test]
fn an_alert_of_a_building_block_rule_says_so() {
    let mut alert = sample();
    assert!(!alert.clone().into_document().contains_key(BUILDING_BLOCK_TYPE));
    Arc::make_mut(&mut alert.rule).building_block_type = Some("default".to_owned());
    assert_eq!(alert.into_document()[BUILDING_BLOCK_TYPE], "default");
}

#[test]
fn a_match_that_had_to_wait_is_an_alert_of_its_own_event() {
    let sample = sample();
    let mut matched = Match::new(&sample.rule);
    matched.past_event = Some(Arc::new(Document::clone(&sample.event)));
    let alert = Alert::new(Document::new(), matched, Vec::new(), None);
    assert_eq!(alert.event, sample.event);
    assert_eq!(alert.chain.last().map(|link| link.pid), Some(4242));
}

#[test]
fn the_identifier_depends_on_rule_event_and_terms_and_on_nothing_else() {
    let alert = sample();
    let mut without_metadata = alert.clone();
    without_metadata.event.shift_remove("container");
    without_metadata.container_metadata = ContainerMetadata::Pending;
    assert_eq!(alert.uuid(), without_metadata.uuid());

    let mut other_rule = alert.clone();
    Arc::make_mut(&mut other_rule.rule).rule_id = "other".to_owned();
    let mut other_term = alert.clone();
    other_term.new_terms = vec!["socat".to_owned()];
    let mut other_time = alert.clone();
    other_time
        .event
        .insert("@timestamp".to_owned(), json!("2026-11-22T00:03:29.124Z"));
    let mut anonymous = alert.clone();
    anonymous.event.shift_remove("process");
    let mut other_anonymous = anonymous.clone();
    other_anonymous.event.insert("message".to_owned(), json!("x"));
    let alerts = [alert, other_rule, other_term, other_time, anonymous, other_anonymous];
    let distinct: std::collections::BTreeSet<_> = alerts.iter().map(Alert::uuid).collect();
    assert_eq!(distinct.len(), alerts.len());
}

#[test]
fn dotted_events_become_alerts_like_nested_ones() {
    let mut alert = sample();
    alert.event = document::fields_below(
        &Document::from_iter([("x".to_owned(), Value::Object(Document::clone(&alert.event)))]),
        "x",
    )
    .into_iter()
    .map(|(name, value)| (name, value.clone()))
    .collect::<Document>()
    .into();
    let (dotted, nested) = (alert.into_document(), sample().into_document());
    for field in [
        "event.kind",
        "kibana.alert.uuid",
        "kibana.alert.reason",
        "kibana.alert.original_event.kind",
    ] {
        assert_eq!(document::text(&dotted, field), document::text(&nested, field));
    }
}

#[test]
fn a_reason_spells_out_what_could_mislead() {
    let mut alert = sample();
    alert
        .event
        .insert("user".to_owned(), json!({"name": "ro\u{202e}ot\u{1b}[0m"}));
    let document = alert.into_document();
    let reason = document["kibana.alert.reason"].as_str().unwrap();
    assert!(reason.contains("as `ro\\u{202e}ot\\u{1b}[0m`"), "{reason}");
}

/// The alerts of a rule by these events, the time being in seconds.
fn alerts(body: &str, events: &[(i64, Value)]) -> Vec<Document> {
    let text = format!(
        "[rule]\nrule_id = \"one\"\nname = \"One\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n{body}"
    );
    let rule = parse_rule(&text, &ParseOptions::default()).expect("a sound rule");
    let mut engine = Engine::new(Rules::compile(&Schema::ecs(), vec![rule]), EngineOptions::default());
    let mut alerts = Vec::new();
    for (second, event) in events {
        let mut event = event.clone();
        event["@timestamp"] = json!(second * 1_000);
        let mut record = Record::new();
        record.fill_from_document(event.as_object().expect("an object"));
        engine.evaluate(&record, &mut MemoryHistory::default(), &mut |matched| {
            alerts.push(Alert::new(record.to_document(), matched, Vec::new(), None).into_document());
        });
    }
    while let Some(time_ns) = engine.next_due_ns() {
        engine.advance_to(time_ns, &mut MemoryHistory::default(), &mut |matched| {
            alerts.push(Alert::new(Document::new(), matched, Vec::new(), None).into_document());
        });
    }
    alerts
}

/// Of each alert what it has under the keys that begin so.
fn below(alerts: &[Document], prefix: &str) -> Value {
    let kept = |alert: &Document| -> Document {
        let kept = alert
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
        kept.map(|(key, value)| (key.to_owned(), value.clone())).collect()
    };
    alerts.iter().map(kept).collect::<Vec<_>>().into()
}

#[test]
fn a_threshold_is_told_as_kibana_tells_it() {
    let event = |pid: i64, args: &[&str]| json!({"process": {"name": "a", "pid": pid, "args": args}});
    let body = "type = \"threshold\"\nquery = 'process.name:a'\nfrom = \"now-1m\"\n[rule.threshold]\n\
                field = [\"process.name\", \"process.pid\"]\nvalue = 3\n\
                [[rule.threshold.cardinality]]\nfield = \"process.args\"\nvalue = 2\n";
    let events = [
        (1, event(7, &["x"])),
        (2, event(8, &["x"])),
        (3, event(7, &["y"])),
        (4, event(7, &["x"])),
    ];
    let result = json!({
        "terms": [{"field": "process.name", "value": "a"}, {"field": "process.pid", "value": 7}],
        "cardinality": [{"field": "process.args", "value": 2}],
        "count": 3,
        "from": "1970-01-01T00:00:01.000Z",
    });
    assert_eq!(
        below(&alerts(body, &events), "kibana.alert.threshold_result"),
        json!([{"": result}])
    );

    let suppressed = "[rule.alert_suppression]\nduration = { value = 1, unit = \"h\" }\n";
    let body = format!(
        "type = \"threshold\"\nquery = 'process.name:a'\n[rule.threshold]\nfield = \"process.args\"\nvalue = 2\n{suppressed}"
    );
    let found = alerts(
        &body,
        &[
            (1, event(7, &["x", "y"])),
            (5, event(7, &["y", "x"])),
            (9, event(7, &["x"])),
        ],
    );
    let of_group = |value: &str| {
        json!({"terms": [{"field": "process.args", "value": value}], "start": "1970-01-01T00:00:01.000Z",
            "end": "1970-01-01T00:00:05.000Z", "docs_count": 0})
    };
    assert_eq!(
        below(&found, "kibana.alert.suppression."),
        json!([of_group("y"), of_group("x")])
    );
    assert_ne!(found[0][ALERT_ID], found[1][ALERT_ID], "one alert a group");
}

#[test]
fn what_is_suppressed_is_told_as_kibana_tells_it() {
    let suppression = |strategy: &str| {
        format!(
            "[rule.alert_suppression]\ngroup_by = [\"process.args\", \"user.id\"]\nmissing_fields_strategy = \"{strategy}\"\n"
        )
    };
    let query = "type = \"query\"\nquery = 'process.name:a'\n";
    let eql = "type = \"eql\"\nquery = 'process where process.name == \"a\"'\n";
    let event = json!({"event.category": "process", "process": {"name": "a", "args": ["y", "x"]}});
    let terms = |body: &str, strategy: &str| {
        let found = alerts(
            &format!("{body}{}", suppression(strategy)),
            &[(5, event.clone()), (6, event.clone())],
        );
        below(&found, "kibana.alert.suppression.")
    };
    let told = |value: Value| {
        json!([{"terms": [{"field": "process.args", "value": value}, {"field": "user.id", "value": null}],
            "start": "1970-01-01T00:00:05.000Z", "end": "1970-01-01T00:00:05.000Z", "docs_count": 0}])
    };
    assert_eq!(terms(query, "suppress"), told(json!("y")));
    assert_eq!(terms(eql, "suppress"), told(json!(["x", "y"])));
    assert_eq!(terms(eql, "doNotSuppress"), json!([{}, {}]));
    assert_eq!(
        below(&alerts(query, &[(5, event)]), "kibana.alert.suppression."),
        json!([{}])
    );
}

#[test]
fn a_sequence_that_ends_with_a_missing_event_says_on_which_host_where_and_what() {
    let body = "type = \"eql\"\nquery = '''sequence with maxspan=1m [process where process.name == \"a\"] \
                ![process where process.name == \"b\"]'''\n";
    let long = "x".repeat(1_021);
    let event = json!({"event.category": "process", "host.name": "node", "container": {"id": "c1", "name": "web"},
        "process": {"name": "a", "pid": 7, "args": ["a", "-q", long, "more"], "args_count": 4}});
    let found = alerts(body, &[(5, event)]);
    let [alert] = found.as_slice() else { panic!("{found:?}") };
    let text = |field| document::text(alert, field);
    assert_eq!(
        [text("host.name"), text("container.id"), text("container.name")],
        ["node", "c1", "web"].map(Some)
    );
    assert_eq!(document::texts(alert, "process.args"), ["a", "-q", &long]);
    assert_eq!(document::integer(alert, "process.args_count"), Some(4));
    let reason = text("kibana.alert.reason").unwrap_or_default();
    assert!(
        reason.starts_with("`a -q ") && reason.contains("in container `web` on `node`"),
        "{reason}"
    );
}

#[test]
fn the_alerts_of_one_event_have_one_document() {
    let event = SharedEvent::from(Document::clone(&sample().event));
    let alone = Alert {
        event: event.clone(),
        ..sample()
    }
    .memory();
    let alerts: Vec<Alert> = (0..100)
        .map(|_| Alert {
            event: event.clone(),
            ..sample()
        })
        .collect();
    let all: usize = alerts.iter().map(Alert::memory).sum();
    assert!(alerts.iter().all(|alert| std::ptr::eq(&*alert.event, &*event)));
    assert!(
        all < 100 * alone - 90 * document::memory(&event),
        "{all} of 100 times {alone}"
    );
}
