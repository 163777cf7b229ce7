//! Fields that a rule file declares, or names as ones that documents may have.

use super::*;

const SCHEMA: &str = "[engine.schema]\nacme.team = \"keyword\"\nacme.count = \"long\"\nacme.since = \"date\"\n\
    acme.loud = \"boolean\"\nacme.address = \"ip\"\ncontainer.labels.replicas = \"integer\"\n";

fn document() -> Json {
    json!({
        "acme": {"team": ["Shop", "ops"], "count": 4.0, "since": "2026-01-02T00:00:00Z", "loud": "true",
            "address": "::ffff:10.0.0.1", "other": 7, "flag": true},
        "container": {"labels": {"replicas": "12"}},
        "process": {"name": "sh", "acme": "below"},
    })
}

fn matches(body: &str, document: Json) -> bool {
    !Run::new(rule(body), 0).show(0, document).is_empty()
}

#[test]
fn declared_fields_are_compared_as_what_they_are() {
    for (condition, expected) in [
        (r#"acme.team == "Shop" and acme.team != "shop""#, true),
        (r#"acme.team.caseless == "shop""#, true),
        (r#"acme.team : "o*""#, true),
        ("acme.count == 4 and acme.count < 10 and acme.count in (1, 4)", true),
        ("acme.count + 1 == 5", true),
        (r#"acme.since > "2026-01-01T00:00:00Z""#, true),
        ("acme.loud", true),
        ("acme.loud == false", false),
        (
            r#"acme.address == "10.0.0.1" and cidrMatch(acme.address, "10.0.0.0/8")"#,
            true,
        ),
        ("container.labels.replicas > 9", true),
        (r#"length(acme.team) == 3"#, true),
        ("acme.count == null", false),
    ] {
        let body = format!("type = \"eql\"\nquery = 'any where {condition}'\n{SCHEMA}");
        assert_eq!(matches(&body, document()), expected, "{condition}");
        assert!(!matches(&body, json!({})) || condition.contains("null"), "{condition}");
    }
    for (query, expected) in [
        ("acme.team:Shop and not acme.team:shop", true),
        ("acme.count >= 4 and acme.count:4", true),
        ("acme.since >= 2026-01-01", true),
        ("acme.loud:true", true),
        ("acme.address:\"10.0.0.0/8\"", true),
        ("container.labels.replicas < 13", true),
        ("acme.t*:ops", true),
        ("acme.t*:7", false),
        ("acme.*:*", true),
    ] {
        let body = format!("type = \"query\"\nquery = '{query}'\n{SCHEMA}");
        assert_eq!(matches(&body, document()), expected, "{query}");
        assert!(!matches(&body, json!({})), "{query}");
    }
}

#[test]
fn exceptions_may_name_declared_fields() {
    let excepted = format!(
        "type = \"query\"\nquery = 'process.name:sh'\n[[rule.exceptions_list]]\n\
         entries = [{{ field = \"acme.count\", type = \"match\", operator = \"included\", value = \"4\" }}]\n{SCHEMA}"
    );
    assert!(!matches(&excepted, document()));
    assert!(matches(&excepted, json!({"process.name": "sh", "acme.count": 5})));
}

#[test]
fn optional_fields_are_compared_where_a_document_has_them() {
    for (condition, expected) in [
        (r#"?acme.team == "ops""#, true),
        ("?acme.other == 7 and ?acme.other > 6.5", true),
        ("?acme.flag == true and ?acme.flag", true),
        (r#"?process.acme : "BEL*""#, true),
        ("?acme.other == null or ?acme.nothing != null", false),
        (r#"concat(?acme.team, ?acme.other) == "ops7""#, true),
        (r#"startsWith~(?acme.team, "sh")"#, true),
    ] {
        let body = format!("type = \"eql\"\nquery = 'any where {condition}'\n");
        assert_eq!(matches(&body, document()), expected, "{condition}");
        assert!(!matches(&body, json!({})) || condition.contains("null"), "{condition}");
    }
    let sequence = "type = \"eql\"\nquery = 'sequence by ?acme.team [any where true] [any where true]'";
    let mut run = Run::new(rule(sequence), 0);
    let teams = ["a", "b", "a"].map(|team| run.show(0, json!({"acme.team": team})).len());
    assert_eq!(teams, [0, 0, 1]);
}

#[test]
fn what_a_rule_declares_is_its_own() {
    let declared = format!("type = \"eql\"\nquery = 'any where acme.team == \"ops\"'\n{SCHEMA}");
    let two = [
        rule(&declared),
        rule("type = \"query\"\nquery = 'process.name:sh and acme.team:ops'\n"),
    ];
    let undeclared = &two[1].warnings;
    assert!(
        undeclared.iter().any(|finding| finding.message.contains("`acme.team`")),
        "{undeclared:?}"
    );
    let error = |body: &str| {
        let text = format!(
            "[rule]\nrule_id = \"one\"\nname = \"One\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
             type = \"query\"\nquery = 'process.name:sh'\n[engine.schema]\n{body}\n"
        );
        let report = parse(&text).expect_err("a field that cannot be declared");
        report.diagnostics[0].message.clone()
    };
    assert_eq!(
        error("acme.team = \"keywrod\""),
        "`keywrod` is no type of a field: `keyword`, `text`, `long`, `float`, `boolean`, `date` or `ip`"
    );
    assert_eq!(
        error("process.name = \"long\""),
        "there is a field `process.name` already"
    );
    assert_eq!(error("acme.team = 1"), "`team` in `[acme]` must be a text");
}

#[test]
fn an_alert_shows_what_its_event_has_beside_the_fields() {
    let mut record = Record::new();
    let Json::Object(written) = json!({"acme": {"team": ["a", "b"], "deep": {"er": "c"}}, "process": {"name": "sh"}})
    else {
        panic!("an object")
    };
    record.fill_from_document(&written);
    assert_eq!(record.to_document(), written);
}
