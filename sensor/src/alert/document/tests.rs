use expect_test::expect;

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
    matched.past_event = Some(Arc::new(sample.event.clone()));
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
        &Document::from_iter([("x".to_owned(), Value::Object(alert.event))]),
        "x",
    )
    .into_iter()
    .map(|(name, value)| (name, value.clone()))
    .collect();
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
