use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use crate::compile::rules::Rules;
use crate::fixture;
use crate::rule::{CheckedRule, Report};
use crate::run::engine::Engine;
use crate::run::history::MemoryHistory;
use crate::run::options::EngineOptions;
use crate::schema::Schema;

fn parse(query: &str, tail: &str) -> Result<CheckedRule, Report> {
    fixture::parse(&format!(
        "[rule]\nrule_id = \"1\"\nname = \"A\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
             type = \"eql\"\nquery = '''{query}'''\n{tail}"
    ))
}

/// Which of the events the rule matches, on a record that holds only what the rule looks at.
pub(crate) fn matches(query: &str, tail: &str, events: &[Json]) -> Vec<bool> {
    let rule = parse(query, tail).unwrap_or_else(|report| panic!("{tail}: {:?}", report.diagnostics));
    let rules = Rules::compile(&Schema::ecs(), vec![rule]);
    let mut record = rules.narrow_record();
    let mut engine = Engine::new(rules, EngineOptions::default());
    let mut history = MemoryHistory::default();
    let mut matches = Vec::new();
    for event in events {
        let Json::Object(document) = event else {
            panic!("not an object: {event}")
        };
        record.fill_from_document(document);
        let mut matched = false;
        engine.evaluate(&record, &mut history, &mut |_| matched = true);
        matches.push(matched);
    }
    matches
}

fn exception(entries: &str) -> String {
    format!("[[rule.exceptions_list]]\nentries = [{entries}]\n")
}

#[test]
fn entries_except_as_their_type_and_operator_say() {
    let event = json!({"event.category": "process", "process": {"name": "Curl*", "pid": 7, "args": ["a", "b"],
        "interactive": true}, "host.ip": "10.1.2.3"});
    for (entry, excepted) in [
        (
            r#"field = "process.name", type = "match", operator = "included", value = "Curl*""#,
            true,
        ),
        (
            r#"field = "process.name", type = "match", operator = "included", value = "curl*""#,
            false,
        ),
        (
            r#"field = "process.name", type = "match", operator = "included", value = "Cur*""#,
            false,
        ),
        (
            r#"field = "process.name", type = "match", operator = "excluded", value = "Curl*""#,
            false,
        ),
        (
            r#"field = "process.name", type = "match", operator = "excluded", value = "wget""#,
            true,
        ),
        (
            r#"field = "process.name.caseless", type = "match", value = "curl*""#,
            true,
        ),
        (r#"field = "process.pid", type = "match", value = "7""#, true),
        (r#"field = "process.interactive", type = "match", value = "true""#, true),
        (r#"field = "host.ip", type = "match", value = "10.1.0.0/16""#, true),
        (
            r#"field = "process.args", type = "match_any", value = ["x", "b"]"#,
            true,
        ),
        (
            r#"field = "process.args", type = "match_any", operator = "excluded", value = ["x", "b"]"#,
            false,
        ),
        (
            r#"field = "process.args", type = "match_any", value = ["x", "y"]"#,
            false,
        ),
        (r#"field = "process.name", type = "exists""#, true),
        (
            r#"field = "process.title", type = "exists", operator = "included""#,
            false,
        ),
        (
            r#"field = "process.title", type = "exists", operator = "excluded""#,
            true,
        ),
        (r#"field = "process.name", type = "wildcard", value = "C?rl*""#, true),
        (r#"field = "process.name", type = "wildcard", value = 'Curl\*'"#, true),
        (r#"field = "process.name", type = "wildcard", value = 'Cur\*'"#, false),
        (r#"field = "process.name", type = "wildcard", value = "Curl?""#, true),
    ] {
        let found = matches(
            "process where true",
            &exception(&format!("{{ {entry} }}")),
            std::slice::from_ref(&event),
        );
        assert_eq!(found, [!excepted], "{entry}");
    }
}

#[test]
fn a_nested_entry_is_about_the_fields_below_its_own() {
    let event = json!({"event.category": "process", "process": {"parent": {"name": "sh", "pid": 7}}});
    for (second, excepted) in [("7", true), ("8", false)] {
        let tail = exception(&format!(
            r#"{{ field = "process.parent", type = "nested", entries = [
               {{ field = "name", type = "match", operator = "included", value = "sh" }},
               {{ field = "pid", type = "match", operator = "included", value = "{second}" }}] }}"#
        ));
        assert_eq!(
            matches("process where true", &tail, std::slice::from_ref(&event)),
            [!excepted]
        );
    }
}

#[test]
fn an_item_for_other_operating_systems_excepts_nothing() {
    let event = json!({"event.category": "process", "process.name": "sh", "host.os.type": "linux"});
    for (systems, excepted) in [(r#"["linux", "macos"]"#, true), (r#"["windows"]"#, false), ("[]", true)] {
        let tail = format!("[[rule.exceptions_list]]\nos_types = {systems}\n")
            + r#"entries = [{ field = "process.name", type = "match", value = "sh" }]"#;
        let found = matches("process where true", &tail, std::slice::from_ref(&event));
        assert_eq!(found, [!excepted], "{systems}");
    }
}

#[test]
fn all_entries_of_any_item_except() {
    let tail = exception(
        r#"{ field = "process.name", type = "match", value = "a" }, { field = "process.pid", type = "match", value = "1" }"#,
    ) + &exception(r#"{ field = "process.name", type = "match", value = "b" }"#);
    let event = |name: &str, pid: i64| json!({"event.category": "process", "process": {"name": name, "pid": pid}});
    let events = [event("a", 1), event("a", 2), event("b", 2), event("c", 1)];
    assert_eq!(
        matches("process where true", &tail, &events),
        [false, true, false, true]
    );
}

#[test]
fn an_exception_ends_at_its_time_by_the_events_clock() {
    let tail = exception(r#"{ field = "process.name", type = "exists" }"#) + "expire_time = \"2026-01-02T00:00:00Z\"\n";
    let event = |time: Json| json!({"@timestamp": time, "event.category": "process", "process.name": "a"});
    let events = [
        event("2026-01-01T23:59:59.999Z".into()),
        event("2026-01-02T00:00:00Z".into()),
        event(Json::Null),
    ];
    assert_eq!(matches("process where true", &tail, &events), [false, true, true]);
}

#[test]
fn an_excepted_event_is_none_of_a_sequence_neither_wanted_nor_unwanted() {
    let tail = exception(r#"{ field = "process.title", type = "match", value = "known" }"#);
    let event = |second: i64, name: &str, title: &str| {
        json!({"@timestamp": second * 1_000, "event.category": "process",
            "process": {"name": name, "title": title}})
    };
    let query = r#"sequence with maxspan=1m [process where process.name == "a"]
        ![process where process.name == "x"] [process where process.name == "b"]"#;
    let known_start = [event(0, "a", "known"), event(1, "b", "")];
    assert_eq!(matches(query, &tail, &known_start), [false, false]);
    let known_between = [event(0, "a", ""), event(1, "x", "known"), event(2, "b", "")];
    assert_eq!(matches(query, &tail, &known_between), [false, false, true]);
}

pub(crate) fn check(tail: &str, expected: Expect) {
    let parsed = parse("process where true", tail);
    let (_, diagnostics) = fixture::outcome(&parsed);
    let rendered: String = diagnostics
        .iter()
        .map(|found| format!("{}:{} {}: {}\n", found.line, found.column, found.code, found.message))
        .collect();
    expected.assert_eq(&rendered);
}

#[test]
fn forms_that_are_not_read_are_errors_that_name_them() {
    for (tail, expected) in [
        (
            exception(r#"{ field = "process.nam", type = "list", list = { id = "l", type = "ip" } }"#),
            expect![[r#"
                10:44 unsupported-exception: entries of type `list` are not supported in exceptions
            "#]],
        ),
        (
            exception(r#"{ field = "process.nam", type = "match", value = ["a"] }"#),
            expect![[r#"
                10:61 wrong-type: `value` in `[entries]` must be a text
            "#]],
        ),
        (
            exception(r#"{ field = "process.Ext.code_signature", type = "nested", entries = [] }"#)
                + &exception(
                    r#"{ field = "a", type = "nested", entries = [{ field = "b", type = "nested", entries = [] }] }"#,
                ),
            expect![[r#"
                10:12 bad-value: a nested entry needs `entries`
                12:77 unsupported-exception: entries of type `nested` are not supported in exceptions
            "#]],
        ),
        (
            exception(r#"{ field = "process.name", type = "match_any", value = [], operator = "maybe" }"#),
            expect![[r#"
                10:12 bad-value: `value` must have 1 to 8192 values
            "#]],
        ),
        (
            exception(r#"{ field = "process.name", type = "exists", operator = "maybe" }"#),
            expect![[r#"
                10:66 bad-value: `maybe` is neither `included` nor `excluded`
            "#]],
        ),
        (
            exception(r#"{ type = "exists" }"#) + "expire_time = \"soon\"\n",
            expect![[r#"
                10:12 missing-key: `field` is missing in an entry of an exception
            "#]],
        ),
        (
            exception(r#"{ field = "process.name", type = "exists" }"#) + "expire_time = \"soon\"\n",
            expect![[r#"
                11:15 bad-value: `soon` is not a date such as `2026-01-31T00:00:00Z`
            "#]],
        ),
        (
            exception(""),
            expect![[r#"
            9:1 bad-value: an exception needs `entries`
        "#]],
        ),
        (
            exception(r#"{ field = "process.pid", type = "match", value = "x" }"#),
            expect![[r#"
                10:12 never-matches: this can never match: `process.pid` does not hold such values
            "#]],
        ),
        (
            "[[rule.exceptions_list]]\nid = \"x\"\nlist_id = \"shared\"\ntype = \"detection\"\n".to_owned(),
            expect![[r#"
                9:1 exceptions-not-in-file: the items of the exception list `shared` are not in the file
            "#]],
        ),
    ] {
        check(&tail, expected);
    }
}

#[test]
fn a_pattern_too_long_is_refused_wherever_it_stands() {
    let pattern = format!("?{}", "a".repeat(1_100));
    for tail in [
        exception(&format!(
            r#"{{ field = "process.name", type = "wildcard", value = "{pattern}" }}"#
        )),
        format!("[[rule.filters]]\nquery.wildcard.\"process.name\".value = \"{pattern}\"\n"),
    ] {
        let report = parse("process where true", &tail).expect_err("a pattern that is too long");
        assert_eq!(report.to_string(), "the pattern is longer than 1024 bytes", "{tail}");
    }
}
