//! A value that has several spellings is one, wherever it is a key.

use super::*;

/// How many alerts come of events a second apart, each a document.
fn alerts(rule: CheckedRule, documents: &[Json]) -> usize {
    let mut run = Run::new(rule, 0);
    let shown = (0..).zip(documents);
    shown
        .map(|(second, document)| run.show(second * 1_000, document.clone()).len())
        .sum()
}

/// A rule of each kind that has keys, and how many alerts it makes of two events whose key is one value.
fn keyed_by(field: &str) -> [(CheckedRule, usize); 5] {
    let rule = |body: &str| {
        rule(&format!(
            "{body}\n[engine.schema]\nacme.count = \"long\"\nacme.address = \"ip\"\n"
        ))
    };
    let threshold = |of_threshold: &str| {
        rule(&format!(
            "type = \"threshold\"\nquery = 'event.action:exec'\n[rule.threshold]\n{of_threshold}\n"
        ))
    };
    [
        (
            rule(&format!(
                "type = \"new_terms\"\nquery = 'event.action:exec'\nnew_terms_fields = [\"{field}\"]\n\
                 history_window_start = \"now-14d\""
            )),
            1,
        ),
        (threshold(&format!("field = [\"{field}\"]\nvalue = 2")), 1),
        (
            threshold(&format!(
                "field = []\nvalue = 2\ncardinality = [{{ field = \"{field}\", value = 2 }}]"
            )),
            0,
        ),
        (
            rule(&format!(
                "type = \"eql\"\nquery = 'sequence by {field} [process where true] [process where true]'"
            )),
            1,
        ),
        (
            rule(&format!(
                "type = \"query\"\nquery = 'event.action:exec'\n[rule.alert_suppression]\ngroup_by = [\"{field}\"]\n\
                 duration = {{ value = 1, unit = \"h\" }}\n"
            )),
            1,
        ),
    ]
}

fn check(field: &str, one: &Json, other: &Json) {
    for (number, (rule, expected)) in keyed_by(field).into_iter().enumerate() {
        let found = alerts(rule, &[one.clone(), other.clone()]);
        assert_eq!(found, expected, "rule {number} by {field}: {one} and {other}");
    }
}

#[test]
fn an_address_is_one_key_however_it_is_spelt() {
    for (one, other) in [
        ("10.0.0.1", "::ffff:10.0.0.1"),
        ("::FFFF:0a00:1", "10.0.0.1"),
        ("2001:db8::1", "2001:0DB8:0:0:0:0:0:1"),
    ] {
        check("source.ip", &json!({"source.ip": one}), &json!({"source.ip": other}));
    }
}

#[test]
fn case_does_not_count_in_a_key_that_is_caseless() {
    let (one, other) = (json!({"process.name": "Bash"}), json!({"process.name": "bash"}));
    check("process.name.caseless", &one, &other);
}

#[test]
fn a_value_of_an_own_field_is_one_key_however_it_is_written() {
    check(
        "acme.count",
        &json!({"acme.count": 4}),
        &json!({"acme": {"count": "4.0"}}),
    );
    let address = |text: &str| json!({"acme.address": text});
    check("acme.address", &address("::1"), &address("0:0::0:1"));
}
