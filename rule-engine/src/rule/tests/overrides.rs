//! What an event says of its alert itself.

use expect_test::expect;
use serde_json::json;

use super::*;

const MAPPED: &str = r#"rule_name_override = "message"
[[rule.severity_mapping]]
field = "event.severity"
operator = "equals"
value = "3"
severity = "critical"
[[rule.severity_mapping]]
field = "process.name"
operator = "equals"
value = "curl"
severity = "high"
[[rule.risk_score_mapping]]
field = "event.risk_score"
operator = "equals"
value = ""
"#;

#[test]
fn an_event_says_how_bad_its_alert_is_where_the_rule_asks_for_it() {
    let info = parse(&(eql("process where true") + MAPPED)).expect("a sound rule").info;
    let own = (RuleSeverity::Low, 21, "A rule");
    for (event, expected) in [
        (json!({}), own),
        (json!({"process.name": "curl"}), (RuleSeverity::High, 21, "A rule")),
        (
            json!({"process.name": ["wget", "curl"], "event.severity": 3, "message": ["Somebody", "else"]}),
            (RuleSeverity::Critical, 21, "Somebody"),
        ),
        (
            json!({"event.risk_score": [40.5, 73.9, 900]}),
            (RuleSeverity::Low, 73, "A rule"),
        ),
        (json!({"event.risk_score": "99"}), (RuleSeverity::Low, 99, "A rule")),
        (
            json!({"event.risk_score": -1, "message": "", "process.name": "CURL"}),
            own,
        ),
    ] {
        let rating = info.rating(&|field| event.get(field));
        assert_eq!(
            (rating.severity, rating.risk_score, rating.name.as_str()),
            expected,
            "{event}"
        );
    }
}

#[test]
fn mappings_that_say_nothing_are_errors() {
    check(
        &(eql("process where true")
            + &MAPPED
                .replace("\"critical\"", "\"worst\"")
                .replace("process.name", "proces.name")
                .replacen("equals", "startsWith", 1)
                .replace("field = \"event.risk_score\"\n", "")),
        expect![[r#"
            Error
            15:12 Error bad-value: `startsWith` is not supported: the `operator` of a mapping is `equals` (see docs/rules.md for the values that this key takes)
            17:12 Error bad-value: `worst` is none of `low`, `medium`, `high`, `critical` (see docs/rules.md for the values that this key takes)
            19:9 Error unknown-field: unknown field `proces.name` (did you mean `process.name`?)
            23:1 Error missing-key: `field` is missing in `[[rule.risk_score_mapping]]` (add the key to the mapping)
        "#]],
    );
}
